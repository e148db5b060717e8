"""The summary of a run, for people and for programs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from carsync import formatting
from carsync.exit_codes import ExitCode
from carsync.model import Check
from carsync.reporting.views.summary import render_summary
from carsync.run.figures.metrics import Metrics
from carsync.run.report import RunReport, summary_data
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


def test_an_incremental_run_says_which_changes_it_asked_for() -> None:
    since = snapshots.NOW - timedelta(minutes=75)
    delta = report(run_id=51, mode="incremental", window_from=since, window_overlap_s=900.0)
    lines = render_summary(delta).splitlines()
    assert lines[0].startswith("run 51 · incremental · external → public.cars  ")
    assert lines[3] == "  reads    changes since 2026-01-02 01:50:21 UTC, 15 min overlap included"


def test_the_whole_summary() -> None:
    assert render_summary(report()).splitlines() == [
        "run 42 · external → public.cars                                         complete",
        "",
        "  outcome  complete, but an acceptance check failed (exit 7)",
        "  time     1 min 43 s · ended 2026-01-02 03:05:21 UTC",
        "  pages    2,000 of 2,000 (100.0 %) · 400 staged before the interruption",
        "  rows     81,197 staged · 3 rejected",
        "  rate     19.9 pages/s · 2,001 rows/s · 21,034 rows/s of a busy writer",
        "  latency  mean 410 ms · p50 401 ms · p95 512 ms · p99 640 ms",
        "  traffic  814 requests · 31 MB received, 310 MB unpacked",
        "  errors   2 (429: 2) · 2 retried · breaker opened 1 time",
        "  memory   peak 330 MB in all processes · slope +0.4 MB/min",
        "",
        "  seen            200,000      deactivated          40",
        "  inserted          2,000      held                  0",
        "  updated           1,999      rejected              3",
        "  reactivated          12      duplicate             1",
        "  unchanged       195,989      stale                 5",
        "",
        "  acceptance        measured      target",
        "  duration          1.7 min       ≤ 25.0 min                                pass",
        "  pages per second  20.0/s        ≥ 10.0/s                                  pass",
        "  failed attempts   7.10%         ≤ 5.00%                                   fail",
        "  memory growth     not measured  off                                       n/a",
        "",
        "note: the reported total moved from 200,000 to 200,012 during the run",
        "",
        "next: look at the checks; the table is in step with the feed",
    ]


def test_a_failed_run_names_problem_detail_and_the_next_step() -> None:
    text = render_summary(
        report(
            state="failed",
            exit_code=3,
            counts=None,
            checks=(),
            notes=(),
            problem="the API refused the key",
            detail="GET https://api.example.com/cars?page=1 answered 401",
            hint="check API_KEY",
        )
    )
    assert text.splitlines()[0].endswith(" failed")
    assert "seen" not in text
    assert "acceptance" not in text
    assert text.splitlines()[-3:] == [
        "problem: the API refused the key",
        "detail: GET https://api.example.com/cars?page=1 answered 401",
        "next: check API_KEY; then run `carsync sync` again: it resumes",
    ]


def test_what_was_not_measured_is_not_invented() -> None:
    empty = Metrics(lambda: 0.0).snapshot(None, 0)
    text = render_summary(report(figures=empty, run_id=None, counts=None, checks=(), notes=()))
    assert "latency  –" in text
    assert "None" not in text
    assert "slope" not in text
    assert "busy writer" not in text


@pytest.mark.parametrize("exit_code", list(ExitCode))
def test_no_exit_code_breaks_the_80_columns(exit_code: ExitCode) -> None:
    words = "a sentence that goes on and on, as error messages from afar sometimes do, " * 3
    text = render_summary(
        report(exit_code=int(exit_code), problem=words, detail=words, hint=words, notes=(words,))
    )
    assert max(map(len, text.splitlines())) <= 80
    assert f"(exit {int(exit_code)})" in text


def test_a_dry_run_says_so_in_both_tongues() -> None:
    text = render_summary(report(dry_run=True, exit_code=0))
    assert text.startswith("dry run · external")
    assert "dry run: nothing was written" in text
    assert summary_data(report(dry_run=True))["dry_run"] is True
    assert "dry run" not in render_summary(report())


def test_colour_marks_verdicts_and_changes_no_word() -> None:
    colored = render_summary(report(), color=True)
    assert "\x1b[31mfail\x1b[0m" in colored
    plain = str(colored)
    for code in ("1", "2", "31", "32", "33", "0"):
        plain = plain.replace(f"\x1b[{code}m", "")
    assert plain == render_summary(report())


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", None])
def test_every_output_can_be_printed(encoding: str | None) -> None:
    text = formatting.fit(render_summary(report()), encoding)
    assert text.encode(encoding or "ascii")
    assert "40" in text
