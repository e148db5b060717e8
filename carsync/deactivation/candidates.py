"""Cars that a run should have seen and did not: counted and listed before its merge."""

from __future__ import annotations

from msgspec.structs import asdict

from carsync.deactivation.id_shapes import Shape
from carsync.deactivation.policy import DeactivationPlan
from carsync.destination import conditions, privileges, staging, verify
from carsync.destination.verify import Staged
from carsync.model import Target
from carsync.postgres import connection, sql
from carsync.postgres.sql import Composable, Cursor
from carsync.postgres.target import parts as target_parts
from carsync.postgres.wait import Connection, patient
from carsync.state.runs import Run


def plan_deactivation(conn: Connection, run: Run) -> DeactivationPlan:
    """Count what the staged pages would deactivate.

    Nothing may be left to fetch: a page that is missing makes its cars candidates.
    Raises `StagingLostError`, `DatabasePermissionError` and `DatabaseError`.
    """
    verify.check_exists(conn, run.run_id)
    with patient(conn), connection.transaction(conn, "counting deactivations") as cur:
        sql.run(cur, "session/set_merge")
        privileges.check(run.target, privileges.describe(cur, run.target))
        staged = verify.measure(cur, run.run_id)
        parts = {"target": sql.table(run.target), "source": sql.literal(run.source)}
        absent = absent_cars(cur, run, staged)
        query = sql.load("deactivation/count_candidates", **parts, absent=absent)
        active, candidates = sql.one(cur, query)
    rejects_with_id = staged.rejects - staged.rejects_without_id
    return DeactivationPlan(
        candidates=candidates,
        active=active,
        seen=staged.seen,
        rejected_without_id=staged.rejects_without_id,
        duplicates=staged.rows + rejects_with_id - staged.seen,
    )


def list_candidates(conn: Connection, run: Run, limit: int) -> list[str]:
    """Return the ids of at most `limit` candidates, longest unseen first."""
    verify.check_exists(conn, run.run_id)
    with patient(conn), connection.transaction(conn, "listing deactivations") as cur:
        sql.run(cur, "session/set_merge")
        absent = absent_cars(cur, run, verify.measure(cur, run.run_id))
        query = sql.load("deactivation/list_candidates", absent=absent)
        found = sql.rows(cur, query, {**run.target.key(run.source), "limit": limit})
    return [record_id for (record_id,) in found]


def list_seen(conn: Connection, run_id: int, shape: Shape, limit: int) -> list[tuple[str, int]]:
    """Draw staged cars at random, as control samples: (id, page) each, at most `limit`.

    Their ids are of the `shape`.
    """
    query = sql.load("deactivation/list_staged_ids", **staging.tables(run_id))
    with patient(conn):
        found = sql.fetch(conn, "listing seen cars", query, {**asdict(shape), "limit": limit})
    return list({record_id: (record_id, page) for record_id, page in found}.values())


def list_listed(
    conn: Connection, target: Target, source: str, shape: Shape, limit: int
) -> list[str]:
    """Draw active cars that the last run saw at random, as control samples, at most `limit`.

    Their ids are of the `shape`.
    """
    key = {**target.key(source), **asdict(shape), "limit": limit}
    with patient(conn), connection.transaction(conn, "listing active cars") as cur:
        query = sql.load("deactivation/list_listed", **target_parts(cur, target))
        return [record_id for (record_id,) in sql.rows(cur, query, key)]


def find_seen(conn: Connection, run_id: int, ids: list[str], pages: range) -> list[str]:
    """Return those of the ids that are staged on these pages, rejected records included."""
    query = sql.load("deactivation/find_seen", **staging.tables(run_id))
    key = {"run_id": run_id, "ids": ids, "first": pages.start, "last": pages.stop - 1}
    found = sql.fetch(conn, "looking for cars seen", query, key)
    return [record_id for (record_id,) in found]


def absent_cars(cur: Cursor, run: Run, staged: Staged) -> Composable:
    """Return the query for the cars that the run should have seen and did not."""
    return sql.load(
        "deactivation/absent",
        **staging.tables(run.run_id),
        **target_parts(cur, run.target),
        run_id=sql.literal(run.run_id),
        is_expected=conditions.expected(run.source, sql.literal(staged.oldest_fetch)),
    )
