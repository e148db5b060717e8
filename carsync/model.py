"""Frozen records that cross process borders; nothing in them assumes one machine.

Times named `*_monotonic_s` are seconds of CLOCK_MONOTONIC, which all processes
of one machine share (clock_gettime(2)).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from carsync.errors import FailureKind

Row = tuple[Any, ...]

MAX_ORIGINAL_CHARS = 1_000_000
"""A rejected record's text is kept up to this length."""

OriginalKind = Literal["record", "row", "altered"]
"""What a reject's text is: the record's own, the mapped row of one that PostgreSQL refused,
or neither any more: cut short, or with what no text can hold replaced."""


@dataclass(frozen=True, slots=True)
class PageLease:
    """Leave for a fetcher to make one attempt at one page.

    `expected_pages` is what the feed reported so far (None: not known), so that an
    empty answer can be told from the feed's end.
    """

    page: int
    attempt: int
    expected_pages: int | None = None


@dataclass(frozen=True, slots=True)
class ProbeLease:
    """Leave for a fetcher to ask once whether the record `record_id` still exists.

    Where `page` is given, that page is asked whether it lists the record.
    """

    record_id: str
    attempt: int
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Leases:
    """Parent to fetcher: work, any number of leases."""

    leases: tuple[PageLease | ProbeLease, ...]


@dataclass(frozen=True, slots=True)
class Stop:
    """Parent to child: exit; with `drain` finish what is in hand, and on the queue, first."""

    drain: bool


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that no row can hold; it counts as seen.

    `record_id` is None where the record has no usable id; `original` is the
    record's own JSON text (NUL-free, at most `MAX_ORIGINAL_CHARS`), and
    `original_kind` says whether that is still the text that the feed gave.
    """

    ordinal: int
    record_id: str | None
    column: str | None
    reason: str
    original: str
    original_kind: OriginalKind = "record"


@dataclass(frozen=True, slots=True)
class MappedPage:
    """A page on its way from a fetcher to a writer.

    `rows` holds one tuple per good record, in the order of `Mapper.columns`
    preceded by the record's ordinal in the page; `records` counts all records
    of the answer, good and rejected. `requested_monotonic_s` is the moment the
    request was sent: the data are at least that new.
    """

    page: int
    rows: tuple[Row, ...]
    rejects: tuple[Reject, ...]
    records: int
    reported_pages: int | None
    reported_records: int | None
    requested_monotonic_s: float


@dataclass(frozen=True, slots=True)
class ChildReady:
    """Child to parent: booted, connected, working."""

    pid: int


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Child to parent, sent by the working loop: it turned over just now.

    `overdue_s`: how far the slowest thread is past the end of its step; negative when none is.
    """

    overdue_s: float = -math.inf


@dataclass(frozen=True, slots=True)
class PageFetched:
    """Fetcher to parent: the page was checked, mapped and put on the queue (not staged yet)."""

    page: int
    records: int
    rejects: int
    latency_s: float
    wire_bytes: int
    body_bytes: int
    reported_pages: int | None
    reported_records: int | None


@dataclass(frozen=True, slots=True)
class PageFailed:
    """Fetcher to parent: one attempt failed; the parent decides what follows."""

    page: int
    attempt: int
    kind: FailureKind
    problem: str
    hint: str
    status: int | None
    retry_after_s: float | None
    latency_s: float


class ProbeVerdict(StrEnum):
    """What an answer to a by-id request proves."""

    GONE = "gone"  # 404 or 410
    ALIVE = "alive"  # 200
    NOTHING = "nothing"  # anything else


@dataclass(frozen=True, slots=True)
class ProbeAnswered:
    """Fetcher to parent: what the API said of one record, and how long it asked to wait.

    `failure` is why the attempt failed, where it did (429, time-out, …).
    """

    record_id: str
    attempt: int
    verdict: ProbeVerdict
    latency_s: float
    detail: str = ""
    retry_after_s: float | None = None
    failure: FailureKind | None = None


@dataclass(frozen=True, slots=True)
class StagedPage:
    """One ledger line: the page's rows and rejects are committed in PostgreSQL."""

    page: int
    rows: int
    rejects: int
    records: int
    reported_pages: int | None
    reported_records: int | None


@dataclass(frozen=True, slots=True)
class PagesStaged:
    """Writer to parent: these pages' transaction is committed.

    `busy_s` is the time the writer spent on it, waiting for pages excluded.
    """

    pages: tuple[StagedPage, ...]
    rows: int
    busy_s: float


@dataclass(frozen=True, slots=True)
class BreakerOpened:
    """Fetcher to parent: the shared circuit breaker opened, for the `openings`-th time in a row."""

    openings: int
    open_s: float


@dataclass(frozen=True, slots=True)
class ChildFailed:
    """Child to parent: it cannot go on. Exceptions never cross; this carries their words."""

    error: str
    problem: str
    detail: str
    hint: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column of staging and target: SQL name and PostgreSQL type name."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class MergeCounts:
    """What one merge did to the target, in rows; `seen` counts distinct ids, rejects included.

    Only a revert deletes: cars that the run it takes back had inserted.
    """

    seen: int = 0
    inserted: int = 0
    updated: int = 0
    reactivated: int = 0
    unchanged: int = 0
    stale: int = 0
    deactivated: int = 0
    held: int = 0
    rejected: int = 0
    duplicate: int = 0
    deleted: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """The table that carsync keeps in step with the feed."""

    schema: str
    table: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}"

    def key(self, source: str) -> dict[str, str]:
        """Return the parameters by which carsync's own tables know this table's `source`."""
        return {"schema": self.schema, "table": self.table, "source": source}
