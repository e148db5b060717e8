"""By-id answers: does a 200 really hold the record that was asked for?"""

from __future__ import annotations

import msgspec

from carsync.errors import PageError
from carsync.mapping import Mapper, PageContent

_WRAPPER = "data"


def holds_record(mapper: Mapper, body: bytes, record_id: str) -> bool:
    """Say whether `body` is the record `record_id`, bare or as `{"data": record}`.

    A record that the mapping rejects is there all the same. HTML, another car or an
    error object with status 200 are not.
    """
    candidates = [body]
    try:
        wrapped = msgspec.json.decode(body, type=dict[str, msgspec.Raw]).get(_WRAPPER)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        wrapped = None
    if wrapped is not None:
        candidates.append(bytes(wrapped))
    return any(record_id in _ids(mapper, candidate) for candidate in candidates)


def ids_of(content: PageContent) -> list[str | None]:
    """Return the ids that a page lists, those of rejected records too; None where one has none."""
    return [row[1] for row in content.rows] + [reject.record_id for reject in content.rejects]


def _ids(mapper: Mapper, record: bytes) -> list[str | None]:
    try:
        content = mapper.map_array(b"[" + record + b"]")
    except PageError:
        return []
    return ids_of(content) if content.records == 1 else []
