"""What passes between a run's parent and its engine: frozen records, never exceptions.

Nothing in them assumes one machine: times are durations.
"""

from __future__ import annotations

from dataclasses import dataclass

from carsync.errors import FailureKind
from carsync.model import PageInfo, ProbeVerdict, StagedPage


@dataclass(frozen=True, slots=True)
class PageLease:
    """Leave for a worker to make one attempt at one page.

    `expected_pages` is what the feed reported so far (None: not known), so that an
    empty answer can be told from the feed's end. `token` is where the page is, for a
    feed whose pages are known by the page before them alone.
    """

    page: int
    attempt: int
    expected_pages: int | None = None
    token: str | None = None


@dataclass(frozen=True, slots=True)
class ProbeLease:
    """Leave for a worker to ask once whether the record `record_id` still exists.

    Where `page` is given, that page is asked whether it lists the record.
    """

    record_id: str
    attempt: int
    page: PageLease | None = None


Lease = PageLease | ProbeLease


@dataclass(frozen=True, slots=True)
class PageFetched:
    """The page was checked and mapped, and is on its way to staging."""

    page: int
    records: int
    rejects: int
    latency_s: float
    wire_bytes: int
    body_bytes: int
    info: PageInfo


@dataclass(frozen=True, slots=True)
class PageFailed:
    """One attempt at a page failed; the parent decides what follows."""

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
    """What the API said of one record, and how long it asked to wait.

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
    """These pages' transaction is committed.

    `busy_s` is the time the worker spent on it, waiting for pages excluded.
    """

    pages: tuple[StagedPage, ...]
    rows: int
    busy_s: float


@dataclass(frozen=True, slots=True)
class BreakerOpened:
    """The shared circuit breaker opened, for the `openings`-th time in a row."""

    openings: int
    open_s: float


@dataclass(frozen=True, slots=True)
class WorkerFailed:
    """A worker cannot go on; `error` names the class of the error that these words are of."""

    error: str
    problem: str
    detail: str
    hint: str


@dataclass(frozen=True, slots=True)
class EngineLost:
    """The worker `name` died or hangs: the engine is unusable."""

    name: str
    reason: str


Event = (
    PageFetched
    | PageFailed
    | ProbeAnswered
    | PagesStaged
    | BreakerOpened
    | WorkerFailed
    | EngineLost
)
