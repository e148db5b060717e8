"""Tries how the API answers by id: for a car that it lists, and for one that cannot exist."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, urlsplit

from msgspec import Struct
from msgspec.structs import replace

from carsync.config.api_sections import Record
from carsync.deactivation.impossible import impossible_id
from carsync.doctor.feed_asker import FeedAsker
from carsync.engine.reader import ProbeAnswer
from carsync.mapping.discovery import name_of, walk
from carsync.model import ProbeVerdict

_OWN_LINK = re.compile(r"self|href|url|uri|resource_uri|@odata\.(id|editLink)|@id", re.IGNORECASE)


class RecordFacts(Struct, frozen=True):
    """The answers by id; None where nobody asked.

    `listed` is the answer for `record_id`, which the first page lists, at `path`. Where that
    was not the record, `slashed` is the answer at `slashed_path`, which differs by its last
    slash. `impossible` is the answer for an id that cannot exist.
    """

    record_id: str
    path: str
    listed: ProbeAnswer
    slashed_path: str
    slashed: ProbeAnswer | None = None
    impossible: ProbeAnswer | None = None

    @property
    def readable_path(self) -> str | None:
        """The path at which the record was read; None where at none."""
        if self.listed.verdict is ProbeVerdict.ALIVE:
            return self.path
        is_read = self.slashed is not None and self.slashed.verdict is ProbeVerdict.ALIVE
        return self.slashed_path if is_read else None


def try_records(
    asker: FeedAsker, record: Record, record_id: str, values: tuple[str, ...] = ()
) -> RecordFacts:
    """Ask for the record, for one that cannot exist, and with the other slash where that may help.

    `values` are the record's own in the path; none: its id. Makes two or three requests. Raises
    `PageError` where the API refuses them all.
    """
    path = record.path
    slashed_path = path[:-1] if path.endswith("/") else f"{path}/"
    facts = RecordFacts(record_id, path, asker.record(record_id, path, values), slashed_path)
    if facts.listed.verdict is not ProbeVerdict.ALIVE:
        facts = replace(facts, slashed=asker.record(record_id, slashed_path, values))
    if facts.readable_path is None:
        return facts
    stranger = impossible_id(values[:1] or [record_id])
    strange = (stranger, *values[1:])
    return replace(facts, impossible=asker.record(stranger, facts.readable_path, strange))


def guess_record_path(
    answer: Any, record: dict[str, Any], record_id: str, base_url: str, path: str
) -> str | None:
    """Return the path at which this API probably has one car; None where its id is a link.

    The record's link to itself tells it, else the path of the feed with the id behind it.

    >>> car = {"id": 7, "url": "https://x.test/v1/cars/7/"}
    >>> guess_record_path({}, car, "7", "https://x.test/v1", "/cars")
    '/cars/{id}/'
    >>> guess_record_path({"@odata.context": ""}, {}, "7", "https://x.test", "/Cars")
    '/Cars({id})'
    """
    base = urlsplit(base_url)
    feed = path.partition("?")[0]
    for place, value in walk(record):
        if not isinstance(value, str) or not _OWN_LINK.fullmatch(name_of(place)):
            continue
        own = _own_path(value, record_id, base.netloc, base.path.rstrip("/"))
        if own is not None and (name_of(place) != "url" or own.startswith(feed.rstrip("/"))):
            return own
    if "/" in record_id:
        return None
    if isinstance(answer, dict) and any(name.startswith("@odata.") for name in answer):
        return feed + ("({id})" if record_id.isdecimal() else "('{id}')")
    stem, dot, suffix = feed.rpartition(".")
    if dot and suffix.isalpha() and "/" not in suffix:
        return f"{stem}/{{id}}.{suffix}"
    return f"{feed.rstrip('/')}/{{id}}{'/' * feed.endswith('/')}"


def _own_path(link: str, record_id: str, host: str, prefix: str) -> str | None:
    """Return the path below the API's URL of a record's link to itself, with `{id}` in it."""
    try:
        parts = urlsplit(link)
    except ValueError:
        return None
    own = parts.path.removeprefix(prefix)
    if parts.netloc not in ("", host) or not own.startswith("/") or (own == parts.path and prefix):
        return None
    found = [*re.finditer(rf"(?<=[/(\']){re.escape(quote(record_id, safe=''))}(?=[/)\'.]|$)", own)]
    return f"{own[: found[-1].start()]}{{id}}{own[found[-1].end() :]}" if found else None
