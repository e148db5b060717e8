"""The report of a run as data, and the next step."""

from __future__ import annotations

import json
from typing import Any

import pytest

from carsync.exit_codes import ADVICE, ExitCode, advise
from carsync.model import Check
from carsync.run.report import RunReport, last_run, next_step, outcome, summary_data
from tests.support import snapshots

CHECKS = (
    Check("duration", "≤ 25.0 min", "1.7 min", "pass"),
    Check("pages per second", "≥ 10.0/s", "20.0/s", "pass"),
    Check("failed attempts", "≤ 5.00%", "7.10%", "fail"),
    Check("memory growth", "off", "not measured", "n/a"),
)


def report(**changes: Any) -> RunReport:
    usual = {
        "exit_code": 7,
        "figures": snapshots.snapshot(
            pages_resumed=400, pages_staged=1600, eta_s=0.0, breaker_openings=1
        ),
        "checks": CHECKS,
        "notes": ("the reported total moved from 200,000 to 200,012 during the run",),
    }
    return snapshots.report(**{**usual, **changes})


def test_every_exit_code_has_its_meaning_and_a_next_step() -> None:
    assert set(ADVICE) == set(ExitCode)
    assert advise(99).next_step


def test_a_hint_comes_before_the_usual_advice() -> None:
    assert next_step(4, "free some space.") == (
        "free some space; then run `carsync sync` again: it resumes"
    )
    assert next_step(0, "") == "nothing to do"


def test_data_are_json_with_everything_in_it() -> None:
    data = json.loads(json.dumps(summary_data(report())))
    assert data["exit_code"] == 7
    assert data["state"] == "complete"
    assert data["meaning"] == "complete, but an acceptance check failed"
    assert data["next_step"] == "look at the checks; the table is in step with the feed"
    assert data["counts"]["unchanged"] == 195_989
    assert data["snapshot"]["latency_p95_s"] == 0.512
    assert data["checks"][2] == {
        "name": "failed attempts",
        "target": "≤ 5.00%",
        "measured": "7.10%",
        "verdict": "fail",
    }
    assert data["finished_at"] == "2026-01-02T03:05:21Z"
    assert summary_data(report(counts=None))["counts"] is None


@pytest.mark.parametrize(("exit_code", "expected"), [(0, True), (7, True), (5, False), (6, False)])
def test_only_a_table_equal_to_the_feed_is_success(exit_code: int, expected: bool) -> None:
    assert report(exit_code=exit_code).is_success is expected


def test_what_is_remembered_of_a_merged_run_and_of_no_other() -> None:
    kept = last_run(report())
    assert kept is not None
    assert (kept.run_id, kept.exit_code, kept.counts) == (42, 7, snapshots.COUNTS)
    assert kept.acceptance == CHECKS
    assert last_run(report(counts=None)) is None
    assert last_run(report(run_id=None)) is None


def test_a_hint_to_run_again_needs_no_further_advice() -> None:
    assert next_step(3, "run again: it resumes") == "run again: it resumes"
    assert outcome(75).endswith("(exit 75)")
