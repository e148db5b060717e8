"""What passes between a run's parent and its engine: frozen records, never exceptions.

Nothing in them assumes one machine: times are durations.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from carsync.config.lists import is_removal
from carsync.errors import CarsyncError, FailureKind
from carsync.model import PageInfo, ProbeVerdict, RequestKind, Row, StagedPage
from carsync.source.auth.token_store import Token
from carsync.source.rate_headers import ToldLimit


class PageLease(Struct, frozen=True):
    """Leave for a worker to make one attempt at one page.

    `expected_pages` is what the feed reported so far (None: not known), so that an
    empty answer can be told from the feed's end. `token` is where the page is, for a
    feed whose pages are known by the page before them alone. `is_proved`: the API has
    answered such a request in this session, so that a 403 need not mean the key. `is_over`: the
    feed said that it ended before this page, which is not asked for.
    """

    page: int
    attempt: int
    expected_pages: int | None = None
    token: str | None = None
    is_proved: bool = False
    is_over: bool = False


class ProbeLease(Struct, frozen=True):
    """Leave for a worker to ask once whether the record `record_id` still exists.

    Where `page` is given, that page is asked whether it lists the record, or any record
    where `record_id` is None. `is_proved` is as in `PageLease`. `values` are those that stand in
    the record's path; none: its id alone.
    """

    record_id: str | None
    attempt: int
    page: PageLease | None = None
    is_proved: bool = False
    values: tuple[str, ...] = ()

    @property
    def key(self) -> str | int | None:
        """What is asked for: the record, or the number of a page that is asked for any."""
        return self.page.page if self.record_id is None and self.page else self.record_id


Lease = PageLease | ProbeLease


def kind_of(lease: Lease) -> RequestKind:
    """Say what the request of a lease counts as.

    >>> kind_of(PageLease(7, 1)), kind_of(PageLease(2_000_000_000, 1)), kind_of(ProbeLease("A1", 1))
    ('pages', 'removals', 'by_id')
    """
    page = lease if isinstance(lease, PageLease) else lease.page
    if page is None:
        return "by_id"
    return "removals" if is_removal(page.page) else "pages"


class PageNamed(Struct, frozen=True):
    """The answer for a page is here, and names the next one; it is not checked or mapped yet."""

    page: int
    token: str


class PageFetched(Struct, frozen=True):
    """The page was checked and mapped, and is on its way to staging.

    `digest` is of the ids that it lists: pages with the same one list the same records. `date_s` is
    the API's time when it answered, in seconds since 1970; None where it tells none.
    """

    page: int
    records: int
    rejects: int
    latency_s: float
    wire_bytes: int
    body_bytes: int
    info: PageInfo
    digest: int = 0
    date_s: float | None = None


class PageFailed(Struct, frozen=True):
    """One attempt at a page failed; the parent decides what follows.

    `first_attempts` is as in `PageError`.
    """

    page: int
    attempt: int
    kind: FailureKind
    problem: str
    hint: str
    status: int | None
    retry_after_s: float | None
    latency_s: float
    first_attempts: int | None = None


class ProbeAnswered(Struct, frozen=True):
    """What the API said of one record, and how long it asked to wait.

    `ids` and `info` are of the `page` that was asked for any record, `row` is of a record that was
    found by its id, `no_row` says why one that was found has none. `failure` is why the attempt
    failed, where it did (429, time-out, …).
    """

    record_id: str | None
    attempt: int
    verdict: ProbeVerdict
    latency_s: float
    detail: str = ""
    retry_after_s: float | None = None
    failure: FailureKind | None = None
    ids: tuple[str, ...] = ()
    info: PageInfo = PageInfo()
    row: Row | None = None
    no_row: str = ""
    page: int | None = None

    @property
    def key(self) -> str | int | None:
        """What was asked for, as the lease's `key` says it."""
        return self.page if self.record_id is None else self.record_id


class PagesStaged(Struct, frozen=True):
    """These pages' transaction is committed.

    `busy_s` is the time the worker spent on it, waiting for pages excluded.
    """

    pages: tuple[StagedPage, ...]
    rows: int
    busy_s: float


class BreakerOpened(Struct, frozen=True):
    """The shared circuit breaker opened, for the `openings`-th time in a row."""

    openings: int
    open_s: float


class RateChanged(Struct, frozen=True):
    """The shared rate is this many requests per second now.

    `reason` is the refusal it fell for, or, where `is_told`, the limit that the API tells.
    """

    rate: float
    reason: str
    is_told: bool = False


class LimitReached(Struct, frozen=True):
    """Nothing is left of the limit that the API tells in `by`; nobody asks for `wait_s` seconds."""

    wait_s: float
    by: str


UNUSED: Final = "unused"
"""An admission with which nothing was sent: there was nothing to ask for, or no token yet."""


class RequestsMade(Struct, frozen=True):
    """A worker sent these requests, by kind, whatever became of them; a lease may take several.

    `UNUSED` counts those that it might have sent.
    """

    counts: dict[str, int]


class LimitsTold(Struct, frozen=True):
    """What the newest answers told of the API's limits."""

    limits: tuple[ToldLimit, ...]


class TokenIssued(Struct, frozen=True):
    """A worker got an access token, which the engine keeps for an engine after it."""

    token: Token


class WorkerFailed(Struct, frozen=True):
    """A worker cannot go on; `error` names the class of the error that these words are of."""

    error: str
    problem: str
    detail: str
    hint: str

    @classmethod
    def of(cls, exc: Exception, who: str) -> WorkerFailed:
        """Return the message of `exc`; where nobody expected it, `who` failed."""
        if isinstance(exc, CarsyncError):
            return cls(type(exc).__name__, exc.problem, exc.detail, exc.hint)
        return cls(type(exc).__name__, f"{who} failed: {exc!r}", "", "")


class EngineLost(Struct, frozen=True):
    """The worker `name` died or hangs: the engine is unusable."""

    name: str
    reason: str


def failed_by_worker(lease: Lease, problem: str, hint: str = "") -> PageFailed | ProbeAnswered:
    """Say that an attempt failed for its worker's sake: the API need not know of it."""
    kind = FailureKind.WORKER
    if isinstance(lease, PageLease):
        return PageFailed(lease.page, lease.attempt, kind, problem, hint, None, None, 0.0)
    page = lease.page.page if lease.page else None
    return ProbeAnswered(
        lease.record_id,
        lease.attempt,
        ProbeVerdict.NOTHING,
        0.0,
        problem,
        failure=kind,
        page=page,
    )


Event = (
    PageNamed
    | PageFetched
    | PageFailed
    | ProbeAnswered
    | PagesStaged
    | BreakerOpened
    | RateChanged
    | LimitReached
    | RequestsMade
    | LimitsTold
    | TokenIssued
    | WorkerFailed
    | EngineLost
)
