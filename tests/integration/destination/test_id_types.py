"""Tables whose ids are texts, integers or UUIDs: each step of a run finds its cars in them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from carsync.deactivation import approval, candidates
from carsync.decision import Proof
from carsync.destination import migrations, plausibility, staging
from carsync.errors import DatabaseError
from carsync.model import Column, Row
from carsync.postgres import connection
from carsync.postgres.target import find_id_type
from carsync.postgres.wait import Connection
from carsync.state import changes, runs
from tests.conftest import ask
from tests.support.merge_rig import (
    COLUMNS,
    SOURCE,
    TARGET,
    Rig,
    car,
    page,
    reject,
    revert,
)

TYPES = {
    "text": "text",
    "bigint": "bigint",
    "uuid": "uuid",
    "identity": "integer GENERATED ALWAYS AS IDENTITY",
    "varchar": "varchar(40)",
    "serial": "bigserial",
    "smallint": "smallint",
}
_KINDS = [pytest.param(k, marks=[pytest.mark.long] * (n > 3)) for n, k in enumerate(TYPES)]


class TypedRig(Rig):
    """A rig over a table of the user's own whose ids are of the type `kind`."""

    def __init__(self, conn: Connection, kind: str) -> None:
        super().__init__(conn)
        self.kind = kind
        ask(conn, f"CREATE TABLE cars (id {TYPES[kind]} PRIMARY KEY, title text)")
        migrations.migrate(conn, TARGET, COLUMNS)

    def id(self, number: int) -> str:
        """Give the id of a car as the table writes it."""
        return f"00000000-0000-4000-8000-{number:012d}" if self.kind == "uuid" else str(number)

    def ids(self, numbers: Iterable[int]) -> list[str]:
        """Give the ids of cars."""
        return [self.id(number) for number in numbers]

    def cars(self, numbers: Iterable[int], version: str = "a") -> list[Row]:
        """Give a row for each number."""
        return [car(i, version) for i in self.ids(numbers)]

    def living(self) -> list[int]:
        """Return the numbers of the active cars."""
        return sorted(int(i[-12:]) for i in self.active())


@pytest.fixture(params=_KINDS)
def typed(request: pytest.FixtureRequest, empty_conn: Connection) -> TypedRig:
    """A rig over a table of each type of ids."""
    return TypedRig(empty_conn, request.param)


def test_a_run_inserts_updates_returns_and_deactivates(typed: TypedRig) -> None:
    assert typed.sync(typed.cars(range(30))).inserted == 30
    assert typed.sync(typed.cars(range(30))).unchanged == 30
    counts = typed.sync([*typed.cars(range(10), "b"), *typed.cars(range(10, 25))])
    assert (counts.updated, counts.unchanged, counts.deactivated) == (10, 15, 5)
    # Seen twice, rejected, and back again: 28 is staged from two pages, 29 rejected.
    typed.begin()
    rows, again = typed.cars(range(29), "b"), typed.cars([28], "c")
    typed.stage(page(1, rows, [reject(29, typed.id(29))]), page(2, again))
    counts = typed.merge_staged(2)
    assert (counts.reactivated, counts.duplicate, counts.deactivated) == (4, 1, 0)
    assert (counts.seen, counts.rejected) == (30, 1)
    assert typed.active()[typed.id(28)].endswith(":c")
    assert typed.living() == list(range(29))
    assert ask(typed.conn, "SELECT count(*) FROM cars") == [(30,)]


def test_absent_cars_are_counted_held_and_approved(typed: TypedRig) -> None:
    typed.sync(typed.cars(range(20)))
    run = typed.begin()
    typed.stage(page(1, typed.cars(range(15)), [reject(15, typed.id(15))]))
    plan = candidates.plan_deactivation(typed.conn, run, by_tombstones=True)
    assert (plan.candidates, plan.active, plan.seen) == (4, 20, 16)
    assert sorted(candidates.list_candidates(typed.conn, run, 9, by_tombstones=True)) == typed.ids(
        range(16, 20)
    )
    asked = typed.ids(range(14, 17))
    assert candidates.find_seen(typed.conn, run.run_id, asked, range(1, 2)) != []
    assert typed.merge_staged(1, "hold").held == 4
    run_id = run.run_id
    shown = approval.review(typed.conn, TARGET, SOURCE, run_id, 1.0)
    assert [held.id for held in shown.to_approve] == typed.ids(range(16, 20))
    some = typed.ids([16, 17, 18])
    done = approval.approve(typed.conn, TARGET, SOURCE, run_id, 1.0, some)
    assert (len(done.to_approve), typed.living()) == (3, [*range(16), 19])


def test_a_held_car_that_is_seen_again_is_absent_no_longer(typed: TypedRig) -> None:
    typed.sync(typed.cars(range(10)))
    typed.sync(typed.cars(range(8)), action="hold")
    held = typed.run
    typed.begin()
    typed.stage(page(1, typed.cars([8])))
    left_out = {h.id: h.left_out for h in approval.list_held(typed.conn, held)}
    assert left_out[typed.id(8)].startswith("was seen by run")
    assert left_out[typed.id(9)] == ""


def test_second_proofs_know_their_cars(typed: TypedRig) -> None:
    typed.sync(typed.cars(range(10)))
    gone, alive = typed.ids([7]), typed.ids([8])
    proof = Proof(gone=gone, alive=alive, next_run=True)
    counts = typed.sync(typed.cars(range(7)), action="prove", proof=proof)
    assert (counts.deactivated, counts.held) == (1, 1)
    counts = typed.sync(typed.cars(range(7)), action="prove", proof=Proof(alive=alive))
    assert (counts.deactivated, typed.living()) == (1, [*range(7), 8])


