"""A run in which too many values changed at once: held whole until a person approves it."""

from __future__ import annotations

from msgspec import Struct

from carsync.config.sections import Config
from carsync.destination import merge, plausibility, staging
from carsync.destination.commit import exactly_once
from carsync.destination.merge import MergeRequest
from carsync.destination.plausibility import Example, Forecast
from carsync.errors import ApprovalError, ImplausibleError
from carsync.exit_codes import ExitCode
from carsync.mapping.mapper import Mapper
from carsync.model import MergeCounts
from carsync.postgres.wait import Connection
from carsync.run.context import RunContext
from carsync.run.fingerprints import differences, fingerprints
from carsync.source.pagination.base import load_paginator
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


def judge_values(context: RunContext) -> None:
    """Raise `ImplausibleError` where a merge would change more than `sync.plausible` allows.

    Nothing is judged before the first merge, and after a change of the mapping, which is
    announced.
    """
    rules, run = context.config.sync.plausible, context.run
    before = runs.last_merged(context.connection, context.target, context.source)
    if rules is None or before is None:
        return
    key = "mapping"
    if before.fingerprints.get(key) != run.fingerprints.get(key):
        return
    shares = [rules.max_changed_share, rules.max_emptied_share]
    least = min((share for share in shares if share is not None), default=1.0)
    forecast = plausibility.foresee(context.connection, run, context.mapper.defaults, least=least)
    if problems := plausibility.find_implausible(forecast, rules):
        raise ImplausibleError(
            "too many values changed at once: nothing was merged",
            detail="; ".join(problems),
            hint=f"see what would change with `carsync approve {run.run_id} --dry-run`, then "
            f"merge it with `carsync approve {run.run_id}` if it is right",
        )


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
    first = load_paginator(config.api).first
    request = MergeRequest(
        run=taken,
        columns=mapper.columns,
        constants=mapper.constants,
        pages=range(first, first + _pages(run)),
        records=config.history.changes_keep_days > 0,
    )
    try:
        counts = exactly_once(
            config, conn, run.run_id, lambda: merge.merge(conn, request), lambda: False
        )
    except BaseException:
        runs.finish_run(conn, taken, "held", ExitCode.HELD, {})
        raise
    words = {"problem": "", "detail": "it was held, then approved and merged", "hint": ""}
    runs.finish_run(conn, taken, "complete", ExitCode.OK, {**words, "state": "complete"})
    staging.drop(conn, run.run_id)
    merge.analyze_after(conn, run.target, counts)
    return counts


def _pages(run: Run) -> int:
    return int(_figures(run).get("pages_planned") or 0)


def _figures(run: Run) -> dict[str, int]:
    figures: dict[str, int] = (run.summary or {}).get("snapshot", {})
    return figures


def _refuse(config: Config, conn: Connection, run: Run, mapper: Mapper) -> None:
    hint = "run `carsync sync` again: it reads the feed"
    if not staging.exists(conn, run.run_id):
        raise ApprovalError(
            f"what run {run.run_id} read is gone", detail="a later run has replaced it", hint=hint
        )
    if _figures(run).get("pages_failed"):
        raise ApprovalError(f"not all pages of run {run.run_id} could be read", hint=hint)
    if changed := differences(run.fingerprints, fingerprints(config, mapper)):
        words = "; ".join(changed)
        raise ApprovalError(
            f"the configuration has changed since run {run.run_id}", detail=words, hint=hint
        )
