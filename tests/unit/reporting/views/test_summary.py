"""The summary of a run, for people and for programs."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import timedelta
from typing import Any

import pytest

from carsync import formatting
from carsync.errors import FailureKind
from carsync.exit_codes import ADVICE, ExitCode, advise
from carsync.model import Check, MergeCounts
from carsync.reporting.views.layout import counts_grid
from carsync.reporting.views.summary import render_summary
from carsync.run.metrics import Metrics
from carsync.run.report import RunReport, next_step, summary_data
from tests.support import snapshots
from tests.support.snapshots import COUNTS, NOW

CHECKS = (
    Check("duration", "≤ 25.0 min", "1.7 min", "pass"),
    Check("pages per second", "≥ 10.0/s", "20.0/s", "pass"),
    Check("failed attempts", "≤ 5.00%", "7.10%", "fail"),
    Check("memory growth", "off", "not measured", "n/a"),
)


def report(**changes: Any) -> RunReport:
    usual: dict[str, Any] = {
        "run_id": 42,
        "state": "complete",
        "exit_code": 7,
        "source": "external",
        "target": "public.cars",
        "started_at": NOW - timedelta(seconds=103),
        "finished_at": NOW,
        "duration_s": 103.4,
        "figures": snapshots.snapshot(
            pages_resumed=400, pages_staged=1600, eta_s=0.0, breaker_openings=1
        ),
        "counts": COUNTS,
        "checks": CHECKS,
        "notes": ("the reported total moved from 200,000 to 200,012 during the run",),
    }
    return RunReport(**{**usual, **changes})


def test_the_whole_summary() -> None:
    assert render_summary(report()).splitlines() == [
        "run 42 · external → public.cars                                         complete",
        "",
        "  outcome  complete, but an acceptance check failed (exit 7)",
        "  time     1 min 43 s · ended 2026-01-02 03:05:21 UTC",
        "  pages    2,000 of 2,000 (100.0 %) · 400 kept from the interrupted run",
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
        "next: look at the checks; the table is in step",
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


def test_every_exit_code_has_its_meaning_and_a_next_step() -> None:
    assert set(ADVICE) == set(ExitCode)
    assert advise(99).next_step


def test_a_hint_comes_before_the_usual_advice() -> None:
    assert next_step(4, "free some space.") == (
        "free some space; then run `carsync sync` again: it resumes"
    )
    assert next_step(0, "") == "nothing to do"


def test_a_dry_run_says_so_in_both_tongues() -> None:
    text = render_summary(report(dry_run=True, exit_code=0))
    assert text.startswith("dry run · external")
    assert "dry run: nothing was written" in text
    assert summary_data(report(dry_run=True))["dry_run"] is True
    assert "dry run" not in render_summary(report())


def test_the_grid_holds_every_count_once() -> None:
    counts = MergeCounts(*range(1, 1 + len(fields(MergeCounts))))
    words = " ".join(counts_grid(counts)).split()
    shown = dict(zip(words[::2], map(int, words[1::2]), strict=True))
    assert shown == {
        f.name: getattr(counts, f.name) for f in fields(MergeCounts) if f.name != "deleted"
    }, "no run that reads the feed deletes"


def test_colour_marks_verdicts_and_changes_no_word() -> None:
    colored = render_summary(report(), color=True)
    assert "\x1b[31mfail\x1b[0m" in colored
    plain = colored
    for code in ("1", "2", "31", "32", "33", "0"):
        plain = plain.replace(f"\x1b[{code}m", "")
    assert plain == render_summary(report())


def test_data_are_json_with_everything_in_it() -> None:
    data = json.loads(json.dumps(summary_data(report())))
    assert data["exit_code"] == 7
    assert data["state"] == "complete"
    assert data["meaning"] == "complete, but an acceptance check failed"
    assert data["next_step"] == "look at the checks; the table is in step"
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


# How figures are written


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1.0, "0 s"),
        (0.0, "0 s"),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (60.0, "1 min"),
        (3599.6, "1 h"),
        (3660.0, "1 h 1 min"),
        (86400.0, "1 d"),
        (90_000.0, "1 d 1 h"),
        (34_560_000.0, "400 d"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert formatting.duration(seconds) == words


def test_nothing_rounds_up_to_complete() -> None:
    assert formatting.share(1_999_999, 2_000_000) == "99.9 %"
    assert formatting.bar(1_999_999, 2_000_000, 10) == "█" * 9 + "░"
    assert formatting.bar(5, 4, 4) == "████"
    assert formatting.bar(0, 0, 3) == "░░░"


def test_every_class_of_failure_has_a_name_of_its_own() -> None:
    names = {formatting.error_name(kind) for kind in FailureKind}
    assert len(names) == len(FailureKind)
    assert "rate_limited" not in names


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", None])
def test_every_output_can_be_printed(encoding: str | None) -> None:
    text = formatting.fit(render_summary(report()), encoding)
    assert text.encode(encoding or "ascii")
    assert "40" in text
