"""The checkpoint on disk says at every moment where the run stands, and how it ended."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from carsync.model import EndState, PageInfo
from carsync.run.checkpoint_writer import SAVE_EVERY_S, CheckpointWriter, idle_since
from carsync.run.report import RunReport
from carsync.source.pagination.feed_plan import FeedPlan
from carsync.state.checkpoint import MAX_FAILED_PAGES, CheckpointState, load
from carsync.state.clock import Moment
from carsync.state.file_lock import FileLock
from tests.support import snapshots
from tests.support.fake_clock import FakeClock
from tests.support.plans import feed_plan_of

STARTED = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "public.cars.json"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock()
    monkeypatch.setattr("carsync.run.checkpoint_writer.time", SimpleNamespace(monotonic=clock))
    return clock


NAMED: Any = {"source": "s", "target": "t", "place": "", "fingerprints": {}}


def begun(path: Path, previous: CheckpointState | None = None) -> CheckpointWriter:
    writer = CheckpointWriter(
        path,
        FileLock(path),
        source="external",
        target="public.cars",
        place="public.cars-1a2b3c4d",
        fingerprints={"feed": "f", "mapping": "m", "table": "t"},
        previous=previous,
    )
    writer.begin(17, "a-token", STARTED)
    return writer


def on_disk(path: Path) -> CheckpointState:
    state = load(path)
    assert state is not None
    return state


def report(state: EndState, exit_code: int, **changes: Any) -> RunReport:
    """Give the end of a run; with `counts` its merge was committed."""
    last = snapshots.LAST
    usual = {"run_id": last.run_id, "finished_at": last.finished_at, "counts": None}
    return snapshots.report(state=state, exit_code=exit_code, **{**usual, **changes})


MERGED: dict[str, Any] = {"counts": snapshots.COUNTS, "checks": snapshots.LAST.acceptance}


def plan_with(staged: int, planned: int, failed: dict[int, str] | None = None) -> FeedPlan:
    """Give a plan with the pages 1 to `staged` staged and those of `failed` given up."""
    plan = feed_plan_of()
    for page in range(1, max([staged, *(failed or {})]) + 1):
        assert plan.next_page() == page
        if failed and page in failed:
            plan.fail(page, failed[page])
        elif page <= staged:
            plan.mark_staged(page, 100, PageInfo(planned, planned * 100))
    return plan


def test_nothing_is_written_before_the_run_has_a_name(path: Path) -> None:
    CheckpointWriter(path, FileLock(path), **NAMED, previous=None)
    assert not path.exists()


def test_a_run_that_began_is_on_disk_with_its_process(path: Path) -> None:
    begun(path)
    state = on_disk(path)
    assert (state.run_id, state.token, state.started_at) == (17, "a-token", STARTED)
    assert (state.state, state.phase, state.pid) == ("running", "starting", os.getpid())
    assert state.fingerprints == {"feed": "f", "mapping": "m", "table": "t"}
    assert datetime.now(UTC) - state.updated_at < timedelta(minutes=1)
    assert (state.last_completed, state.last_success_at) == (None, None)
    assert state.place == "public.cars-1a2b3c4d"


def test_where_the_run_stands_is_written_in_full(path: Path) -> None:
    figures = snapshots.snapshot()
    begun(path).note("fetching", plan_with(12, 20, {15: "500"}), figures, state="merging")
    state = on_disk(path)
    assert (state.phase, state.state) == ("fetching", "merging")
    assert (state.pages_planned, state.pages_done, state.pages_ranges) == (20, 12, "1-12")
    assert (state.pages_failed, state.pages_given_up) == ({"15": "500"}, 1)
    assert (state.rows_staged, state.rejects) == (figures.rows_staged, figures.rejects)
    assert (state.pages_per_s, state.rows_per_s) == (figures.pages_per_s, figures.rows_per_s)
    assert (state.eta_s, state.errors) == (figures.eta_s, figures.errors)
    assert state.latency is not None
    assert (state.latency.mean_s, state.latency.p99_s) == (0.41, 0.64)


def test_a_run_without_an_answer_yet_has_no_latency(path: Path) -> None:
    begun(path).note("fetching", plan_with(0, 0), snapshots.snapshot(latency_mean_s=None))
    assert on_disk(path).latency is None


def test_of_very_many_failed_pages_an_excerpt_is_kept_and_all_are_counted(path: Path) -> None:
    failed = dict.fromkeys(range(2, 2 + 5 * MAX_FAILED_PAGES), "500")
    begun(path).note("fetching", plan_with(1, 2000, failed), snapshots.snapshot())
    state = on_disk(path)
    assert len(state.pages_failed) == MAX_FAILED_PAGES
    assert state.pages_given_up == len(failed)


def test_progress_is_written_at_most_every_two_seconds(path: Path, clock: FakeClock) -> None:
    writer = begun(path)
    writer.progress("fetching", plan_with(1, 20), snapshots.snapshot())
    assert on_disk(path).phase == "starting"
    clock.advance(SAVE_EVERY_S)
    writer.progress("fetching", plan_with(2, 20), snapshots.snapshot())
    writer.progress("fetching", plan_with(3, 20), snapshots.snapshot())
    assert (on_disk(path).phase, on_disk(path).pages_done) == ("fetching", 2)


def test_the_end_says_why_and_keeps_how_far_the_run_got(path: Path) -> None:
    writer = begun(path)
    writer.note("fetching", plan_with(12, 20), snapshots.snapshot())
    ended = report("failed", 4, problem="the connection broke", hint="run again")
    writer.end(plan_with(12, 20), ended)
    state = on_disk(path)
    assert (state.state, state.exit_code, state.phase) == ("failed", 4, "ended")
    assert (state.problem, state.hint) == ("the connection broke", "run again")
    assert (state.pages_done, state.eta_s) == (12, None)
    assert (state.last_completed, state.last_success_at) == (None, None)
    assert state.place == "public.cars-1a2b3c4d"


def test_a_failed_run_keeps_the_last_good_one_in_memory(path: Path) -> None:
    writer = begun(path, previous=snapshots.checkpoint())
    assert on_disk(path).last_completed == snapshots.LAST
    writer.end(plan_with(12, 20), report("failed", 3))
    state = on_disk(path)
    assert state.last_completed == snapshots.LAST
    assert state.last_success_at == snapshots.LAST.finished_at


def test_a_merged_run_becomes_the_last_one_and_only_success_counts_as_success(path: Path) -> None:
    plan = plan_with(12, 20)
    partial = report("partial", 5, **MERGED)
    begun(path, previous=snapshots.checkpoint(last_completed=None)).end(plan, partial)
    state = on_disk(path)
    assert state.last_completed == msgspec.structs.replace(
        snapshots.LAST, state="partial", exit_code=5
    )
    assert state.last_success_at == snapshots.LAST.finished_at
    data_at = snapshots.LAST.finished_at + timedelta(hours=3)
    begun(path, previous=state).end(plan, report("complete", 0, data_at=data_at, **MERGED))
    assert on_disk(path).last_completed == snapshots.LAST
    assert on_disk(path).last_success_at == data_at


def delta(path: Path, previous: CheckpointState | None) -> CheckpointWriter:
    """Begin an incremental run."""
    writer = CheckpointWriter(path, FileLock(path), **NAMED, previous=previous, mode="incremental")
    writer.begin(18, "its-token", STARTED, "incremental")
    return writer


def test_an_incremental_run_leaves_what_is_remembered_of_full_runs(path: Path) -> None:
    full = snapshots.checkpoint()
    writer = delta(path, full)
    writer.ask(STARTED, 900.0)
    state = on_disk(path)
    assert (state.mode, state.window_from, state.window_overlap_s) == ("incremental", STARTED, 900)
    assert state.other == full.standing, "an unfinished full run is found again"
    at = snapshots.NOW + timedelta(hours=1)
    ended = report("complete", 0, data_at=at, run_id=18, mode="incremental", **MERGED)
    writer.end(plan_with(1, 1), ended)
    state = on_disk(path)
    assert (state.last_completed, state.last_success_at) == (snapshots.LAST, full.last_success_at)
    assert state.incremental is not None
    assert state.incremental.last_success_at == at
    assert state.incremental.last_completed is not None
    assert state.incremental.last_completed.run_id == 18

    delta(path, state).end(plan_with(0, 1), report("failed", 3, mode="incremental"))
    failed = on_disk(path)
    assert failed.incremental == state.incremental
    assert failed.other == full.standing, "the full run is still the other one"

    begun(path, previous=failed)
    resumed = on_disk(path)
    assert resumed.other == failed.standing
    assert resumed.incremental == state.incremental
    assert resumed.window_from is None
    assert resumed.standing_of("incremental") == failed.standing
    assert resumed.standing_of("full") == resumed


def test_an_incremental_run_that_became_a_full_one_is_one(path: Path) -> None:
    full = snapshots.checkpoint()
    writer = CheckpointWriter(path, FileLock(path), **NAMED, previous=full, mode="incremental")
    writer.begin(18, "its-token", STARTED, "full")
    assert (on_disk(path).mode, on_disk(path).other) == ("full", None)
    writer.end(plan_with(1, 1), report("complete", 0, data_at=STARTED, **MERGED))
    assert on_disk(path).last_success_at == STARTED
    assert on_disk(path).incremental is None


ENDED = snapshots.checkpoint(state="complete", boot_id="a-boot", updated_uptime_s=1000.0)
HOUR_S = 3600.0


def after(passed_s: float, *, step_s: float = 0.0, boot_id: str = "a-boot") -> Moment:
    """Give the moment `passed_s` after the end of the run, the wall clock set by `step_s`."""
    wall = ENDED.updated_at + timedelta(seconds=passed_s + step_s)
    return Moment(wall, boot_id, ENDED.updated_uptime_s + passed_s)


def test_how_long_the_api_was_left_alone() -> None:
    assert idle_since(ENDED, after(10)) == 10
    # A run that was killed may have asked until its next save was due.
    assert idle_since(msgspec.structs.replace(ENDED, state="running"), after(10)) == 8
    assert idle_since(ENDED, after(0)) == 0


def test_without_a_checkpoint_the_api_may_have_been_asked_a_moment_ago() -> None:
    assert idle_since(None, after(10)) == 0


@pytest.mark.parametrize("step_s", [HOUR_S, -HOUR_S])
def test_a_clock_that_was_set_never_grants_a_second_burst(step_s: float) -> None:
    assert idle_since(ENDED, after(1, step_s=step_s)) <= 1


def test_after_a_reboot_no_more_than_the_uptime_is_believed() -> None:
    rebooted = Moment(ENDED.updated_at + timedelta(seconds=HOUR_S), "another-boot", 20.0)
    assert idle_since(ENDED, rebooted) == 20
    quick = Moment(ENDED.updated_at + timedelta(seconds=5), "another-boot", 20.0)
    assert idle_since(ENDED, quick) == 5, "the folder may have moved to another machine"


def test_an_uptime_that_runs_backwards_is_another_machine_s(path: Path) -> None:
    """A container's clocks may have an offset of their own (time_namespaces(7))."""
    elsewhere = Moment(ENDED.updated_at + timedelta(seconds=HOUR_S), "a-boot", 3.0)
    assert idle_since(ENDED, elsewhere) == 3


