"""Exit codes: what a merge, its doubts and the acceptance checks come to."""

from __future__ import annotations

from carsync.decision import DeactivationAction, Decision
from carsync.errors import CheckpointError, DatabaseUnavailableError
from carsync.exit_codes import ExitCode
from carsync.model import ORDINARY, Check, MergeCounts, RunOptions
from carsync.run.outcome import failed, judged, merged, of_options, unsaved
from carsync.run.report import next_step

GOOD = Decision("deactivate")
MISSED = Check("pages per second", "≥ 10.0/s", "3.0/s", "fail")


def test_an_error_ends_the_run_with_its_own_code_and_words() -> None:
    ending = failed(DatabaseUnavailableError("gone", detail="refused", hint="start it"))
    assert (ending.state, ending.exit_code) == ("failed", ExitCode.DATABASE)
    assert (ending.problem, ending.detail, ending.hint) == ("gone", "refused", "start it")


def test_failed_pages_make_it_partial_and_name_the_first() -> None:
    ending = merged(1, MergeCounts(held=3), GOOD, {4: "empty", 9: "HTTP 500"}, 20)
    assert (ending.state, ending.exit_code) == ("partial", ExitCode.PARTIAL)
    assert "2 of 20 pages" in ending.problem
    assert ending.detail == "page 4: empty"


def test_held_cars_name_the_command_that_approves_them() -> None:
    decision = Decision("prove", ("drift",), max_deactivations=10)
    ending = merged(17, MergeCounts(held=3), decision, {}, 20)
    assert (ending.state, ending.exit_code) == ("held", ExitCode.HELD)
    assert "carsync approve 17" in ending.hint
    assert ending.detail == "drift"


def test_cars_that_the_merge_held_over_the_cap_say_so() -> None:
    actions: tuple[DeactivationAction, ...] = ("prove", "deactivate")
    for action in actions:
        decision = Decision(action, (), max_deactivations=2)
        ending = merged(17, MergeCounts(held=3), decision, {}, 20)
        assert (ending.state, ending.exit_code) == ("held", ExitCode.HELD)
        assert ending.detail.startswith("3 cars were absent when the run was merged")
        assert "at most 2 may be deactivated" in ending.detail
        assert merged(17, MergeCounts(held=2), decision, {}, 20).detail == ""


def test_a_hold_without_cars_is_no_success() -> None:
    ending = merged(1, MergeCounts(), Decision("hold", ("too few",)), {}, 20)
    assert ending.exit_code is ExitCode.HELD


def test_cars_that_a_rival_wrote_are_no_success() -> None:
    kept = merged(1, MergeCounts(kept=2, stale=2), GOOD, {}, 20)
    assert (kept.exit_code, "2 cars are not as the feed has them" in kept.problem) == (5, True)
    ending = merged(1, MergeCounts(stale=2), GOOD, {}, 20)
    assert ending.exit_code is ExitCode.PARTIAL
    assert "2 cars were written by another program" in ending.problem


def test_a_missed_target_counts_only_where_all_else_is_well() -> None:
    complete = merged(1, MergeCounts(), GOOD, {}, 20)
    assert complete.exit_code is ExitCode.OK
    assert judged(complete, ()).exit_code is ExitCode.OK
    assert judged(complete, (MISSED,)).exit_code is ExitCode.ACCEPTANCE
    assert "3.0/s" in judged(complete, (MISSED,)).detail
    partial = merged(1, MergeCounts(), GOOD, {4: "empty"}, 20)
    assert judged(partial, (MISSED,)).exit_code is ExitCode.PARTIAL


def test_a_merged_run_whose_checkpoint_is_unsaved_says_that_it_is_merged() -> None:
    full = CheckpointError("cannot write the checkpoint: full", detail="/x", hint="free space")
    counts = MergeCounts(updated=3)
    ending = unsaved(merged(1, counts, GOOD, {}, 20), full)
    assert (ending.state, ending.exit_code, ending.counts) == ("complete", ExitCode.CONFIG, counts)
    assert ending.problem.startswith("the table is in step with the feed, but cannot write")
    assert (ending.detail, ending.hint) == ("/x", "free space")


def test_a_run_that_failed_anyway_keeps_its_own_exit_code() -> None:
    ending = failed(DatabaseUnavailableError("gone"))
    assert unsaved(ending, CheckpointError("cannot write the checkpoint")) == ending


def test_a_taste_is_no_success_and_says_how_to_read_the_rest() -> None:
    ending = merged(1, MergeCounts(inserted=300), GOOD, {}, 3, is_part=True)
    assert (ending.state, ending.exit_code) == ("partial", ExitCode.PARTIAL)
    assert "only 3 pages were read" in ending.problem
    assert next_step(ending.exit_code, ending.hint).startswith("run again without --max-pages")


def test_nothing_of_a_dry_run_is_approved_or_resumed() -> None:
    dry, taste = RunOptions(dry_run=True), RunOptions(max_pages=3)
    held = merged(17, MergeCounts(held=3), Decision("prove"), {}, 20)
    hint = of_options(held, dry).hint
    assert hint == "nothing was written; to write the changes, run again without --dry-run"
    lost = failed(DatabaseUnavailableError("gone", hint="start it."))
    assert of_options(lost, dry).hint == "start it; a dry run cannot be resumed; run again"
    assert (
        of_options(lost, taste).hint == "start it; a run with --max-pages is not resumed; run again"
    )
    assert of_options(held, taste) == of_options(held, ORDINARY) == held
