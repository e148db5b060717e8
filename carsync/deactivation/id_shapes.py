"""Shapes of ids: an answer by id proves something for ids of the same shape only. Pure.

A server may answer 404 to `%2F` (Apache does by default), cut an id at a dot, or know numbers
alone: for some ids its 404 says nothing of the car.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

MOST_SHAPES = 16
"""With more, ids are told apart by their special characters alone."""

_PLAIN = r"A-Za-z0-9_~\-"
"""Characters that an address holds as they are (RFC 3986, section 2.3), the dot aside: what
follows a dot may be taken for a format."""
_PREFIX = re.compile(r"([A-Za-z]{1,6})[^A-Za-z0-9]?[0-9]+")
_FOREIGN = r"[^\u0001-\u007f]"
_SHORT = 7
_ANY_LENGTH = 2**31 - 1
Key = tuple[str, str]


class Shape(Struct, frozen=True):
    """Ids that match a regular expression, of so many characters.

    The expression counts nothing: PostgreSQL needs milliseconds an id for that. Where cars are
    asked for by more than one value, `beside` are the others, which are the same for all.
    """

    pattern: str
    shortest: int = 0
    longest: int = _ANY_LENGTH
    beside: str = ""

    def matches(self, record_id: str) -> bool:
        """Say whether an id is of this shape; PostgreSQL says the same."""
        is_long_enough = self.shortest <= len(record_id) <= self.longest
        return is_long_enough and re.search(self.pattern, record_id) is not None


def group_by_shape(
    ids: Iterable[str], keys: Mapping[str, Key] | None = None
) -> dict[Shape, list[str]]:
    """Return the ids by shape, in the order given.

    `keys` have the value by which a car is asked for instead of its id, and the values beside it.

    >>> list(group_by_shape(["7", "IAA/3"]).values())
    [['7'], ['IAA/3']]
    >>> list(group_by_shape(["1", "2"], {"1": ("40", "iaai"), "2": ("50", "copart")}).values())
    [['1'], ['2']]
    """
    known = keys or {}
    pairs = [(record_id, known.get(record_id, (record_id, ""))) for record_id in ids]
    fine = _group(pairs, is_coarse=False)
    return fine if len(fine) <= MOST_SHAPES else _group(pairs, is_coarse=True)


def _group(pairs: Iterable[tuple[str, Key]], *, is_coarse: bool) -> dict[Shape, list[str]]:
    groups: dict[Shape, list[str]] = {}
    for record_id, (value, beside) in pairs:
        shape = replace(_shape_of(value, is_coarse=is_coarse), beside=beside)
        groups.setdefault(shape, []).append(record_id)
    return groups


def _shape_of(record_id: str, *, is_coarse: bool) -> Shape:
    """Return the shape by the special characters, the length and the prefix of an id."""
    special = sorted(set(re.sub(rf"[{_PLAIN}]", "", record_id)))
    ascii_ = [f"\\u{ord(char):04x}" for char in special if char.isascii()]
    foreign = "" if record_id.isascii() else _FOREIGN
    one = f"[{_PLAIN}{''.join(ascii_)}]"
    allowed = f"(?:{one}|{foreign})" if foreign else one
    # Each special character must be there.
    must = rf"(?=[\u0001-\u007f]*{foreign})" if foreign else ""
    must += "".join(f"(?=[^{char}]*[{char}])" for char in ascii_)
    if is_coarse:
        return Shape(rf"^{must}{allowed}*\Z")
    if re.fullmatch("[0-9]+", record_id):
        pattern = r"^[0-9]+\Z"
    elif prefix := _PREFIX.fullmatch(record_id):
        pattern = rf"^{must}{prefix[1]}[^A-Za-z0-9]?[0-9]+\Z"
    else:
        pattern = rf"^{must}(?![0-9]+\Z)(?!{_PREFIX.pattern}\Z){allowed}*\Z"
    longest = 2 ** len(record_id).bit_length() - 1  # lengths of as many binary digits are alike
    if longest <= _SHORT:
        return Shape(pattern, 0, _SHORT)
    return Shape(pattern, (longest + 1) // 2, longest)
