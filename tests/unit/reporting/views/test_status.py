"""`carsync status`: the truth from the checkpoint alone, on 80 columns, with a next step."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from carsync.model import Check, MergeCounts
from carsync.reporting.views import status as view
from carsync.reporting.views.status import judge, render_line
from carsync.state.checkpoint import CheckpointState, LastOfMode
from carsync.state.clock import Moment
from tests.support import snapshots
from tests.support.snapshots import DAY_H, LAST, NOW, render_status


def shown(lock_held: bool = True, now: datetime = NOW, **changes: Any) -> str:
    return render_status(snapshots.checkpoint(**changes), now, lock_held)


# The text


def test_a_run_at_work_shows_how_far_how_fast_and_until_when() -> None:
    assert shown().splitlines() == [
        "carsync · external → public.cars                                         running",
        "",
        "  run      42 · started 2026-01-02 03:04:09 UTC, 1 min 12 s ago",
        "  phase    fetching · process 4242 · last sign of life 2 s ago",
        "  pages    ██████████████████░░░░░░░░░░░░░░░░░░░░░░░░░░░░  812 of 2,000 (40.6 %)",
        "  rows     81,197 staged · 3 rejected",
        "  rate     20.0 pages/s · 2,001 rows/s · eta 59 s",
        "  latency  mean 410 ms · p50 401 ms · p95 512 ms · p99 640 ms",
        "  errors   3 (429: 2, timeout: 1)",
        "  failed   page 17: the API answered 500 Internal Server Error",
        "",
        "last completed run",
        "  run      41 · took 1 min 43 s · ended 2026-01-01 03:05:21 UTC, 1 d ago",
        "  outcome  complete (exit 0)",
        "",
        "  seen            200,000      deactivated          40",
        "  inserted          2,000      held                  0",
        "  updated           1,999      rejected              3",
        "  reactivated          12      duplicate             1",
        "  unchanged       195,989      stale                 5",
        "",
        "next: nothing to do; the run is in progress",
    ]


def test_without_a_checkpoint_it_says_how_to_start() -> None:
    text = render_status(None, NOW, lock_held=False)
    assert "no run yet" in text
    assert text.endswith("next: run `carsync sync`")


def test_totals_not_yet_known_are_not_invented() -> None:
    text = shown(pages_planned=None, pages_done=3, eta_s=None, pages_per_s=0.0, latency=None)
    assert "░  3, total not known yet" in text
    for word in ("%", "eta", "rate", "latency"):
        assert word not in text.split("last completed run")[0]


def test_failed_pages_beyond_the_first_are_counted() -> None:
    failed = {str(page): "timeout" for page in range(1, 101)}
    text = shown(pages_failed=failed, pages_given_up=1234)
    assert text.count("timeout\n") == 3
    assert "and 1,231 more pages" in text


def test_a_failed_acceptance_check_of_the_last_run_is_named() -> None:
    check = Check("failed attempts", "≤ 5.00%", "7.10%", "fail")
    last = msgspec.structs.replace(LAST, exit_code=7, acceptance=(check,))
    text = shown(last_completed=last)
    assert "complete, but an acceptance check failed (exit 7)" in text
    assert "failed   failed attempts 7.10%, target ≤ 5.00%" in text


def test_a_last_run_that_was_no_success_shows_when_the_last_success_was() -> None:
    partial = msgspec.structs.replace(LAST, exit_code=5, state="partial")
    text = shown(last_completed=partial, last_success_at=NOW - timedelta(days=3))
    assert "success  last 2025-12-30 03:05:21 UTC, 3 d ago" in text
    assert "success  never yet" in shown(last_completed=partial, last_success_at=None)


def after_incremental(**changes: Any) -> CheckpointState:
    """Give the checkpoint of an incremental run that ended, with a full run unfinished before."""
    full = snapshots.checkpoint(last_success_at=NOW - timedelta(hours=7))
    counts = MergeCounts(seen=90, inserted=3, updated=60, unchanged=27)
    usual = {
        "run_id": 51,
        "mode": "incremental",
        "window_from": NOW - timedelta(hours=1),
        "window_overlap_s": 900.0,
        "state": "complete",
        "exit_code": 0,
        "phase": "ended",
        "incremental": LastOfMode(
            last_completed=replace(LAST, run_id=51, counts=counts),
            last_success_at=NOW - timedelta(minutes=12),
        ),
        "other": full.standing,
    }
    return replace(full, **{**usual, **changes})


def test_after_an_incremental_run_both_modes_are_told() -> None:
    lines = render_status(after_incremental(), NOW, False).splitlines()
    assert lines[0].endswith(" complete")
    assert (
        "newest data: 12 min old (incremental run 51); whole feed: 7 h old (full run 41)" in lines
    )
    text = "\n".join(lines)
    assert "  run      51 · incremental · started" in text
    assert "  reads    changes since 2026-01-02 02:05:21 UTC, 15 min overlap included" in text
    assert "last completed run of the whole feed\n  run      41 · took" in text
    assert "last completed incremental run\n  run      51 · took" in text
    assert "cars     3 inserted · 60 updated · 27 unchanged" in text
    words = " ".join(text.split())
    assert "full run 42: interrupted, 2026-01-02 03:05:19 UTC" in words
    assert "812 of 2,000 (40.6 %) are staged" in words
    step = "`carsync sync --mode full` again: it fetches only the pages that were not staged"
    assert words.endswith(f"next: run {step}")


def test_the_next_step_of_an_incremental_run_is_an_incremental_one() -> None:
    dead = after_incremental(state="running", exit_code=None)
    step = judge(dead, NOW, False, DAY_H).next_step
    assert step.startswith("run `carsync sync --mode incremental` again")
    assert dead.other is not None
    assert judge(dead.other, NOW, False, DAY_H).next_step.startswith("run `carsync sync` again")
    step = judge(dead.other, NOW, False, DAY_H, "incremental").next_step
    assert step.startswith("run `carsync sync --mode full` again")


def test_of_the_other_run_only_what_somebody_must_know_is_told() -> None:
    done = replace(snapshots.checkpoint().standing, state="complete", exit_code=0)
    assert (
        "full run" not in render_status(after_incremental(other=done), NOW, False).split("next:")[1]
    )
    held = replace(done, state="held", exit_code=6, hint="approve them with `carsync approve 42`")
    text = render_status(after_incremental(other=held), NOW, False)
    assert "full run 42: held" in text
    assert "approve them with `carsync approve 42`" in " ".join(text.split())


def test_a_failed_incremental_run_is_forgotten_when_a_full_run_is_complete() -> None:
    standing = snapshots.checkpoint().standing
    failed = replace(standing, mode="incremental", state="failed", exit_code=2)
    done = snapshots.checkpoint(state="complete", exit_code=0)
    for since_s, is_told in ((-1, False), (1, True)):
        at = LAST.finished_at + timedelta(seconds=since_s)
        text = render_status(replace(done, other=replace(failed, updated_at=at)), NOW, False)
        assert ("incremental run" in text) is is_told


def test_no_line_is_wider_than_the_terminal_beside_long_names() -> None:
    lines = shown(requests={"pages": 1}).splitlines()
    assert [line for line in lines if line.endswith("812 of 2,000 (40.6 %)")]


LONG = "the API at https://listings.example.com/api/v2/cars answered with something odd " * 3


@pytest.mark.parametrize("lock_held", [True, False])
@pytest.mark.parametrize(
    "changes",
    [
        {"state": "running"},
        {"state": "merging", "phase": "merging"},
        {"state": "interrupted", "exit_code": 143},
        {"state": "failed", "exit_code": 4, "problem": LONG, "hint": LONG},
        {"state": "partial", "exit_code": 5, "pages_failed": {"1": LONG}},
        {"state": "held", "exit_code": 6, "hint": LONG},
        {"state": "complete", "exit_code": 7},
        {"state": "complete", "exit_code": 0, "phase": "ended"},
        {"state": "running", "last_completed": None, "last_success_at": None, "run_id": None},
    ],
)
def test_every_state_fits_80_columns_and_ends_with_the_next_step(
    lock_held: bool, changes: dict[str, Any]
) -> None:
    text = shown(lock_held, NOW + timedelta(days=400), **changes)
    assert max(map(len, text.splitlines())) <= 80
    assert "\nnext: " in text
    assert "\x1b" not in text


@pytest.mark.parametrize("width", [40, 50, 80, 139, 140, 200, 400])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"state": "failed", "exit_code": 4, "problem": LONG, "hint": LONG},
        {"source": "a_feed_with_a_long_name", "pages_failed": {"1": LONG}, "last_completed": None},
    ],
)
def test_the_status_follows_the_width_of_the_terminal(width: int, changes: dict[str, Any]) -> None:
    state = snapshots.checkpoint(**changes)
    text = render_status(state, NOW, True, width=width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    words = " ".join(text.split())
    for figure in ("812 of 2,000 (40.6 %)", "81,197 staged", "p99 640 ms", "429: 2"):
        assert figure in words
    if state.last_completed is not None:
        assert "last completed run" in words
        assert ("last completed run" in lines[2]) is (width >= 140), "beside the run, or below it"


def test_the_line_for_a_log_holds_what_is_asked_first() -> None:
    assert render_line(snapshots.checkpoint(), NOW, True, DAY_H) == (
        "run 42 · fetching · pages 812 of 2,000 (40.6 %) · 20.0 pages/s · 2,001 rows/s · "
        "eta 59 s · errors 3 (429: 2, timeout: 1) · given up 1 page"
    )
    ended = snapshots.checkpoint(state="complete", exit_code=0, pages_done=2000, errors={})
    assert render_line(ended, NOW, False, DAY_H).startswith(
        "run 42 · complete · pages 2,000 of 2,000"
    )
    assert render_line(None, NOW, True, DAY_H) == "wait: the first run is starting"


def test_colour_changes_no_word() -> None:
    state = snapshots.checkpoint()
    colored = render_status(state, NOW, lock_held=True, color=True)
    plain = str(colored)
    for code in ("\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[0m"):
        plain = plain.replace(code, "")
    assert plain == render_status(state, NOW, lock_held=True)
    assert colored != plain


# The verdict


@pytest.mark.parametrize(
    ("changes", "lock_held", "age", "state", "step"),
    [
        ({}, True, timedelta(), "running", "nothing to do"),
        ({}, False, timedelta(), "interrupted", "only the pages that were not staged"),
        ({}, False, timedelta(hours=25), "interrupted", "starts a new run"),
        ({"tried": Moment(NOW)}, True, timedelta(), "interrupted", "wait a moment"),
        ({}, True, timedelta(minutes=5), "running", "if the run hangs, stop it"),
        ({"state": "merging"}, True, timedelta(minutes=5), "merging", "nothing to do"),
        (
            {"state": "merging"},
            False,
            timedelta(),
            "interrupted",
            "whether the merge was committed",
        ),
        ({"state": "complete", "exit_code": 0}, False, timedelta(), "complete", "nothing to do"),
        ({"state": "complete", "exit_code": 0}, True, timedelta(), "complete", "wait a moment"),
        ({"state": "partial", "exit_code": 5}, False, timedelta(), "partial", "sync` again"),
        ({"state": "interrupted", "exit_code": 143}, False, timedelta(), "interrupted", "resumes"),
        (
            {"state": "interrupted", "exit_code": 143},
            False,
            timedelta(hours=25),
            "interrupted",
            "starts a new run",
        ),
        (
            {"state": "failed", "exit_code": 4, "hint": "check the password"},
            False,
            timedelta(),
            "failed",
            "check the password; then run `carsync sync` again: it resumes",
        ),
    ],
)
def test_the_state_and_the_next_step(
    changes: dict[str, Any], lock_held: bool, age: timedelta, state: str, step: str
) -> None:
    verdict = judge(snapshots.checkpoint(**changes), NOW + age, lock_held, DAY_H)
    assert verdict.state == state
    assert step in verdict.next_step


def test_a_run_whose_process_died_is_shown_as_interrupted_and_why() -> None:
    text = shown(lock_held=False)
    assert text.splitlines()[0].endswith(" interrupted")
    assert "why: its process 4242 ended unexpectedly" in text
    assert "eta" not in text
    assert "running" not in text


def test_the_time_within_which_a_run_resumes_is_the_configured_one() -> None:
    late = NOW + timedelta(hours=2)
    assert "not staged" in judge(snapshots.checkpoint(), late, False, 3.0).next_step
    assert "starts a new run" in judge(snapshots.checkpoint(), late, False, 1.0).next_step


def test_a_silent_run_is_not_called_fine() -> None:
    silent = NOW + timedelta(seconds=view.SILENT_AFTER_S["running"] + 10)
    text = shown(lock_held=True, now=silent)
    assert "has reported nothing for" in text
    assert "in progress" not in text


def test_whether_a_run_is_too_old_to_resume_is_told_by_its_beginning() -> None:
    """As the next run decides it, however long this one had been at work."""
    long_at_work = snapshots.checkpoint(started_at=NOW - timedelta(hours=25))
    verdict = judge(long_at_work, NOW, False, DAY_H)
    assert "starts a new run" in verdict.next_step
