"""Shapes of ids: an answer by id proves something for ids of the same shape only. Pure.

A server may answer 404 to `%2F` (Apache does by default), cut an id at a dot, or know numbers
alone: for some ids its 404 says nothing of the car.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import Struct

MOST_SHAPES = 16
"""With more, ids are told apart by their special characters alone."""

_PLAIN = r"A-Za-z0-9_~\-"
"""Characters that an address holds as they are (RFC 3986, section 2.3), the dot aside: what
follows a dot may be taken for a format."""
_PREFIX = re.compile(r"([A-Za-z]{1,6})[^A-Za-z0-9]?[0-9]+")
_FOREIGN = r"[^\u0001-\u007f]"
_SHORT = 7
_ANY_LENGTH = 2**31 - 1


class Shape(Struct, frozen=True):
    """Ids that match a regular expression, of so many characters.

    The expression counts nothing: PostgreSQL needs milliseconds an id for that.
    """

    pattern: str
    shortest: int = 0
    longest: int = _ANY_LENGTH

    def matches(self, record_id: str) -> bool:
        """Say whether an id is of this shape; PostgreSQL says the same."""
        is_long_enough = self.shortest <= len(record_id) <= self.longest
        return is_long_enough and re.search(self.pattern, record_id) is not None


def group_by_shape(ids: Iterable[str]) -> dict[Shape, list[str]]:
    """Return the ids by shape, in the order given.

    >>> list(group_by_shape(["7", "IAA/3"]).values())
    [['7'], ['IAA/3']]
    """
    ids = list(ids)
    fine = _group(ids, is_coarse=False)
    return fine if len(fine) <= MOST_SHAPES else _group(ids, is_coarse=True)


def _group(ids: Iterable[str], *, is_coarse: bool) -> dict[Shape, list[str]]:
    groups: dict[Shape, list[str]] = {}
    for record_id in ids:
        groups.setdefault(_shape_of(record_id, is_coarse=is_coarse), []).append(record_id)
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
