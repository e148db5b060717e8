"""What the report of one run tells, gathered and counted; how it looks is `report.py`'s."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from carsync.model import Check
from carsync.state.changes import ChangeSummary


@dataclass(frozen=True, slots=True)
class TimePoint:
    """The run's figures at one moment, `at_s` seconds at work after its start.

    Rates are per second; `errors` are those of the session so far, by class.
    """

    at_s: float
    session: int
    pages_per_s: float
    rows_per_s: float
    latency_p50_s: float | None
    latency_p95_s: float | None
    latency_p99_s: float | None
    queue_depth: int
    rss_bytes: int
    errors: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Session:
    """One process that worked at the run: when its first figures were taken, how long it
    worked, and how many pages and rows of the whole run were staged when it ended."""

    number: int
    started_at: datetime
    worked_s: float
    pages_staged: int
    rows_staged: int
    errors: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PageFailures:
    """A page with failed attempts, by class, and what the last one said."""

    page: int
    failures: int
    kinds: Mapping[str, int]
    problem: str
    given_up: bool


@dataclass(frozen=True, slots=True)
class RejectReason:
    """How many open rejects of the run have a reason."""

    column: str | None
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class RejectExample:
    """One open reject: where it stood, and the start of its own text."""

    page: int
    ordinal: int
    record_id: str | None
    column: str | None
    reason: str
    excerpt: str


@dataclass(frozen=True, slots=True)
class ReportData:
    """All that the report of one run tells; times are UTC.

    `kind` is what the run is (sync, sample, dry run, replay, revert), `state` how it stands.

    `outcome` and `next_step` are sentences; `exit_code`, `finished_at`, `duration_s` and
    `figures` (a `metrics.Snapshot` as plain data) are None where the run recorded no end,
    `counts` where nothing was merged. `related` are sentences on other runs: the one whose
    rejects it replays, the one it takes back, the one that took it back.
    """

    run_id: int
    kind: str
    source: str
    target: str
    state: str
    exit_code: int | None
    outcome: str
    next_step: str
    started_at: datetime
    merged_at: datetime | None
    finished_at: datetime | None
    duration_s: float | None
    version: str
    hash_scheme: str
    fingerprints: Mapping[str, str]
    made_at: datetime
    made_by: str
    problem: str = ""
    detail: str = ""
    hint: str = ""
    notes: tuple[str, ...] = ()
    related: tuple[str, ...] = ()
    figures: Mapping[str, Any] | None = None
    counts: Mapping[str, int] | None = None
    checks: tuple[Check, ...] = ()
    changes: ChangeSummary = field(default_factory=lambda: ChangeSummary("not merged"))
    points: tuple[TimePoint, ...] = ()
    sessions: tuple[Session, ...] = ()
    errors: Mapping[str, int] = field(default_factory=dict)
    failed_pages: tuple[PageFailures, ...] = ()
    failed_pages_total: int = 0
    reject_reasons: tuple[RejectReason, ...] = ()
    reject_examples: tuple[RejectExample, ...] = ()