def test_changes_are_told_and_taken_back(typed: TypedRig, empty_dsn: str) -> None:
    typed.sync(typed.cars(range(10)))
    before = ask(typed.conn, "SELECT id, data_hash, is_active FROM cars ORDER BY id")
    typed.sync([*typed.cars(range(3), "b"), *typed.cars(range(3, 8)), *typed.cars([10])])
    run = runs.find_run(typed.conn, typed.run.run_id)
    assert run is not None
    told = changes.summarize(typed.conn, run)
    assert told.counts == {"inserted": 1, "updated": 3, "deactivated": 2}
    assert [c.id for c in told.examples["updated"]] == typed.ids(range(3))
    by, undone = revert(empty_dsn, run.run_id)
    assert (undone.total, undone.refused) == (6, ())
    assert ask(typed.conn, "SELECT id, data_hash, is_active FROM cars ORDER BY id") == before
    revert(empty_dsn, by)
    assert typed.living() == [*range(8), 10]


def test_a_row_that_the_table_refuses_costs_itself(typed: TypedRig) -> None:
    typed.sync(typed.cars(range(10)))
    ask(
        typed.conn,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NEW.id::text LIKE '%3' THEN RAISE EXCEPTION 'not this one'; END IF;"
        " RETURN NEW; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON cars"
        " FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    counts = typed.sync([*typed.cars(range(8), "b"), *typed.cars(range(10, 15))])
    assert (counts.updated, counts.inserted, counts.rejected) == (7, 4, 2)
    query = (
        "SELECT record_id, original::json ->> 'id', original_kind FROM carsync.rejects ORDER BY 1"
    )
    assert ask(typed.conn, query) == [(i, i, "row") for i in sorted(typed.ids([3, 13]))]
    texts = "SELECT json_typeof(original::json -> 'id') FROM carsync.rejects"
    assert ask(typed.conn, texts) == [("string",)] * 2, "as the mapper gave it, for a replay"


def test_a_run_is_not_resumed_into_ids_of_another_kind(conn: Connection) -> None:
    rig = Rig(conn)
    run = rig.begin()
    assert staging.exists(conn, run.run_id)
    ask(conn, "ALTER TABLE cars ALTER COLUMN id TYPE bigint USING id::bigint")
    assert not staging.exists(conn, run.run_id)


def test_the_mapping_s_type_makes_a_new_table_and_an_existing_one_keeps_its_own(
    empty_conn: Connection,
) -> None:
    numbers = (Column("id", "bigint"), *COLUMNS[1:])
    migrations.migrate(empty_conn, TARGET, numbers)
    query = "SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attname = 'id'"
    assert ask(empty_conn, f"{query} AND attrelid = 'cars'::regclass") == [("bigint",)]
    assert migrations.migrate(empty_conn, TARGET, COLUMNS) == []
    ask(empty_conn, "ALTER TABLE cars ALTER COLUMN id TYPE text")
    with pytest.raises(DatabaseError, match="id has type bigint"):
        migrations.migrate(empty_conn, TARGET, numbers)


def test_a_car_of_another_source_is_named(typed: TypedRig) -> None:
    typed.sync(typed.cars(range(3)))
    other = Rig(typed.conn, source="other")
    with pytest.raises(DatabaseError, match="belongs to another source") as caught:
        other.sync(typed.cars([2], "b"))
    assert f"id {typed.id(2)} " in caught.value.detail


def test_values_are_compared_before_the_merge(typed: TypedRig) -> None:
    typed.sync(typed.cars(range(10)))
    run = typed.begin()
    rows = [(i, None, *rest) for i, _, *rest in typed.cars(range(4), "b")]
    typed.stage(page(1, [*map(tuple, rows), *typed.cars(range(4, 9))]))
    defaults: dict[str, Any] = {"make": None}
    forecast = plausibility.foresee(typed.conn, run, defaults)
    assert (forecast.ids, forecast.known, forecast.changed, forecast.absent) == (9, 9, 4, 1)
    assert forecast.columns[0].emptied == 4
    examples = plausibility.list_examples(typed.conn, run, "make", None, 2)
    assert [e.id for e in examples] == typed.ids([0, 1])


def test_no_statement_casts_the_column_of_ids_where_its_index_serves() -> None:
    """A cast of the table's own column would make each look-up read the whole table."""
    casts = {
        f"{file.parent.name}/{file.stem}"
        for file in Path(str(files("carsync.sql"))).rglob("*.sql")
        if re.search(r"(=|IN|\()\s*t\.\{key\}::|t\.\{key\}::\w+\s*(=|IN)", file.read_text())
    }
    # They read the whole table anyhow, for absent cars and for random ones.
    assert casts == {"deactivation/absent", "deactivation/list_listed", "lists/count_by_list"}


@pytest.mark.parametrize("base", ["bigint", "integer", "uuid", "text"])
def test_a_domain_spells_ids_as_the_type_below_it(empty_conn: Connection, base: str) -> None:
    """Else the car 7 would be absent where its record, which says 007, is rejected."""
    ask(empty_conn, f"CREATE DOMAIN car_id AS {base} CHECK (VALUE IS NOT NULL)")
    ask(empty_conn, "CREATE TABLE cars (id car_id PRIMARY KEY)")
    with connection.transaction(empty_conn, "looking") as cur:
        assert find_id_type(cur, TARGET) == base
