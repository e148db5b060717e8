"""What only the target itself refuses, at the merge: it costs its record, and nothing else."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from carsync.decision import DeactivationAction, Proof
from carsync.errors import UnmergeableError
from tests.conftest import ask
from tests.support.merge_rig import COLUMNS, Rig, car, cars

RAISE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.make = 'Lada' THEN RAISE EXCEPTION 'no Lada here' USING ERRCODE = '{code}'; END IF;
    RETURN NEW;
END $$;
"""
BEFORE = (
    "CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON cars FOR EACH ROW EXECUTE FUNCTION refuse()"
)
AT_COMMIT = (
    "CREATE CONSTRAINT TRIGGER guard AFTER INSERT OR UPDATE ON cars DEFERRABLE INITIALLY DEFERRED "
    "FOR EACH ROW EXECUTE FUNCTION refuse()"
)
SEARCH = (
    "ALTER TABLE cars ADD search tsvector "
    "GENERATED ALWAYS AS (to_tsvector('simple', coalesce(make, ''))) STORED"
)
LONG = "".join(random.Random(1).choices("0123456789abcdef", k=60_000))
WORDS = " ".join(f"{i:x}" for i in range(150_000))

CASES = {
    "b-tree entry": ("CREATE INDEX ON cars (make)", "make", LONG, "index row"),
    "expression": ("CREATE INDEX ON cars ((1 / price))", "price", 0, "division by zero"),
    "generated": (SEARCH, "make", WORDS, "too long for tsvector"),
    "second key": (
        "CREATE UNIQUE INDEX ON cars (nullif(make, 'Kia'))",
        "make",
        "Ford",
        "duplicate",
    ),
    "raises": (RAISE.format(code="P0001") + BEFORE, "make", "Lada", "no Lada"),
    "own code": (RAISE.format(code="PT409") + BEFORE, "make", "Lada", "no Lada"),
    "at commit": (RAISE.format(code="23514") + AT_COMMIT, "make", "Lada", "no Lada"),
}


def bad(record_id: str, column: str, value: Any, version: str = "b") -> tuple[Any, ...]:
    row = list(car(record_id, version))
    row[[c.name for c in COLUMNS].index(column)] = value
    return tuple(row)


def rejects(rig: Rig) -> list[tuple[Any, ...]]:
    query = "SELECT record_id, page, ordinal, reason, original, original_kind FROM carsync.rejects"
    return ask(
        rig.conn, f"{query} WHERE run_id = {rig.run.run_id} AND settled_by IS NULL ORDER BY 2, 3"
    )


@pytest.mark.parametrize("case", CASES)
def test_one_record_costs_itself(rig: Rig, case: str) -> None:
    ddl, column, value, reason = CASES[case]
    rig.sync([*cars(range(10)), car("off")])
    ask(rig.conn, "UPDATE cars SET is_active = false WHERE id = 'off'")
    ask(rig.conn, "UPDATE cars SET make = 'Ford' WHERE id = '9'")
    ask(rig.conn, ddl)
    before = ask(rig.conn, "SELECT t::text FROM cars t WHERE id IN ('3', 'off') ORDER BY id")
    known = [*cars(range(3), "b"), bad("3", column, value), *cars(range(4, 8), "b")]
    fresh = [*cars(range(20, 23)), bad("23", column, value), bad("off", column, value)]
    counts = rig.sync(known, fresh)
    assert (counts.inserted, counts.updated, counts.reactivated) == (3, 7, 0)
    assert (counts.rejected, counts.stale, counts.kept, counts.unchanged) == (3, 0, 0, 0)
    assert (counts.deactivated, counts.seen) == (2, 13), (
        "8 and 9 are gone, what was refused was seen"
    )
    assert before == ask(
        rig.conn, "SELECT t::text FROM cars t WHERE id IN ('3', 'off') ORDER BY id"
    )
    found = rejects(rig)
    assert [line[:3] for line in found] == [("3", 1, 3), ("23", 2, 3), ("off", 2, 4)]
    for _, _, _, said, original, kind in found:
        assert (reason in said, kind) == (True, "row")
        assert json.loads(original).keys() == {c.name for c in COLUMNS}
        assert json.loads(original)["images"] == '["1.jpg"]'


