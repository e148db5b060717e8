"""Resuming: whether an unfinished run may be taken up again, and what it holds already."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from carsync import formatting
from carsync.config.sections import Config
from carsync.destination import staging, unchanged_rows
from carsync.model import RunMode, Target, judged_records
from carsync.postgres.wait import Connection
from carsync.run.context import RunContext
from carsync.run.fingerprints import differences
from carsync.source.pagination.page_states import parse_ranges
from carsync.state import runs
from carsync.state.checkpoint import CheckpointState, RunStanding
from carsync.state.runs import Run

SHOWN_RANGES = 3


def find(
    config: Config,
    connection: Connection,
    target: Target,
    prints: dict[str, str],
    mode: RunMode = "full",
) -> tuple[Run | None, str]:
    """Return the unfinished run that the next sync takes up, or None and, in words, why not.

    It is unmerged, young, of the same making, and staged. The words are empty where no
    run is unfinished.
    """
    max_age_h = config.checkpoint.max_age_h
    found = runs.find_resumable(connection, target, config.sync.source, max_age_h, mode)
    if found is None:
        return None, ""
    if changed := differences(found.fingerprints, prints):
        return None, f"run {found.run_id} is not resumed: {'; '.join(changed)}"
    if not staging.exists(connection, found.run_id):
        lost = "its staging tables are missing, or made for other ids"
        return None, f"run {found.run_id} is not resumed: {lost}"
    if found.state == "failed":
        rejects, records = staging.count_records(connection, found.run_id)
        if rejects > config.sync.max_reject_share * judged_records(
            records, found.mode
        ):  # it would fail again
            words = "too many of its records were rejected"
            return None, f"run {found.run_id} is not resumed: {words}"
    if mode == "full" and unchanged_rows.are_outdated(connection, found):
        words = "cars that it found unchanged were taken back, or written by another program, since"
        return None, f"run {found.run_id} is not resumed: {words}"
    return found, ""


def resume_unfinished(context: RunContext, checkpoint: CheckpointState | None) -> Run | None:
    """Take up the run that `find` finds; return None where a new run must begin.

    Marks in the plan what the ledger holds, which alone is trusted. The `checkpoint` only
    tells what was lost: which pages it calls done that the ledger does not hold.
    """
    connection = context.connection
    found, why_not = find(
        context.config, connection, context.target, context.fingerprints, context.mode
    )
    if why_not:
        context.note(why_not)
    if found is None:
        return None
    run = runs.resume_run(connection, found.run_id)
    if run is None:
        return None
    staging.end_writers(connection, run.run_id)
    staging.upgrade_ledger(connection, run.run_id)
    context.resumed_rows = mark_ledger(context, run.run_id)
    kept = context.resumed_pages = context.plan.staged_count
    staged = formatting.plural(kept, "page", "is", "are")
    context.say(f"resuming run {run.run_id}: {staged} staged already")
    known = checkpoint and checkpoint.standing_of(run.mode)
    if known is not None and known.token == found.token:
        _reconcile(context, known)
    return run


def mark_ledger(context: RunContext, run_id: int) -> int:
    """Mark every page that the ledgers hold as staged in the plan; return the feed's rows."""
    conn, plan, rows = context.connection, context.plan, 0
    if plan.removals is not None:
        for page in staging.read_tombstone_pages(conn, run_id):
            plan.mark_staged(page.page, page.records, page.info)
    for page in staging.read_ledger(conn, run_id):
        plan.mark_staged(page.page, page.records, page.info)
        rows += page.rows
    return rows


def _reconcile(context: RunContext, checkpoint: RunStanding) -> None:
    """Tell in what the checkpoint and the ledger, as the plan knows it, differ."""
    staged, known = context.plan.staged_count, checkpoint.pages_done
    lost = lost_pages(checkpoint, context.plan.is_staged)
    lost_count = max(0, known - staged) if lost is None else len(lost)
    gained = staged - (known - lost_count)
    if lost_count:
        which = f" ({show_pages(lost)})" if lost else ""
        context.note(
            f"the ledger lost {formatting.part(lost_count, known, 'staged page')}{which}; carsync "
            "fetches what was lost again (PostgreSQL empties unlogged tables when it crashes)"
        )
    if gained > 0:
        later = formatting.plural(gained, "page", "was", "were")
        context.say(f"{later} staged after the checkpoint's last save, and kept")


def lost_pages(checkpoint: RunStanding, is_staged: Callable[[int], bool]) -> list[int] | None:
    """Return the pages that the checkpoint calls done and that are not staged, in order.

    None where the checkpoint does not say which pages it means: its ranges are unreadable
    or are not `pages_done` pages in all.
    """
    try:
        ranges = parse_ranges(checkpoint.pages_ranges)
        counted = sum(map(len, ranges))
    except (ValueError, OverflowError):
        return None
    if counted != checkpoint.pages_done:
        return None
    return sorted({page for pages in ranges for page in pages if not is_staged(page)})


def show_pages(pages: Sequence[int]) -> str:
    """Name pages, which are in ascending order, briefly: a few ranges, then how many more.

    >>> show_pages([3, 4, 5, 6, 7, 12, 14, *range(20, 61)])
    '3-7, 12, 14 and 41 more'
    """
    ranges: list[range] = []
    for page in pages:
        if ranges and page == ranges[-1].stop:
            ranges[-1] = range(ranges[-1].start, page + 1)
        else:
            ranges.append(range(page, page + 1))
    named = ranges[:SHOWN_RANGES]
    text = ", ".join(f"{r.start}-{r[-1]}" if len(r) > 1 else str(r.start) for r in named)
    rest = len(pages) - sum(map(len, named))
    return f"{text} and {rest:,} more" if rest else text
