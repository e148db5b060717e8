"""The merge: from staging into the target table, in one transaction.

Everything the run did becomes visible at once, with its line in `carsync.runs`, or
not at all. Readers of the table are never blocked: only rows are locked, and only
those that are written.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from carsync import failpoints
from carsync.destination import change_log, privileges, verify
from carsync.destination.columns import MANAGED_COLUMNS
from carsync.destination.staging import tables
from carsync.destination.verify import Staged
from carsync.errors import ConfigError, DatabaseError, LockedError
from carsync.model import Column, DeactivationAction, MergeCounts, Proof, Target
from carsync.postgres import connection, errors, sql
from carsync.postgres.connection import Connection
from carsync.postgres.sql import Composable, Cursor
from carsync.postgres.wait import patient

ANALYZE_SHARE = 0.05
"""Share of rows written from which on the planner needs new statistics."""


@dataclass(frozen=True, slots=True)
class MergeRequest:
    """All that one merge needs.

    `columns` and `constants` are the mapper's; `pages` all planned pages, of which
    `failed_pages` were given up; `action` is what `evidence.judge` decided, and `proof`
    is read where it is `prove`. `replay_of` is the run whose rejects are staged, which say
    nothing of any other car: the pages between theirs are failed ones, and nobody is absent.
    `records`: what is changed goes into `carsync.changes`. `is_part`: not all of the feed was
    to be read. `keeps`: False rolls all of it back at the end.
    """

    run_id: int
    token: str
    target: Target
    source: str
    columns: tuple[Column, ...]
    constants: tuple[tuple[Column, Any], ...]
    hash_scheme: str
    pages: range
    failed_pages: frozenset[int] = frozenset()
    action: DeactivationAction = "skip"
    proof: Proof = field(default_factory=Proof)
    replay_of: int | None = None
    records: bool = True
    is_part: bool = False
    keeps: bool = True


def merge(conn: Connection, request: MergeRequest) -> MergeCounts:
    """Bring the target in step with what is staged, record the run, and return the counts.

    A failed merge left nothing behind and may be repeated. Where the connection broke
    (`DatabaseUnavailableError`), ask `lookup_outcome` on a new one first. Raises
    `StagingLostError` where pages must be fetched again, `LockedError` where the run is
    not this process's any more, and `DatabaseError`.
    """
    parts = compose(request)
    verify.check_exists(conn, request.run_id)
    with patient(conn), connection.transaction(conn, "merging", keep=request.keeps) as cur:
        failpoints.reach("merge.begun")
        sql.run(cur, sql.load("session/set_merge"))
        _fence(cur, request)
        failpoints.reach("merge.fenced")
        privileges.check(request.target, privileges.describe(cur, request.target))
        sql.run(
            cur,
            sql.load("staging/lock_staging", staging=parts["staging"], ledger=parts["ledger"]),
        )
        staged = verify.check(cur, request.run_id, request.pages, request.failed_pages)
        failpoints.reach("merge.verified")
        _settle_rejects(cur, request, parts, staged)
        duplicates = 0
        if staged.rows > staged.ids:
            duplicates = _run(cur, "staging/delete_duplicates", parts)
        parts["oldest_fetch"] = sql.literal(staged.oldest_fetch)
        replays = request.replay_of is not None  # records read before the last merge, surely
        parts["last_merge"] = sql.literal(None if replays else staged.last_merge)
        _run(cur, "merge/create_delta", parts)
        failpoints.reach("merge.compared")
        counts = _write_seen(cur, request, parts, staged)
        counts = replace(counts, duplicate=duplicates)
        if request.replay_of is None:
            counts = _settle_absent(cur, request, parts, staged, counts)
            failpoints.reach("merge.deactivated")
        _record(cur, request, counts)
        _run(cur, "merge/drop_delta", parts)
        failpoints.reach("merge.recorded")
    failpoints.reach("merge.committed")
    return counts


def lookup_outcome(conn: Connection, run_id: int) -> MergeCounts | None:
    """Return what the run's merge did, or None where none was committed.

    Waits, up to the lock timeout, for a merge whose connection broke but that the
    server may still be working on.
    """
    with connection.transaction(conn, "looking up the merge's outcome") as cur:
        found = sql.rows(cur, sql.load("merge/find_outcome"), {"run_id": run_id})
    if not found or found[0][0] is None:
        return None
    return MergeCounts(**found[0][0])


def analyze_after(conn: Connection, target: Target, counts: MergeCounts) -> bool:
    """Run ANALYZE on the target if the merge wrote a substantial share; tell whether it did."""
    written = counts.inserted + counts.updated + counts.reactivated + counts.deactivated
    if written <= ANALYZE_SHARE * counts.seen:
        return False
    query = sql.load("merge/analyze_target", target=sql.table(target))
    with patient(conn), errors.translating("analyzing the table"), conn.cursor() as cur:
        sql.run(cur, query)
    return True


# ── steps of the merge ───────────────────────────────────────────────────────


def _fence(cur: Cursor, request: MergeRequest) -> None:
    """Lock the run's line; raise `LockedError` if the run is not this process's to merge."""
    mine = sql.rows(
        cur,
        sql.load("merge/fence_run"),
        {"run_id": request.run_id, "token": request.token},
    )
    if not mine:
        raise LockedError(
            f"run {request.run_id} is not this process's any more",
            detail="it was merged, given up, or taken over by another process",
            hint="see `carsync status`",
        )


def _settle_rejects(
    cur: Cursor, request: MergeRequest, parts: dict[str, Composable], staged: Staged
) -> None:
    """Settle the rejects that are none any more: replayed, or read well on another page."""
    parameters = {
        **request.target.key(request.source),
        "run_id": request.run_id,
        "replay_of": request.replay_of,
    }
    if request.replay_of is not None:
        _run(cur, "merge/settle_replayed", parts, parameters)
        _run(cur, "merge/return_refused", parts, parameters)
        _run(cur, "merge/forget_replayed", parts, parameters)
    if request.replay_of is not None or staged.rejects:
        _run(cur, "merge/settle_seen", parts, parameters)


def _write_seen(
    cur: Cursor, request: MergeRequest, parts: dict[str, Composable], staged: Staged
) -> MergeCounts:
    """Update the changed, bring back the returned, insert the new."""
    planned: dict[str, int] = dict(sql.rows(cur, _statement("merge/count_delta", parts)))
    if planned.get("foreign"):
        _refuse_foreign(cur, request, parts, planned["foreign"])
    updated = reactivated = inserted = 0
    if planned.get("update") or planned.get("reactivate"):
        query = _statement(
            "merge/update_changed", {**parts, **_recording(cur, request, _assigned(request))}
        )
        updated, reactivated = sql.one(cur, query)
        failpoints.reach("merge.updated")
    if planned.get("insert"):
        inserted = _insert_new(
            cur, {**parts, **change_log.insertion(request.run_id, records=request.records)}
        )
        failpoints.reach("merge.inserted")
    written = updated + reactivated + inserted
    to_write = sum(planned.get(name, 0) for name in ("update", "reactivate", "insert", "stale"))
    return MergeCounts(
        seen=staged.seen,
        inserted=inserted,
        updated=updated,
        reactivated=reactivated,
        unchanged=staged.ids - to_write,
        stale=to_write - written,
        rejected=staged.rejects,
    )


def _recording(
    cur: Cursor, request: MergeRequest, written: Collection[str]
) -> dict[str, Composable]:
    return change_log.recording(
        cur, request.target, request.run_id, written, records=request.records
    )


def _insert_new(cur: Cursor, parts: dict[str, Composable]) -> int:
    """Insert the new cars and count them.

    ON CONFLICT costs a quarter more and a WAL record a row, so it is used only where
    another session did insert one of them in the meantime.
    """
    try:
        with connection.savepoint(cur):
            query = _statement("merge/insert_new", {**parts, "on_conflict": sql.raw("")})
            return int(sql.one(cur, query)[0])
    except errors.DUPLICATE_KEY:
        clause = sql.raw("ON CONFLICT (id) DO NOTHING")
        query = _statement("merge/insert_new", {**parts, "on_conflict": clause})
        return int(sql.one(cur, query)[0])


def _refuse_foreign(
    cur: Cursor, request: MergeRequest, parts: dict[str, Composable], number: int
) -> None:
    examples = sql.rows(cur, _statement("merge/list_foreign", parts))
    owner = examples[0][1]
    raise DatabaseError(
        f"{number:,} cars of this feed belong to another source in {request.target}",
        detail=f"e.g. id {examples[0][0]} has source_api {owner!r}; this run's source is "
        f"{request.source!r}",
        hint=f"if it is the same feed, set sync.source: {owner}; else give it its own table",
    )


def _settle_absent(
    cur: Cursor,
    request: MergeRequest,
    parts: dict[str, Composable],
    staged: Staged,
    counts: MergeCounts,
) -> MergeCounts:
    """Deactivate, or hold and remember, the cars that were not seen."""
    next_run = None if request.proof.next_run is None else list(request.proof.next_run)
    parameters = {
        **request.target.key(request.source),
        "run_id": request.run_id,
        "oldest_fetch": staged.oldest_fetch,
        "needs_proof": request.action == "prove",
        "counts_as_proof": request.action == "prove" and next_run != [],
        "next_run": next_run,
        "gone": list(request.proof.gone),
        "alive": list(request.proof.alive),
    }
    if staged.rejects:
        _run(cur, "deactivation/discard_rejected", parts, parameters)
    if request.proof.alive:
        _run(cur, "deactivation/discard_alive", parts, parameters)
    deactivated = held = 0
    if request.action in {"deactivate", "prove"}:
        recording = _recording(cur, request, change_log.DEACTIVATION)
        deactivated = _run(
            cur, "deactivation/deactivate_absent", {**parts, **recording}, parameters
        )
    _run(cur, "deactivation/forget_absences", parts, parameters)
    if request.action in {"prove", "hold"}:
        held = _run(cur, "deactivation/record_absences", parts, parameters)
    return replace(counts, deactivated=deactivated, held=held)


def _record(cur: Cursor, request: MergeRequest, counts: MergeCounts) -> None:
    """Write the run's line and the table's hash scheme, in the merge's own transaction."""
    if request.failed_pages or request.is_part or request.replay_of is not None:
        state = "partial"
    else:
        state = "held" if counts.held or request.action == "hold" else "complete"
    sql.run(
        cur,
        sql.load("merge/record_merge"),
        {
            "run_id": request.run_id,
            "state": state,
            "counts": json.dumps(asdict(counts)),
            "origin": change_log.origin(cur) if request.records else None,
        },
    )
    sql.run(
        cur,
        sql.load("merge/record_hash_scheme"),
        {**request.target.key(request.source), "hash_scheme": request.hash_scheme},
    )


