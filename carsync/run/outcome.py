"""How a run ended: state, exit code and the words for the operator. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from carsync.errors import CarsyncError, CheckpointError
from carsync.exit_codes import ExitCode
from carsync.model import Check, Decision, EndState, MergeCounts, RunOptions


@dataclass(frozen=True, slots=True)
class Outcome:
    """`counts` is set once the merge is committed, whatever came after it."""

    state: EndState
    exit_code: ExitCode
    counts: MergeCounts | None = None
    problem: str = ""
    detail: str = ""
    hint: str = ""


def failed(exc: CarsyncError) -> Outcome:
    """Return the ending that an error makes."""
    return Outcome("failed", exc.exit_code, None, exc.problem, exc.detail, exc.hint)


def merged(
    run_id: int,
    counts: MergeCounts,
    decision: Decision,
    failed_pages: dict[int, str],
    planned: int,
    *,
    is_part: bool = False,
) -> Outcome:
    """Return the ending of a run that was merged: partial, held or complete.

    `failed_pages` maps each of the `planned` pages that could not be read to its problem.
    `is_part`: no more than these were to be read.
    """
    if failed_pages:
        page, why = min(failed_pages.items())
        return Outcome(
            "partial",
            ExitCode.PARTIAL,
            counts,
            f"{len(failed_pages):,} of {planned:,} pages could not be read; what was read is "
            "merged, nothing is deactivated",
            f"page {page}: {why}",
        )
    if is_part:
        return Outcome(
            "partial",
            ExitCode.PARTIAL,
            counts,
            f"only the first {planned:,} pages were read, as asked for; nothing is deactivated",
            hint="run again without --max-pages: it reads the whole feed",
        )
    if counts.held or decision.action == "hold":
        return Outcome(
            "held",
            ExitCode.HELD,
            counts,
            f"{counts.held:,} deactivations are held",
            "; ".join(decision.reasons),
            f"look at the held cars and say yes with `carsync approve {run_id}`"
            if counts.held
            else "see why the feed does not add up",
        )
    if counts.stale:
        return Outcome(
            "partial",
            ExitCode.PARTIAL,
            counts,
            f"{counts.stale:,} cars were written by somebody else after their page was asked for",
            "what the feed says of them may be older, so they were left as they are",
        )
    return Outcome("complete", ExitCode.OK, counts)


def of_options(ending: Outcome, options: RunOptions) -> Outcome:
    """Return the ending with the next step that a dry run, or a sample, leaves to do."""
    if options.dry_run and ending.counts is not None:
        hint = "nothing was written; to do it, run again without --dry-run"
    elif options.dry_run:
        hint = "nothing is kept of a dry run; run again"
    elif options.scope == "sample" and ending.counts is None:
        hint = "a run with --max-pages is not resumed; run again"
    else:
        return ending
    is_kept = ending.hint and ending.counts is None
    return replace(ending, hint=f"{ending.hint.rstrip('.')}; {hint}" if is_kept else hint)


def unsaved(ending: Outcome, exc: CheckpointError) -> Outcome:
    """Return the ending where the checkpoint could not tell it; another exit code than 0 stays."""
    if ending.exit_code is not ExitCode.OK:
        return ending
    problem = f"the table is in step with the feed, but {exc.problem}"
    return replace(
        ending, exit_code=exc.exit_code, problem=problem, detail=exc.detail, hint=exc.hint
    )


def judged(ending: Outcome, checks: tuple[Check, ...]) -> Outcome:
    """Return the ending with exit code 7 where it was complete but a check failed."""
    missed = [check for check in checks if check.verdict == "fail"]
    if not missed or ending.exit_code is not ExitCode.OK:
        return ending
    words = "; ".join(f"{check.name} {check.measured}, wanted {check.target}" for check in missed)
    return Outcome(
        ending.state,
        ExitCode.ACCEPTANCE,
        ending.counts,
        f"{len(missed)} acceptance check{'s' * (len(missed) > 1)} failed",
        words,
    )
