"""What all sections of the configuration are made of: their base, and the types of values."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

MOST, MOST_WHOLE = 1e6, 2**31 - 1
"""The greatest figures: what every wait, statement and column can hold. A million seconds are
11 days; 2^31 - 1 is PostgreSQL's greatest integer."""
Positive = Annotated[float, Meta(gt=0, le=MOST)]
NotNegative = Annotated[float, Meta(ge=0, le=MOST)]
Count = Annotated[int, Meta(ge=1, le=MOST_WHOLE)]
Natural = Annotated[int, Meta(ge=0, le=MOST_WHOLE)]
Share = Annotated[float, Meta(ge=0, le=1)]
Duration = Annotated[str, Meta(pattern=r"^[0-9]{1,6}(\.[0-9]{1,3})? ?[smhd]$")]
"""A length of time as people write it: `90s`, `15m`, `72h`, `3d`."""
Identifier = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_$]*$", max_length=63)]


_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def seconds(text: Duration) -> float:
    """Return a length of time in seconds.

    >>> seconds("15m"), seconds("1.5 h")
    (900.0, 5400.0)
    """
    return float(text[:-1]) * _UNITS_S[text[-1]]


class Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all sections: frozen, unknown keys refused."""
