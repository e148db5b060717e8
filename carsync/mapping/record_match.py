"""By-id answers: whether a 200 really holds the record that was asked for."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from carsync.errors import PageError
from carsync.mapping.mapper import Mapper, PageContent
from carsync.model import MappedPage

_WRAPPER = "data"
_DEPTH = 2
"""The record is looked for this deep in other envelopes (`{"result": {"vehicle": record}}`)."""


def holds_record(mapper: Mapper, body: bytes, record_id: str) -> bool:
    """Say whether `body` is the record `record_id`: bare, as `{"data": record}`, or in an envelope.

    Bare or as `data`, a record counts even if the mapping rejects it. In another envelope
    only a record that makes a row counts. HTML, another car, a list and an error object
    with status 200 do not count.
    """
    wrapped = _members(body)
    candidates = [body, wrapped[_WRAPPER]] if _WRAPPER in wrapped else [body]
    if any(record_id in _ids(mapper, candidate) for candidate in candidates):
        return True
    return any(record_id in _ids(mapper, found, rows_only=True) for found in _inside(body, _DEPTH))


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
