"""By-id answers: whether a 200 really holds the record that was asked for."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from carsync.errors import PageError
from carsync.mapping.mapper import Mapper, PageContent
from carsync.model import MappedPage

_WRAPPER = "data"
ERROR_OBJECT = "the answer is an error object"
_DEPTH = 2
"""The record is looked for this deep in other envelopes (`{"result": {"vehicle": record}}`)."""


def find_record(mapper: Mapper, body: bytes, record_id: str) -> bytes | None:
    """Return the record `record_id` of `body`: bare, as `{"data": record}`, or in an envelope.

    Bare or as `data`, a record counts even if the mapping rejects it. In another envelope
    only a record that makes a row counts. HTML, another car, a list and an error object
    with status 200 do not count: None.
    """
    wrapped = _members(body)
    candidates = [body, wrapped[_WRAPPER]] if _WRAPPER in wrapped else [body]
    for candidate in candidates:
        if record_id in _ids(mapper, candidate):
            return candidate
    for found in _inside(body, _DEPTH):
        if record_id in _ids(mapper, found, rows_only=True):
            return found
    return None


def describe_answer(body: bytes) -> str:
    """Say in words what an answer is that holds no record; empty for one that holds nothing.

    >>> describe_answer(b'{"data": null}'), describe_answer(b'{"error": "no such car"}')
    ('', 'the answer is an error object')
    """
    try:
        found = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return "the answer is no JSON"
    if isinstance(found, dict) and _WRAPPER in found:
        found = found[_WRAPPER]
    if not found:
        return ""
    if isinstance(found, list):
        return f"the answer is a list of {len(found):,}"
    if isinstance(found, dict) and {"error", "errors"} & found.keys():
        return ERROR_OBJECT
    return "the answer is not the record asked for"


def _inside(body: bytes, depth: int) -> Iterator[bytes]:
    """Give the objects in the object `body`, down to `depth` levels."""
    for value in _members(body).values():
        if value.lstrip()[:1] == b"{":
            yield value
            if depth > 1:
                yield from _inside(value, depth - 1)


def _members(body: bytes) -> dict[str, bytes]:
    """Return the members of an object, undecoded; anything else has none."""
    try:
        members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return {name: bytes(value) for name, value in members.items()}


def ids_of(content: PageContent | MappedPage) -> list[str | None]:
    """Return the ids that a page lists, rejected records included; None for a missing id."""
    return [row[1] for row in content.rows] + [reject.record_id for reject in content.rejects]


def _ids(mapper: Mapper, record: bytes, *, rows_only: bool = False) -> list[str | None]:
    try:
        content = mapper.map_record(record)
    except PageError:
        return []
    return [row[1] for row in content.rows] if rows_only else ids_of(content)
