"""Cars that a run should have seen and did not: counted and listed before its merge."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import asdict

from carsync.config.lists import REMOVALS_FROM
from carsync.deactivation.addresses import Addresses
from carsync.deactivation.id_shapes import Shape
from carsync.deactivation.policy import DeactivationPlan
from carsync.destination import conditions, privileges, staging, superseded, verify
from carsync.destination.plausibility import Forecast
from carsync.destination.removals import RemovalRules, Tombstones
from carsync.mapping.record_path import Place
from carsync.model import Target
from carsync.postgres import connection, sql
from carsync.postgres.sql import Composable, Cursor
from carsync.postgres.target import parts as target_parts
from carsync.postgres.wait import Connection, patient
from carsync.state import runs
from carsync.state.runs import Run


def plan_deactivation(
    conn: Connection, run: Run, forecast: Forecast | None = None, *, by_tombstones: bool
) -> DeactivationPlan:
    """Count what the staged pages would deactivate.

    Nothing may be left to fetch: a page that is missing makes its cars candidates. Those of
    tombstones are none, where these count (`by_tombstones`). What a `forecast` of the same pages
    has counted is not counted again.
    Raises `StagingLostError`, `DatabasePermissionError` and `DatabaseError`.
    """
    verify.check_exists(conn, run.run_id)
    with patient(conn), connection.transaction(conn, "counting deactivations") as cur:
        sql.run(cur, "session/set_merge")
        privileges.check(run.target, privileges.describe(cur, run.target))
        counted = (forecast.rows, forecast.ids) if forecast else None
        staged = verify.measure(cur, run.run_id, counted=counted)
        parts = {
            "active": sql.literal(forecast.active) if forecast else _count_active(run),
            "is_any_absent": sql.literal(forecast is None or forecast.absent > 0),
        }
        removed = removed_cars(cur, run, by_tombstones)
        absent = absent_cars(cur, run, staged.oldest_fetch, removed)
        query = sql.load("deactivation/count_candidates", **parts, absent=absent, removed=removed)
        active, candidates, gone = sql.one(cur, query)
    rejects_with_id = staged.rejects - staged.rejects_without_id
    return DeactivationPlan(
        candidates=candidates,
        active=active,
        seen=staged.seen,
        rejected_without_id=staged.rejects_without_id,
        duplicates=staged.rows + rejects_with_id - staged.seen,
        removed=gone,
        counted=(staged.rows, staged.ids),
    )


def _count_active(run: Run) -> Composable:
    parts = {"target": sql.table(run.target), "source": sql.literal(run.source)}
    return sql.load("lists/count_active", **parts)


def list_candidates(conn: Connection, run: Run, limit: int, *, by_tombstones: bool) -> list[str]:
    """Return the ids of at most `limit` candidates of `plan_deactivation`, longest unseen first."""
    verify.check_exists(conn, run.run_id)
    with patient(conn), connection.transaction(conn, "listing deactivations") as cur:
        sql.run(cur, "session/set_merge")
        removed = removed_cars(cur, run, by_tombstones)
        absent = absent_cars(cur, run, verify.find_oldest_fetch(cur, run.run_id), removed)
        query = sql.load("deactivation/list_candidates", absent=absent)
        found = sql.rows(cur, query, {**run.target.key(run.source), "limit": limit})
    return [record_id for (record_id,) in found]


def list_seen(
    conn: Connection, run_id: int, addresses: Addresses, shape: Shape, limit: int
) -> list[tuple[str, int]]:
    """Draw staged cars at random, as control samples: (id, page) each, at most `limit`.

    Their ids, or the values by which they are asked for, are of the `shape`.
    """
    run = runs.find_run(conn, run_id)
    assert run is not None
    with patient(conn), connection.transaction(conn, "listing seen cars") as cur:
        query = sql.load(
            "deactivation/list_staged_ids",
            **staging.tables(run_id),
            **target_parts(cur, run.target),
            **_parts(addresses, "id"),
            staged_columns=_as_texts(addresses, "s"),
            target_columns=_as_texts(addresses, "t"),
        )
        found = sql.rows(cur, query, {**asdict(shape), "limit": limit})
    known = set(addresses.learn((record_id, values) for record_id, _, values in found))
    return list({i: (i, page) for i, page, _ in found if i in known}.values())


def list_listed(
    conn: Connection, target: Target, source: str, addresses: Addresses, shape: Shape, limit: int
) -> list[str]:
    """Draw active cars that the last run saw at random, as control samples, at most `limit`.

    Their ids, or the values by which they are asked for, are of the `shape`.
    """
    key = {**target.key(source), **asdict(shape), "limit": limit}
    with patient(conn), connection.transaction(conn, "listing active cars") as cur:
        values = _parts(addresses, target.id_column)
        query = sql.load("deactivation/list_listed", **target_parts(cur, target), **values)
        found = sql.rows(cur, query, key)
    return addresses.learn(found)


def find_addresses(
    conn: Connection, target: Target, source: str, addresses: Addresses, ids: Sequence[str]
) -> list[str]:
    """Learn by which values these cars are asked for; return those that have them, in order."""
    if addresses.is_by_id:
        return list(ids)
    key = {"source": source, "ids": list(ids)}
    with patient(conn), connection.transaction(conn, "reading by what cars are asked for") as cur:
        values = _parts(addresses, target.id_column)["values"]
        parts = target_parts(cur, target)
        query = sql.load("deactivation/list_addresses", **parts, values=values)
        found = sql.rows(cur, query, key)
    has_address = set(addresses.learn(found))
    return [i for i in ids if i in has_address]


def find_seen(conn: Connection, run_id: int, ids: list[str], pages: range) -> list[str]:
    """Return those of the ids that are staged on these pages, rejected records included."""
    query = sql.load("deactivation/find_seen", **staging.tables(run_id))
    key = {"run_id": run_id, "ids": ids, "first": pages.start, "last": pages.stop - 1}
    found = sql.fetch(conn, "looking for cars seen", query, key)
    return [record_id for (record_id,) in found]


def _parts(addresses: Addresses, id_column: str) -> dict[str, Composable]:
    """Compose what a statement reads of a car `t`: its main value, all values, those beside."""
    value, values, beside = (
        [_value(place, id_column) for place in places]
        for places in (addresses.value, addresses.values, addresses.beside)
    )
    beside_it = sql.load("deactivation/values_beside", values=sql.comma_separated(beside))
    return {"value": value[0], "values": sql.comma_separated(values), "beside": beside_it}


def _as_texts(addresses: Addresses, row: str) -> Composable:
    """Compose the staged id, and the columns of `row` by which cars are asked for, as texts."""
    names = {place.column for place in addresses.values if place.constant is None} - {"id"}
    values = {name: sql.identifier(row, name) for name in sorted(names)}
    values["id"] = sql.identifier("s", "id")
    return sql.comma_separated(
        sql.load("merge/as_text", value=value, name=sql.identifier(name))
        for name, value in values.items()
    )


def _value(place: Place, id_column: str) -> Composable:
    if place.constant is not None:
        return sql.load("deactivation/value_of_column", column=sql.literal(place.constant))
    column = sql.identifier("t", id_column if place.column == "id" else place.column)
    if not place.inner:
        return sql.load("deactivation/value_of_column", column=column)
    path = sql.literal(list(place.inner))
    return sql.load("deactivation/value_in_record", column=column, path=path)


def absent_cars(cur: Cursor, run: Run, oldest_fetch: datetime, removed: Composable) -> Composable:
    """Return the query for the cars that the run should have seen and did not.

    Those that are `removed`, by tombstones, are none of them.
    `oldest_fetch` is the time of the request for the oldest page.
    """
    is_expected = conditions.expected(run.source, sql.literal(oldest_fetch))
    record_id = sql.identifier("t", run.target.id_column)
    return sql.load(
        "deactivation/absent",
        **staging.tables(run.run_id),
        **target_parts(cur, run.target),
        removed=removed,
        removals_from=sql.literal(REMOVALS_FROM),
        run_id=sql.literal(run.run_id),
        is_expected=superseded.expected(is_expected, run.run_id, record_id),
    )


def removed_cars(cur: Cursor, run: Run, by_tombstones: bool) -> Composable:
    """Return the query for the cars that tombstones prove to be gone, where these count."""
    tombstones = Tombstones.find(cur, run, RemovalRules()) if by_tombstones else None
    if tombstones is None:
        return sql.load("removals/none", **target_parts(cur, run.target))
    return tombstones.removed()
