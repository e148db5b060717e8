"""What crosses the borders of processes: frozen records, never exceptions."""

from __future__ import annotations

import math
from dataclasses import dataclass

from carsync.config.sections import Config, Database
from carsync.errors import FailureKind
from carsync.model import Column, ProbeVerdict, StagedPage
from carsync.redaction import Secret


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
class WorkerReady:
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
class WorkerFailed:
    """Child to parent: it cannot go on. Exceptions never cross; this carries their words."""

    error: str
    problem: str
    detail: str
    hint: str


@dataclass(frozen=True, slots=True)
class FetcherArgs:
    """All that a fetcher needs."""

    config: Config
    threads: int
    parent_pid: int


@dataclass(frozen=True, slots=True)
class WriterArgs:
    """All that a writer needs; the API's `key`, so that no reject keeps it."""

    database: Database
    run_id: int
    token: str
    columns: tuple[Column, ...]
    parent_pid: int
    key: Secret | None = None
