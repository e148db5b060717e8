"""How a run ended: state, exit code and the words for the operator. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from carsync import formatting
from carsync.decision import Decision
from carsync.errors import CarsyncError, CheckpointError
from carsync.exit_codes import ExitCode
from carsync.model import Check, EndState, MergeCounts, RunOptions


class Outcome(Struct, frozen=True):
    """`counts` is set once the merge is committed, whatever came after it."""

    state: EndState
    exit_code: ExitCode
    counts: MergeCounts | None = None
    problem: str = ""
    detail: str = ""
    hint: str = ""


def failed(exc: CarsyncError) -> Outcome:
    """Return the outcome of a run that an error ended."""
    state: EndState = "held" if exc.exit_code is ExitCode.HELD else "failed"
    return Outcome(state, exc.exit_code, None, exc.problem, exc.detail, exc.hint)


def lost(run_id: int) -> Outcome:
    """Return the outcome of a run whose merge was committed, and is not in the database."""
    return Outcome(
        "failed",
        ExitCode.DATABASE,
        None,
        "the merge was committed, but the database has lost it",
        f"it does not know that run {run_id} was merged: a standby that lagged behind took over, "
        "or a backup was put back",
        "run `carsync sync` again; a synchronous standby loses no commit",
    )


def merged(
    run_id: int,
    counts: MergeCounts,
    decision: Decision,
    failed_pages: Mapping[int | str, str],
    planned: int,
    *,
    is_part: bool = False,
    unread: str = "",
    removals_problem: str = "",
) -> Outcome:
    """Return the outcome of a run that was merged: partial, held or complete.

    `failed_pages` maps each of the `planned` pages that could not be read to its problem, in order.
    `is_part`: no more than these were to be read. `unread` says why an incremental run may not have
    read all changes, `removals_problem` why a run has not read all tombstones.
    """
    if failed_pages or is_part:
        return _partial(run_id, counts, decision, failed_pages, planned)
    if unread:
        hint = "run again: the next incremental run asks for the same changes"
        problem = "not all changes could be read; those that were are merged"
        return Outcome("partial", ExitCode.PARTIAL, counts, problem, unread, hint)
    if counts.held or decision.is_held:
        return _held(run_id, counts, decision)
    if removals_problem:
        hint = "run again: the next run asks for the same tombstones"
        problem = "not all tombstones could be read; everything else is merged"
        return Outcome("partial", ExitCode.PARTIAL, counts, problem, removals_problem, hint)
    if decision.missed:
        return Outcome(
            "partial",
            ExitCode.PARTIAL,
            counts,
            f"{formatting.plural(decision.missed, 'listed car', 'was', 'were')} on no page that "
            "was read; all others are merged",
            "the API, asked by id, has them: they slipped between pages while these were read. The "
            "answers by id cannot be merged, because their values are not those of the pages",
        )
    if counts.kept:
        return Outcome(
            "partial",
            ExitCode.PARTIAL,
            counts,
            f"{formatting.plural(counts.kept, 'car', 'is', 'are')} not as the feed has them: the "
            "table's own trigger keeps them otherwise, or the table refuses to let them go",
            hint="`carsync check` names the triggers; nothing to do where that is meant",
        )
    if counts.stale:
        return Outcome(
            "partial",
            ExitCode.PARTIAL,
            counts,
            f"{formatting.plural(counts.stale, 'car', 'was', 'were')} written by another program "
            "after the page was requested",
            "the feed's values may be older than the table's, so carsync left them as they are",
        )
    return Outcome("complete", ExitCode.OK, counts)


def _partial(
    run_id: int,
    counts: MergeCounts,
    decision: Decision,
    failed_pages: Mapping[int | str, str],
    planned: int,
) -> Outcome:
    """Return the outcome where pages failed, or only the first ones were asked for."""
    if failed_pages:
        page, why = next(iter(failed_pages.items()))
        kept = "no car of their lists" if decision.lists else "no car"
        problem = (
            f"{formatting.part(len(failed_pages), planned, 'page')} could not be read; the others "
            f"are merged, {kept} is deactivated"
        )
        hint = _hint_to_approve(run_id) if decision.lists and counts.held else ""
        detail = formatting.of_page(page, why)
        return Outcome("partial", ExitCode.PARTIAL, counts, problem, detail, hint)
    read = formatting.plural(planned, "page", "was", "were")
    problem = f"only {read} read (--max-pages); no car is deactivated"
    hint = "run again without --max-pages: it reads the whole feed"
    return Outcome("partial", ExitCode.PARTIAL, counts, problem, hint=hint)


def _held(run_id: int, counts: MergeCounts, decision: Decision) -> Outcome:
    hint = "find out why the feed did not list all of its cars"
    if counts.held:
        hint = _hint_to_approve(run_id)
    reasons, most = list(decision.reasons), decision.max_deactivations
    if decision.action in {"prove", "deactivate"} and counts.held > most:
        reasons.append(  # more were absent in the merge than the decision was over
            f"{formatting.plural(counts.held, 'car', 'was', 'were')} absent when the run was "
            f"merged, and at most {most:,} may be deactivated (sync.deactivate)"
        )
    problem = f"{formatting.plural(counts.held, 'deactivation', 'is', 'are')} held"
    if not counts.held:
        problem = "the feed may hold more than was read; nothing was deactivated"
        if decision.expected > counts.seen:
            seen = formatting.part(counts.seen, decision.expected, "car")
            problem = f"the feed was read incompletely: {seen}; nothing was deactivated"
    return Outcome("held", ExitCode.HELD, counts, problem, "; ".join(reasons), hint)


def _hint_to_approve(run_id: int) -> str:
    return f"look at the held cars and approve them with `carsync approve {run_id}`"


def of_options(outcome: Outcome, options: RunOptions) -> Outcome:
    """Return the outcome with the next step that a dry run, or a sample, leaves to do."""
    if options.dry_run and outcome.counts is not None:
        hint = "nothing was written; to write the changes, run again without --dry-run"
    elif options.dry_run:
        hint = "a dry run cannot be resumed; run again"
    elif options.scope == "sample" and outcome.counts is None:
        hint = "a run with --max-pages is not resumed; run again"
    else:
        return outcome
    is_kept = outcome.hint and outcome.counts is None
    return replace(outcome, hint=f"{outcome.hint.rstrip('.')}; {hint}" if is_kept else hint)


def recorded_state(outcome: Outcome, *, is_part: bool) -> EndState:
    """Return the state that the database keeps: where a part was merged, the run is not complete.

    >>> recorded_state(Outcome("interrupted", ExitCode.SIGINT, MergeCounts()), is_part=True)
    'partial'
    >>> recorded_state(Outcome("interrupted", ExitCode.SIGINT), is_part=True)
    'interrupted'
    """
    is_merged = outcome.state == "interrupted" and outcome.counts is not None
    return "partial" if is_merged and is_part else outcome.state


def unsaved(outcome: Outcome, exc: CheckpointError) -> Outcome:
    """Return the outcome where the checkpoint could not tell it; another exit code than 0 stays."""
    if outcome.exit_code is not ExitCode.OK:
        return outcome
    problem = f"the table is in step with the feed, but {exc.problem}"
    return replace(
        outcome, exit_code=exc.exit_code, problem=problem, detail=exc.detail, hint=exc.hint
    )


def judged(outcome: Outcome, checks: tuple[Check, ...]) -> Outcome:
    """Return the outcome with exit code 7 where it was complete but a check failed."""
    missed = [check for check in checks if check.verdict == "fail"]
    if not missed or outcome.exit_code is not ExitCode.OK:
        return outcome
    words = "; ".join(f"{check.name} {check.measured}, target {check.target}" for check in missed)
    problem = f"{formatting.plural(len(missed), 'acceptance check')} failed"
    return replace(outcome, exit_code=ExitCode.ACCEPTANCE, problem=problem, detail=words)