def test_a_checkpoint_of_an_older_carsync_goes_by_the_wall_clock(path: Path) -> None:
    body = msgspec.to_builtins(ENDED)
    del body["boot_id"], body["updated_uptime_s"]
    assert idle_since(msgspec.convert(body, CheckpointState), after(10)) == 10


@pytest.mark.skipif(sys.platform != "linux", reason="LINUX ONLY: boots have no names elsewhere")
def test_every_save_notes_the_boot_and_its_uptime(path: Path) -> None:
    before = Moment.now()
    begun(path)
    saved = on_disk(path).updated
    assert saved.boot_id
    assert before.boot_id == saved.boot_id
    assert before.uptime_s <= saved.uptime_s <= Moment.now().uptime_s


def test_a_dry_run_leaves_the_checkpoint_but_for_when_it_asked_the_api(path: Path) -> None:
    dry = CheckpointWriter(path, FileLock(path), **NAMED, previous=None, dry_run=True)
    dry.begin(17, "a-token", STARTED)
    assert not path.exists()
    writer = CheckpointWriter(path, FileLock(path), **NAMED, previous=ENDED, dry_run=True)
    writer.begin(17, "a-token", STARTED)
    writer.end(plan_with(12, 20), report("complete", 0))
    kept = on_disk(path)
    assert kept.tried is not None
    assert msgspec.structs.replace(kept, tried=None) == ENDED


def test_the_api_had_no_rest_while_a_dry_run_was_tried() -> None:
    tried = msgspec.structs.replace(ENDED, tried=after(100))
    assert idle_since(tried, after(107)) == 7 - SAVE_EVERY_S
    assert idle_since(ENDED, after(107)) == 107
