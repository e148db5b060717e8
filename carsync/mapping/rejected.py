"""Values that no column can hold, or not this one, and why, in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from carsync.mapping.fields import Misplaced, Unholdable, describe

Reader = Callable[[Any], Any]
"""Reads a column's value, None for a missing one; raises for one that no column can hold."""


class RejectedValueError(ValueError):
    """No row can hold this value; the error's words are the reject's reason."""


class UnreadableValueError(RejectedValueError):
    """The value is not of the column's type or range; the rule's default replaces it."""


def check_text(text: str) -> None:
    """Raise `RejectedValueError` for a text that PostgreSQL cannot hold."""
    if "\0" in text:
        raise RejectedValueError(f"the text contains NUL: {quote(text)}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RejectedValueError(
            f"the text contains a lone surrogate or bytes that are not UTF-8: {quote(text)}"
        ) from None


def unreadable(value: Any, wanted: str) -> RejectedValueError:
    """Return the error for a value that is not what its column wants."""
    if isinstance(value, Unholdable):
        return RejectedValueError(f"no column can hold {value.token}")
    if isinstance(value, Misplaced):
        return UnreadableValueError(value.reason)
    seen = quote(value) if isinstance(value, str) else describe(value)
    return UnreadableValueError(f"{seen} is not {wanted}")


def quote(text: str) -> str:
    """Quote a text so that nothing in the quotation is unprintable."""
    return ascii(text if len(text) <= 60 else f"{text[:57]}...")