# ── composing ────────────────────────────────────────────────────────────────


def compose(request: MergeRequest) -> dict[str, Composable]:
    """Compose what the statements share: tables, columns, values and assignments."""
    clashing = sorted({c.name for c in request.columns} & set(MANAGED_COLUMNS))
    if clashing:
        raise ConfigError(
            f"mapping.columns.{clashing[0]} is written by carsync itself",
            hint=f"leave it out: mapping.columns: {{{clashing[0]}: null}}",
        )
    on_update = _assigned(request)
    on_insert = {**on_update, "created_at": sql.raw("now()")}
    assignments = sql.comma_separated(
        sql.identifier(name) + sql.raw(" = ") + value
        for name, value in on_update.items()
        if name != "id"
    )
    return {
        **tables(request.run_id),
        "delta": sql.identifier("carsync", f"delta_{request.run_id:d}"),
        "target": sql.table(request.target),
        "source": sql.literal(request.source),
        "reads_feed": sql.literal(request.replay_of is None),
        "columns": sql.identifiers(on_insert),
        "values": sql.comma_separated(on_insert.values()),
        "assignments": assignments,
    }


def _assigned(request: MergeRequest) -> dict[str, Composable]:
    """Give the columns that an update writes and, composed, what it writes there."""
    now = sql.raw("now()")
    staged = {c.name: sql.identifier("s", c.name) for c in request.columns}
    fixed = {c.name: sql.literal(value) for c, value in request.constants}
    managed = {
        "source_api": sql.literal(request.source),
        "is_active": sql.raw("true"),
        "updated_at": now,
        "last_synced_at": now,
    }
    return {**fixed, **staged, **managed}


def _statement(name: str, parts: dict[str, Composable]) -> Composable:
    return sql.load(name, **parts)


def _run(
    cur: Cursor,
    name: str,
    parts: dict[str, Composable],
    parameters: dict[str, Any] | None = None,
) -> int:
    return sql.run(cur, _statement(name, parts), parameters)
