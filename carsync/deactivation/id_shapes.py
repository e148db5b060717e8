"""Shapes of ids: an answer by id proves something for ids of the same shape only. Pure.

A server may answer 404 to `%2F` (Apache does by default), cut an id at a dot, or know numbers
alone: for some ids its 404 says nothing of the car.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MOST_SHAPES = 16
"""With more, ids are told apart by their special characters alone."""

_PLAIN = r"A-Za-z0-9_~\-"
"""Characters that an address holds as they are (RFC 3986, section 2.3), the dot aside: what
follows a dot may be taken for a format."""
_PREFIX = re.compile(r"([A-Za-z]{1,6})[^A-Za-z0-9]?[0-9]+")
_FOREIGN = r"[^\u0001-\u007f]"
_ANY = "(?:[^x]|x)"
_SHORT = 7
_LONGEST = 255
"""As often as PostgreSQL repeats (section 9.7.3.1)."""


def group_by_shape(ids: Iterable[str]) -> dict[str, list[str]]:
    """Return the ids by shape, in the order given; a shape is a regular expression.

    It matches all ids of the shape and no other, in Python and in PostgreSQL.

    >>> list(group_by_shape(["7", "IAA/3"]).values())
    [['7'], ['IAA/3']]
    """
    ids = list(ids)
    fine = _group(ids, is_coarse=False)
    return fine if len(fine) <= MOST_SHAPES else _group(ids, is_coarse=True)


def _group(ids: Iterable[str], *, is_coarse: bool) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for record_id in ids:
        groups.setdefault(_shape_of(record_id, is_coarse=is_coarse), []).append(record_id)
    return groups


def _shape_of(record_id: str, *, is_coarse: bool) -> str:
    """Return the expression for the special characters, the length and the prefix of an id."""
    special = sorted(set(re.sub(rf"[{_PLAIN}]", "", record_id)))
    ascii_ = [f"\\u{ord(char):04x}" for char in special if char.isascii()]
    foreign = "" if record_id.isascii() else _FOREIGN
    one = f"[{_PLAIN}{''.join(ascii_)}]"
    allowed = f"(?:{one}|{foreign})" if foreign else one
    # Each special character must be there.
    must = [f"(?={_ANY}*{foreign})"] if foreign else []
    must += [f"(?={_ANY}*[{char}])" for char in ascii_]
    if is_coarse:
        return rf"^{''.join(must)}{allowed}*\Z"
    must.append(_length_of(record_id))
    if re.fullmatch("[0-9]+", record_id):
        return rf"^{''.join(must)}[0-9]+\Z"
    if prefix := _PREFIX.fullmatch(record_id):
        return rf"^{''.join(must)}{prefix[1]}[^A-Za-z0-9]?[0-9]+\Z"
    return rf"^{''.join(must)}(?![0-9]+\Z)(?!{_PREFIX.pattern}\Z){allowed}*\Z"


def _length_of(record_id: str) -> str:
    """Return the expression for lengths of as many binary digits, the short ones together."""
    longest = 2 ** len(record_id).bit_length() - 1
    if longest <= _SHORT:
        return rf"(?={_ANY}{{0,{_SHORT}}}\Z)"
    if longest > _LONGEST:
        return f"(?={_ANY}{{{_LONGEST}}}{_ANY})"
    return rf"(?={_ANY}{{{(longest + 1) // 2},{longest}}}\Z)"
