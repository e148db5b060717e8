"""Samples of what is known of a run: its figures, its checkpoint, its report."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from carsync import formatting
from carsync.formatting import Displayed
from carsync.model import Check, MergeCounts
from carsync.reporting.views.status import status_lines
from carsync.run.figures.metrics import Metrics
from carsync.run.report import RunReport
from carsync.state.api_use import ApiUse, BudgetUse, Quota
from carsync.state.checkpoint import CheckpointState, LastRun
from carsync.state.figures import Figures, Latency

NOW = datetime(2026, 1, 2, 3, 5, 21, tzinfo=UTC)
DAY_H = 24.0
"""How long an unfinished run can be resumed in these tests."""

COUNTS = MergeCounts(
    seen=200_000,
    inserted=2_000,
    updated=1_999,
    reactivated=12,
    unchanged=195_989,
    stale=5,
    deactivated=40,
    held=0,
    rejected=3,
    duplicate=1,
)

LAST = LastRun(
    run_id=41,
    state="complete",
    exit_code=0,
    finished_at=NOW - timedelta(days=1),
    duration_s=103.4,
    counts=COUNTS,
    acceptance=(Check("duration", "≤ 25.0 min", "1.7 min", "pass"),),
)


def snapshot(**changes: Any) -> Figures:
    """Return the figures of a run at 812 of 2,000 pages, with `changes`."""
    empty = Metrics(lambda: 0.0).snapshot(None, 0)
    usual: dict[str, Any] = {
        "elapsed_s": 72.4,
        "pages_planned": 2000,
        "pages_staged": 812,
        "rows_staged": 81_197,
        "records": 81_200,
        "rejects": 3,
        "pages_per_s": 20.0,
        "pages_per_s_mean": 19.9,
        "rows_per_s": 2001.3,
        "writer_rows_per_busy_s": 21_034.0,
        "eta_s": 59.4,
        "latency_mean_s": 0.41,
        "latency_p50_s": 0.401,
        "latency_p95_s": 0.512,
        "latency_p99_s": 0.64,
        "wire_bytes": 31_000_000,
        "body_bytes": 310_000_000,
        "attempts": 814,
        "retries": 2,
        "errors": {"rate_limited": 2},
        "queue_depth": 3,
        "rss_bytes": 312_000_000,
        "rss_peak_bytes": 330_000_000,
        "rss_slope_mb_per_min": 0.4,
    }
    return msgspec.structs.replace(empty, **{**usual, **changes})


COST: dict[str, Any] = {
    "requests": {"pages": 814, "by_id": 30, "token": 1},
    "api_use": ApiUse(
        day=NOW.date(),
        today={"pages": 900, "by_id": 30, "token": 2, "reserved": 5},
        budget=BudgetUse.of(1000, "day", 937, NOW),
    ),
    "quotas": (
        Quota(
            name="X-RateLimit",
            remaining=50.0,
            limit=100.0,
            renews_at=NOW + timedelta(seconds=30),
            told_at=NOW,
        ),
        Quota(name="Quota", remaining=7.0, told_at=NOW),
    ),
}
"""What the requests of that run have cost, as figures and checkpoint hold it."""


def checkpoint(**changes: Any) -> CheckpointState:
    """Return the checkpoint of that run, saved two seconds before `NOW`, with `changes`."""
    usual = CheckpointState(
        run_id=42,
        token="0b1e8a52",
        pid=4242,
        state="running",
        phase="fetching",
        source="external",
        target="public.cars",
        started_at=NOW - timedelta(seconds=72),
        updated_at=NOW - timedelta(seconds=2),
        fingerprints={"feed": "f1", "mapping": "m1", "table": "t1"},
        pages_planned=2000,
        pages_done=812,
        pages_ranges="1-810,815-816",
        pages_failed={"17": "the API answered 500 Internal Server Error"},
        pages_given_up=1,
        rows_staged=81_197,
        rejects=3,
        pages_per_s=20.0,
        rows_per_s=2001.3,
        eta_s=59.4,
        latency=Latency(mean_s=0.41, p50_s=0.401, p95_s=0.512, p99_s=0.64),
        errors={"rate_limited": 2, "timeout": 1},
        last_completed=LAST,
        last_success_at=LAST.finished_at,
    )
    return msgspec.structs.replace(usual, **changes)


def report(**changes: Any) -> RunReport:
    """Return the report of that run, which ended well, with `changes`."""
    usual: dict[str, Any] = {
        "run_id": 42,
        "state": "complete",
        "exit_code": 0,
        "source": "external",
        "target": "public.cars",
        "started_at": NOW - timedelta(seconds=103),
        "finished_at": NOW,
        "data_at": NOW,
        "duration_s": 103.4,
        "figures": snapshot(),
        "counts": COUNTS,
    }
    return RunReport(**{**usual, **changes})


def render_status(
    state: CheckpointState | None, now: datetime, lock_held: bool, **options: Any
) -> Displayed:
    """Return what `carsync status` shows of a checkpoint."""
    return formatting.display(status_lines(state, now, lock_held, DAY_H, **options))
