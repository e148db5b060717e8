"""Samples of past runs: their records, reports, figures and details."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from msgspec.structs import asdict, fields, replace

from carsync.reporting.views.run_details import (
    PastRun,
    RunDetails,
    kind_of,
)
from carsync.run.report import RunReport
from carsync.state.runs import Run
from carsync.state.samples import FailureCount, Sample
from tests.support.snapshots import COUNTS, NOW


def a_run(**changes: Any) -> Run:
    """Give the record of a run that ended well."""
    usual: dict[str, Any] = {
        "run_id": 42,
        "schema_name": "public",
        "table_name": "cars",
        "source": "external",
        "state": "complete",
        "started_at": NOW - timedelta(seconds=103),
        "merged_at": NOW,
        "finished_at": NOW,
        "exit_code": 0,
        "version": "0.1.0",
        "fingerprints": {},
        "hash_scheme": "xxh3_128:v1",
        "counts": asdict(COUNTS),
    }
    values = dict.fromkeys(field.name for field in fields(Run))
    return Run(**{**values, **usual, **changes})


def a_past(state: Any = "complete", *, report: RunReport | None = None, **changes: Any) -> PastRun:
    """Give a past run."""
    run = a_run(**{"state": state, **changes})
    return PastRun(run, kind_of(run), state, report)


def a_sample(second: int, session: int = 1, **changes: Any) -> Sample:
    """Give the figures of a second."""
    usual: dict[str, Any] = dict.fromkeys(Sample.__struct_fields__, 0)
    usual |= {"session": session, "at": NOW + timedelta(seconds=second), "phase": "fetching"}
    usual |= {"elapsed_s": float(second), "pages_planned": 2000, "pages_done": 20 * second}
    usual |= {"pages_per_s": 20.0, "rss_by_kind": {}, "errors": {}, "rss_bytes": 312_000_000}
    return Sample(**{**usual, **changes})


def some_details(past: PastRun, **changes: Any) -> RunDetails:
    """Give the details of a past run of which nothing else is known."""
    details = RunDetails(past, (), {}, FailureCount(), (), (), (), ())
    return replace(details, **changes)