def test_a_table_that_refuses_too_many_records_is_not_merged(rig: Rig) -> None:
    rig.sync(cars(range(100)))
    ask(rig.conn, RAISE.format(code="P0001") + BEFORE)
    rows = [*cars(range(94), "b"), *(bad(str(i), "make", "Lada") for i in range(94, 100))]
    with pytest.raises(UnmergeableError, match="refuses more records than") as caught:
        rig.sync(rows, max_reject_share=0.05)
    assert "no Lada here" in caught.value.detail
    assert "the next run reads the feed anew" in caught.value.hint
    assert set(rig.active().values()) == {f"{i}:a" for i in range(100)}
    counts = rig.sync(rows, max_reject_share=0.06)
    assert (counts.updated, counts.rejected) == (94, 6)


def test_a_statement_that_is_refused_whatever_its_rows_fails_the_merge(rig: Rig) -> None:
    rig.sync(cars(range(5)))
    ask(
        rig.conn,
        "CREATE FUNCTION closed() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'closed'; END $$;"
        "CREATE TRIGGER closed BEFORE UPDATE ON cars EXECUTE FUNCTION closed()",
    )
    with pytest.raises(UnmergeableError, match="refused while merging"):
        rig.sync(cars(range(3), "b"))
    assert len(rig.active()) == 5


def test_an_absent_car_that_the_table_refuses_to_let_go_is_kept(rig: Rig) -> None:
    rig.sync(cars(range(10)))
    ask(rig.conn, "CREATE UNIQUE INDEX ON cars (make) WHERE NOT is_active")
    counts = rig.sync(cars(range(7)), max_reject_share=0.5)
    assert (counts.deactivated, counts.kept, counts.rejected, counts.held) == (1, 2, 0, 0)
    assert len(rig.active()) == 9


KEEPING = {
    "before": ("BEFORE", "NEW.is_active := true; NEW.data_hash := OLD.data_hash; RETURN NEW;"),
    "old": ("BEFORE", "RETURN OLD;"),
    "none": ("BEFORE", "RETURN NULL;"),
    "after": (
        "AFTER",
        "IF pg_trigger_depth() = 1 THEN UPDATE cars SET is_active = true, "
        "data_hash = OLD.data_hash WHERE id = NEW.id; END IF; RETURN NULL;",
    ),
}


@pytest.mark.parametrize("how", KEEPING)
@pytest.mark.parametrize("action", ["deactivate", "prove"])
def test_counts_are_what_stands_in_the_table_and_not_what_was_asked(
    rig: Rig, how: str, action: DeactivationAction
) -> None:
    rig.sync(cars(range(10)))
    when, body = KEEPING[how]
    ask(
        rig.conn,
        f"CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;"
        f"CREATE TRIGGER keep {when} UPDATE ON cars FOR EACH ROW WHEN (OLD.id IN ('1', '8'))"
        " EXECUTE FUNCTION keep()",
    )
    for _ in range(2):  # every night again
        counts = rig.sync(cars(range(3), "b"), action=action, proof=Proof(gone=list("3456789")))
        assert (counts.kept, counts.stale, counts.held) == (2, 0, 0)
    assert (counts.updated, counts.deactivated) == (0, 0)
    assert rig.active() == {"0": "0:b", "1": "1:a", "2": "2:b", "8": "8:a"}
    told = ask(rig.conn, "SELECT count(*) FROM carsync.changes WHERE action = 'deactivated'")
    assert told == [(6,)] or how == "after"
    first = ask(rig.conn, "SELECT counts FROM carsync.runs ORDER BY run_id")[1][0]
    assert (first["updated"], first["deactivated"]) == (2, 6)


def test_a_table_that_refuses_nearly_all_is_not_tried_row_by_row(rig: Rig) -> None:
    """Of 5 % of a large feed each would cost some ten statements: an hour, every night."""
    ask(rig.conn, "CREATE SEQUENCE asked; CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql"
        " AS $$ BEGIN PERFORM nextval('asked'); RAISE 'closed'; END $$")  # fmt: skip
    ask(rig.conn, BEFORE)
    with pytest.raises(UnmergeableError, match=r"more records than sync\.max_reject_share allows"):
        rig.sync(cars(range(12_000)), max_reject_share=0.05)
    assert ask(rig.conn, "SELECT nextval('asked') < 300") == [(True,)]
