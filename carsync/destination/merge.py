"""The merge: from staging into the target table, in one transaction.

Everything the run did becomes visible at once, with its line in `carsync.runs`, or
not at all. Readers of the table are never blocked: only rows are locked, and only
those that are written.
"""

from __future__ import annotations

from msgspec.structs import asdict, replace

from carsync import failpoints
from carsync.config.lists import REMOVALS_FROM
from carsync.destination import (
    car_lists,
    change_log,
    conditions,
    privileges,
    superseded,
    verify,
)
from carsync.destination.absent_cars import settle_absent
from carsync.destination.merge_work import MergeRequest, MergeWork
from carsync.destination.seen_cars import write_seen
from carsync.destination.staging import tables
from carsync.model import MergeCounts, RunState
from carsync.postgres import connection, sql
from carsync.postgres.sql import Composable
from carsync.postgres.wait import Connection, patient
from carsync.state import runs

_SMALL_SHARE = 0.02
"""Up to this share of the table its rows are found by their ids faster than by reading it."""


def merge(conn: Connection, request: MergeRequest) -> MergeCounts:
    """Bring the target in step with what is staged, and record the run; roll a dry run back.

    A failed merge left nothing behind and may be repeated. Where the connection broke
    (`DatabaseUnavailableError`), call `lookup_outcome` on a new one first.
    Returns the counts.
    Raises `StagingLostError` where pages must be fetched again, `LockedError` where the run is
    not this process's any more, and `DatabaseError`.
    """
    run = request.run
    keep = run.scope != "dry"
    verify.check_exists(conn, run.run_id)
    with patient(conn), connection.transaction(conn, "merging", keep=keep) as cur:
        failpoints.reach("merge.begun")
        sql.run(cur, "session/set_merge")
        sql.run(cur, "session/set_constraints")
        runs.fence_run(cur, run)
        failpoints.reach("merge.fenced")
        relation = privileges.describe(cur, run.target)
        privileges.check(run.target, relation)
        sql.run(cur, sql.load("staging/lock_staging", **tables(run.run_id)))
        staged = verify.check(
            cur, run.run_id, request.pages, request.failed_pages, counted=request.counted
        )
        failpoints.reach("merge.verified")
        counts = _carry_out(MergeWork(cur, request, staged), relation)
        failpoints.reach("merge.recorded")
    failpoints.reach("merge.committed")
    return counts


def lookup_outcome(conn: Connection, run_id: int) -> MergeCounts | None:
    """Return the counts of the run's merge; None where no merge was committed.

    This waits, up to the lock timeout, for a merge whose connection broke and that the server
    may still be working on.
    """
    with connection.transaction(conn, "looking up the merge's outcome") as cur:
        found = sql.rows(cur, "merge/find_outcome", {"run_id": run_id})
    if not found or found[0][0] is None:
        return None
    return MergeCounts(**found[0][0])


def _carry_out(work: MergeWork, relation: privileges.Relation | None) -> MergeCounts:
    """Write the cars that were seen, deactivate or hold the others, and record it."""
    request, tombstones = work.request, work.tombstones
    run = request.run
    if tombstones is not None:
        tombstones.check()
    if not request.is_replay and run.mode != "refresh" and run.scope != "sample":
        _record_lists(work)
    duplicates = 0
    if work.staged.rows > work.staged.ids:
        duplicates = work.run("staging/delete_duplicates")
    planned = _compare(work)
    failpoints.reach("merge.compared")
    to_write = sum(planned.values())
    is_small = relation is not None and 0 < to_write <= _SMALL_SHARE * relation.rows_estimate
    if is_small:
        work.run("merge/analyze_delta")
    refusals = work.expect_refusals(to_write, is_small=is_small)
    counts = replace(write_seen(work, planned, refusals), duplicate=duplicates)
    _settle_rejects(work)
    if not request.is_replay:
        counts = settle_absent(work, planned, counts, refusals)
        failpoints.reach("merge.deactivated")
        older = superseded.record(work.cur, run.run_id, request.decision.proof.gone, work.parts)
        if tombstones is not None:
            tombstones.supersede(older)
            tombstones.settle_rejects()
    _record(work, counts)
    work.run("merge/drop_delta")
    if tombstones is not None:
        tombstones.drop()
    if work.is_outrun:
        work.run("superseded/forget_superseded")
    which = (run.run_id, run.target, run.source)
    change_log.end_batch(work.cur, *which, asdict(counts), records=request.records)
    return counts


def _record_lists(work: MergeWork) -> None:
    request = work.request
    if request.lists or request.is_of_all:
        ranks, is_newest = request.decision.lists, _is_read_newest(work)
        car_lists.record(work.cur, request.run, request.lists, ranks, is_newest)


def _compare(work: MergeWork) -> dict[str, int]:
    """Create the delta; return how many cars it holds of each action."""
    request, staged = work.request, work.staged
    touched = sql.identifier("t", "touched_at")
    work.run(
        "merge/create_delta",
        touched_at=conditions.touched_at(),
        is_untouched=conditions.untouched_since(sql.identifier("s", "fetched_at"), touched),
        is_expected=work.is_expected(touched),
        is_newest=work.is_newest("staged", "id", latest="l"),
        # Records that are replayed were read before the last merge, surely.
        last_merge=sql.literal(None if request.is_replay else staged.last_merge),
    )
    if not request.is_replay and staged.rejects:
        work.run("deactivation/discard_rejected", removals_from=sql.literal(REMOVALS_FROM))
    if request.decision.proof.alive:
        work.run("deactivation/discard_alive")
    if work.tombstones is not None:
        work.tombstones.add(work.parts["delta"])
    if (lists := request.decision.lists) is not None:
        query = work.load("lists/settle_absent", ranked=car_lists.ranked())
        sql.run(work.cur, query, car_lists.parameters(request.run, lists))
    return work.count()


def _settle_rejects(work: MergeWork) -> None:
    """Settle the rejects that are none any more: replayed, or read well on another page."""
    is_replay = work.request.is_replay
    if is_replay:
        for name in ("settle_replayed", "return_refused", "forget_replayed"):
            work.run(f"merge/{name}")
    if is_replay or work.staged.rejects:
        work.run("merge/settle_seen")
    if work.is_outrun:
        is_newest = work.is_newest("j", "record_id", latest="l")
        work.run("superseded/settle_rejects", is_newest=is_newest)
    if work.is_outrun or not (work.request.is_of_all or is_replay):
        read = work.load("superseded/read")
        work.run("superseded/settle_others", read=read, is_newest=_is_read_newest(work))


def _is_read_newest(work: MergeWork) -> Composable:
    return work.is_newest("read", "id", latest="read")


def _record(work: MergeWork, counts: MergeCounts) -> None:
    request = work.request
    state: RunState = "complete"
    if request.failed_pages or request.is_replay or request.run.scope == "sample":
        state = "partial"
    elif counts.held or request.decision.is_held:
        state = "held"
    origin = change_log.origin(work.cur) if request.records else None
    # A car that another program wrote meanwhile was left as it is: it is asked for again.
    is_watermark = request.is_watermark and (request.is_of_all or not counts.stale)
    if work.tombstones is not None and work.tombstones.is_held:
        is_watermark = False  # the next run reads the tombstones again
    marks = {"is_watermark": is_watermark, "read_all": request.read_all}
    runs.record_merge(work.cur, request.run, state, counts, origin, **marks)
    work.run("merge/record_hash_scheme")
