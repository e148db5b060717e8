"""A run in which too many values changed at once: held whole until a person approves it."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import asdict

from carsync.config.sections import Config
from carsync.deactivation import approval
from carsync.destination import column_values, plausibility, staging, unchanged_rows
from carsync.destination.analyze import analyze_after
from carsync.destination.commit import merge_once
from carsync.destination.merge_work import MergeRequest
from carsync.destination.plausibility import Example, Forecast
from carsync.errors import ApprovalError, ImplausibleError, StagingLostError
from carsync.exit_codes import ExitCode, advise
from carsync.mapping.mapper import Mapper
from carsync.model import MergeCounts
from carsync.postgres import connection
from carsync.postgres.wait import Connection
from carsync.run.context import RunContext
from carsync.run.fingerprints import differences, fingerprints
from carsync.source.pagination.lists import FeedLists
from carsync.state import runs
from carsync.state.runs import Run

EXAMPLES = 5
"""Cars shown for each column that would change."""


class HeldRun(Struct, frozen=True):
    """What the merge of a run that was held whole would do, with examples by column."""

    run: Run
    forecast: Forecast
    examples: dict[str, list[Example]]


def is_held_whole(run: Run) -> bool:
    """Say whether nothing of the run was merged until a person approves."""
    return run.state == "held" and run.counts is None


def judge_values(context: RunContext, records: int) -> None:
    """Tell what became of the columns' values in the `records` that were read, and judge it.

    Nothing is judged before the first merge, and after a change of the mapping, which is
    announced. Raises `ImplausibleError` where a merge would change more than `sync.plausible`
    allows.
    """
    conn, run = context.connection, context.run
    before = runs.last_full(conn, context.target, context.source)
    defaults = context.mapper.defaults
    forecast = None if before is None else plausibility.foresee(conn, run, defaults)
    context.forecast = forecast
    context.counted = (forecast.rows, forecast.ids) if forecast else None
    context.columns, fields = column_values.gather(conn, run.run_id, forecast)
    _tell_fields(context, before, fields)
    for words in column_values.describe_unread(context.columns, records):
        context.note(words)
    if before is None or forecast is None:
        return
    rules = context.config.sync.plausible
    problems = plausibility.find_implausible(forecast, rules) if rules else []
    if rules and (names := context.lists.names):
        defaults = context.mapper.defaults
        problems += plausibility.find_emptied_lists(conn, run, defaults, names, rules)
    if problems and _has_same_mapping(before, run):
        raise ImplausibleError(
            "too many values changed at once: nothing was merged",
            detail="; ".join(problems),
            hint=f"see what would change with `carsync approve {run.run_id} --dry-run`, then "
            f"merge it with `carsync approve {run.run_id}` if it is right",
        )
    if not forecast.is_part or forecast.known >= plausibility.MIN_CARS_OF_A_PART:
        for words in column_values.describe_emptied(context.columns, forecast.known):
            context.note(words)


def _tell_fields(context: RunContext, before: Run | None, fields: Sequence[str]) -> None:
    """Tell which fields are new since the last run, and which columns' paths lead nowhere.

    `before` is the last run of the whole feed: a few cars say nothing of the paths.
    """
    last = runs.last_merged(context.connection, context.target, context.source)
    known = set(((last.summary if last else None) or {}).get("fields", ()))
    summary = (before.summary if before else None) or {}
    context.fields = tuple(sorted({*known, *fields}))
    absent = [column.name for column in context.columns or () if column.is_absent]
    words = "check mapping.columns"
    columns = summary.get("columns")
    if before is not None and columns is not None and _has_same_mapping(before, context.run):
        gone_before = {column["name"] for column in columns if column["is_absent"]}
        absent = [name for name in absent if name not in gone_before]
        words = "records of the last run had one"
    if context.options.max_pages is None and context.mode == "full":
        for sentence in column_values.describe_absent(absent, context.mapper.paths, words):
            context.note(sentence)
    for sentence in column_values.describe_new(sorted(set(fields) - known) if known else []):
        context.note(sentence)


def _has_same_mapping(run: Run, other: Run) -> bool:
    return run.fingerprints.get("mapping") == other.fingerprints.get("mapping")


def review(config: Config, conn: Connection, run: Run) -> HeldRun:
    """Show what the merge would change; `conn` must hold the target's lock.

    Raises `ApprovalError` where the run can be merged no more: its staged pages are gone or
    incomplete, or the mapping is another one.
    """
    mapper = Mapper.load(config)
    _refuse(config, conn, run, mapper)
    forecast = plausibility.foresee(conn, run, mapper.defaults)
    examples = {
        name: plausibility.list_examples(conn, run, name, mapper.defaults[name], EXAMPLES)
        for name in plausibility.names_of(forecast)
    }
    return HeldRun(run, forecast, examples)


def approve(config: Config, conn: Connection, run: Run) -> MergeCounts:
    """Merge exactly what the run staged; cars that it did not see stay as they are.

    `conn` must hold the target's lock. Raises what `review` raises, `StagingLostError` and
    `DatabaseError`.
    """
    mapper = Mapper.load(config)
    _refuse(config, conn, run, mapper)
    taken = runs.resume_run(conn, run.run_id)
    if taken is None:
        raise ApprovalError(f"run {run.run_id} was taken over by another process")
    lists = FeedLists(config.api)
    request = MergeRequest(
        run=taken,
        columns=mapper.columns,
        constants=mapper.constants,
        pages=_pages(lists, conn, run),
        lists=lists.names,
        records=config.history.changes_keep_days > 0,
        max_reject_share=config.sync.max_reject_share,
        secrets=config.api.auth.secrets,
    )
    try:
        counts = merge_once(config, conn, request, lambda: False)
    except BaseException:
        runs.finish_run(conn, taken, "held", ExitCode.HELD, {})
        raise
    _record_end(conn, taken, counts)
    staging.drop(conn, run.run_id)
    analyze_after(conn, run.target, counts)
    return counts


def _record_end(conn: Connection, run: Run, counts: MergeCounts) -> None:
    """Record the end of a run that was held, and who approved it."""
    advice = advise(ExitCode.OK)
    end = {
        "state": "complete",
        "exit_code": ExitCode.OK,
        "meaning": advice.meaning,
        "next_step": advice.next_step,
        "counts": asdict(counts),
        "problem": "",
        "detail": "it was held, then approved and merged",
        "hint": "",
    }
    runs.finish_run(conn, run, "complete", ExitCode.OK, end)
    with connection.transaction(conn, "recording the approval") as cur:
        approval.record(cur, run.run_id, 0, 0)


def _pages(lists: FeedLists, conn: Connection, run: Run) -> list[range]:
    """Return the pages that the run planned, and that must be there: all were read."""
    planned = int(_figures(run).get("pages_planned") or 0)
    if not lists.names:
        first = lists.paginator.first
        return [range(first, first + planned)]
    pages = [line.page for line in staging.read_ledger(conn, run.run_id)]
    if len(pages) != planned:
        raise StagingLostError(
            f"not all pages of run {run.run_id} are staged: {planned - len(pages):,} missing",
            hint="run `carsync sync` again: it reads the feed",
        )
    return [range(page, page + 1) for page in pages]


def _figures(run: Run) -> dict[str, int]:
    figures: dict[str, int] = (run.summary or {}).get("snapshot", {})
    return figures


def _refuse(config: Config, conn: Connection, run: Run, mapper: Mapper) -> None:
    hint = "run `carsync sync` again: it reads the feed"
    if not staging.exists(conn, run.run_id):
        raise ApprovalError(
            f"what run {run.run_id} read is gone", detail="a later run has replaced it", hint=hint
        )
    staging.upgrade_ledger(conn, run.run_id)
    if _figures(run).get("pages_failed"):
        raise ApprovalError(f"not all pages of run {run.run_id} could be read", hint=hint)
    if changed := differences(run.fingerprints, fingerprints(config, mapper)):
        words = "; ".join(changed)
        raise ApprovalError(
            f"the configuration has changed since run {run.run_id}", detail=words, hint=hint
        )
    if unchanged_rows.are_outdated(conn, run):
        raise ApprovalError(
            f"{run.target} has changed since run {run.run_id} read the feed",
            detail="cars that it found unchanged were taken back, or written by another program",
            hint=hint,
        )
