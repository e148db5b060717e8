"""A revert gives the table back as it was, to the byte, and touches nothing written since."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carsync.config.sections import Config, Database
from carsync.deactivation import approval
from carsync.destination.undo import UndoCounts
from carsync.errors import (
    DatabaseBusyError,
    DatabaseError,
    DatabaseUnavailableError,
    RevertError,
)
from carsync.model import ROW_ACTIONS
from carsync.postgres import connection
from carsync.postgres.connect import open_database
from carsync.postgres.wait import Connection
from carsync.redaction import Secret
from carsync.reporting.views.run_details import fate, list_past
from carsync.run.edits.revert import Revert
from carsync.run.signals import StopSignal
from carsync.state import runs
from carsync.state.runs import Run
from tests.conftest import ask
from tests.support import effort
from tests.support.merge_rig import SOURCE, TARGET, Rig, car, cars, page, revert

EXTRAS = (
    "ALTER TABLE cars ADD COLUMN notes text, ADD COLUMN score float8, ADD COLUMN extra json,"
    " ADD COLUMN area point, ADD COLUMN label text GENERATED ALWAYS AS (make || id) STORED,"
    " ADD COLUMN number int GENERATED ALWAYS AS IDENTITY"
)


def table(conn: Connection) -> list[str]:
    """Every row of the table as text, all columns."""
    return [row for (row,) in ask(conn, "SELECT t::text FROM cars AS t ORDER BY id")]


def reasons(outcome: UndoCounts) -> dict[str, str]:
    return {line.id: line.reason for line in outcome.refused}


def test_every_kind_of_change_is_taken_back_to_the_byte_and_again(rig: Rig, dsn: str) -> None:
    ask(rig.conn, EXTRAS)
    rig.sync(cars(range(10)))
    rig.sync(cars(range(9)))
    ask(
        rig.conn,
        "UPDATE cars SET notes = 'mine', score = 0.1 + 0.2, extra = '{\"b\": 1,  \"a\":1}',"
        " area = '(1,2)', price = 10.500, images = 'null' WHERE id IN ('1', '9');"
        "INSERT INTO cars (id, source_api, is_active) VALUES ('x', 'external', NULL)",
    )
    before = table(rig.conn)
    counts = rig.sync([*cars([1], "b"), *cars(range(3, 12)), car("x")])
    run_id = rig.run.run_id
    assert (counts.inserted, counts.updated, counts.reactivated, counts.deactivated) == (2, 1, 2, 2)
    after = table(rig.conn)
    _, looked = revert(dsn, run_id, look=True)
    assert table(rig.conn) == after
    by, outcome = revert(dsn, run_id)
    assert looked == outcome
    done = outcome.counts
    assert (done.deleted, done.updated, done.deactivated, done.reactivated) == (2, 1, 2, 2)
    assert (outcome.refused, outcome.rewritten) == ((), ())
    assert table(rig.conn) == before
    with pytest.raises(RevertError, match=f"already taken back, by run {by}"):
        revert(dsn, run_id)
    again, _ = revert(dsn, by)
    assert table(rig.conn) == after, "the revert of the revert"
    revert(dsn, again)
    assert table(rig.conn) == before
    run = runs.find_run(rig.conn, by)
    assert run is not None
    assert (run.state, run.reverts, run.exit_code) == ("partial", run_id, 0)
    assert not ask(rig.conn, "SELECT FROM pg_class WHERE relname LIKE 'reversal%'")


def test_a_revert_counts_nowhere_as_a_reading_of_the_feed(rig: Rig, dsn: str) -> None:
    rig.sync(cars(range(3)))
    first = rig.run.run_id
    rig.sync(cars(range(3), "b"))
    second = rig.run.run_id
    unfinished = rig.begin()
    by, _ = revert(dsn, second)
    assert by > unfinished.run_id
    merged = runs.last_merged(rig.conn, TARGET, SOURCE)
    resumable = runs.find_resumable(rig.conn, TARGET, SOURCE, 1.0)
    assert merged is not None
    assert resumable is not None
    completed = "SELECT max(run_id) FROM carsync.runs WHERE state IN ('complete', 'held')"
    assert [(merged.run_id,)] == ask(rig.conn, completed) == [(second,)]
    assert resumable.run_id == unfinished.run_id
    rig.stage(page(1, cars(range(3), "b")))
    assert rig.merge_staged(1).updated == 3, "the next sync brings the same in again"
    assert first < second


def test_rows_written_since_are_refused_and_listed(rig: Rig, dsn: str) -> None:
    ask(rig.conn, EXTRAS)
    rig.sync(cars(range(8)))
    rig.sync([*cars(range(3), "b"), *cars(range(3, 7)), *cars([20, 21, 22])])
    run_id = rig.run.run_id
    ask(
        rig.conn,
        "UPDATE cars SET notes = 'sold?' WHERE id IN ('0', '20'); DELETE FROM cars WHERE id = '21'",
    )
    rig.sync([*cars([0, 2], "b"), car("1", "c"), *cars(range(3, 7)), *cars([20, 21, 22])])
    before = table(rig.conn)
    expected = {
        "0": "was written since, by somebody else",
        "1": f"was changed by run {rig.run.run_id}",
        "20": "was written since, by somebody else",
        "21": f"was changed by run {rig.run.run_id}",
    }
    _, looked = revert(dsn, run_id, look=True)
    assert reasons(looked) == expected
    with pytest.raises(RevertError, match=r"4 changes of run .* nothing was changed"):
        revert(dsn, run_id)
    assert table(rig.conn) == before
    _, outcome = revert(dsn, run_id, skip_changed=True)
    assert reasons(outcome) == expected
    assert (outcome.counts.updated, outcome.counts.deleted, outcome.counts.reactivated) == (1, 1, 1)
    active = rig.active()
    assert (active["2"], active["7"], active["1"]) == ("2:a", "7:a", "1:c")
    assert "22" not in active


def test_a_first_load_is_taken_back_whole(rig: Rig, dsn: str) -> None:
    rig.sync(cars(range(200)))
    after = table(rig.conn)
    by, outcome = revert(dsn, rig.run.run_id)
    assert (outcome.counts.deleted, outcome.total) == (200, 200)
    assert table(rig.conn) == []
    assert revert(dsn, by)[1].counts.inserted == 200
    assert table(rig.conn) == after


def test_only_some_kinds_then_the_rest(rig: Rig, dsn: str) -> None:
    rig.sync(cars(range(30)))
    before = table(rig.conn)
    rig.sync([*cars(range(5), "b"), *cars(range(5, 28)), car("new")])
    run_id = rig.run.run_id
    _, first = revert(dsn, run_id, "deactivated")
    assert (first.counts.reactivated, first.total) == (2, 2)
    assert rig.active()["0"] == "0:b"
    _, rest = revert(dsn, run_id)
    assert (rest.total, rest.before, rest.refused) == (6, 2, ())
    assert table(rig.conn) == before


def test_what_the_table_holds_fast_is_refused(rig: Rig, dsn: str) -> None:
    rig.sync([car("1"), car("2"), car("3")])
    ask(
        rig.conn,
        "CREATE TABLE favourites (car text REFERENCES cars ON DELETE CASCADE);"
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        "  IF OLD.id = '5' THEN RAISE EXCEPTION 'no, %', OLD.id; END IF;"
        "  IF OLD.id = '6' THEN RETURN NULL; END IF;"
        "  RETURN OLD; END $$;"
        "CREATE TRIGGER keep BEFORE DELETE ON cars FOR EACH ROW EXECUTE FUNCTION keep();"
        "ALTER TABLE cars ADD CHECK (id <> '2' OR data_hash = '2:b') NOT VALID",
    )
    rig.sync([*cars([1, 2], "b"), *cars(range(3, 9))])
    ask(rig.conn, "INSERT INTO favourites VALUES ('4')")
    _, outcome = revert(dsn, rig.run.run_id, skip_changed=True)
    assert reasons(outcome) == {
        "4": "is referred to by public.favourites",
        "5": "PostgreSQL refused: no, 5",
        "6": "a trigger of the table kept it as it is",
        "2": 'PostgreSQL refused: new row for relation "cars" violates check constraint '
        '"cars_check"',
    }
    assert (outcome.counts.deleted, outcome.counts.updated) == (2, 1)
    assert rig.active() == {
        **{i: f"{i}:a" for i in "13456"},
        "2": "2:b",
    }
    assert ask(rig.conn, "SELECT car FROM favourites") == [("4",)]


def test_triggers_that_write_more_are_taken_back_or_told(rig: Rig, dsn: str) -> None:
    ask(
        rig.conn,
        "ALTER TABLE cars ADD COLUMN revision int DEFAULT 0, ADD COLUMN old_make text;"
        "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        "  NEW.updated_at := now(); NEW.revision := OLD.revision + 1;"
        "  IF NEW.data_hash LIKE '%b' THEN NEW.old_make := OLD.make; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER stamp BEFORE UPDATE ON cars FOR EACH ROW EXECUTE FUNCTION stamp()",
    )
    rig.sync([car("1"), car("2")])
    rig.sync([car("1", "b"), car("2")])
    (before,) = ask(
        rig.conn, "SELECT before FROM carsync.changes WHERE id = '1' AND before ? 'id' IS FALSE"
    )
    assert {"revision", "old_make", "data_hash"} <= set(before[0])
    _, outcome = revert(dsn, rig.run.run_id)
    assert outcome.rewritten == ("revision", "updated_at")
    assert ask(rig.conn, "SELECT data_hash, old_make, revision FROM cars WHERE id = '1'") == [
        ("1:a", None, 2)
    ]


def test_an_approval_is_taken_back_with_its_run(rig: Rig, dsn: str) -> None:
    rig.sync(cars(range(5)))
    before = table(rig.conn)
    rig.sync([*cars(range(3)), car("7")], action="hold")
    run_id = rig.run.run_id
    approval.approve(rig.conn, TARGET, SOURCE, run_id, 1.0, ["3", "4"])
    assert set(rig.active()) == {"0", "1", "2", "7"}
    _, outcome = revert(dsn, run_id)
    assert (outcome.counts.reactivated, outcome.counts.deleted) == (2, 1)
    assert table(rig.conn) == before


def test_what_cannot_be_taken_back_says_why(rig: Rig, dsn: str) -> None:
    rig.sync(cars(range(3)))
    rig.sync(cars(range(3), "b"))
    run_id = rig.run.run_id
    rig.sync(cars(range(3), "b"))
    assert revert(dsn, rig.run.run_id)[1].total == 0, "it changed nothing"
    with pytest.raises(RevertError, match="no run 999"):
        revert(dsn, 999)
    unmerged = rig.begin().run_id
    with pytest.raises(RevertError, match="was not merged"):
        revert(dsn, unmerged)
    Rig(rig.conn, source="other").sync([car("z")])
    with pytest.raises(RevertError, match="another table or source"):
        revert(dsn, unmerged + 1)
    rig.sync(cars(range(3), "c"), records=False)
    assert ask(rig.conn, "SELECT count(*) FROM carsync.changes WHERE run_id = %s", rig.run.run_id)
    with pytest.raises(RevertError, match="were not recorded"):
        revert(dsn, rig.run.run_id)
    ask(rig.conn, "ALTER TABLE cars RENAME COLUMN data_hash TO hash")
    with pytest.raises(RevertError, match=r"lacks columns that run .* wrote: data_hash"):
        revert(dsn, run_id)
    ask(rig.conn, "ALTER TABLE cars RENAME COLUMN hash TO data_hash")
    ask(rig.conn, "UPDATE carsync.runs SET changes_origin = '1/2/3' WHERE run_id = %s", run_id)
    with pytest.raises(RevertError, match="recorded on another server"):
        revert(dsn, run_id)


def test_a_row_that_a_trigger_wrote_once_more_is_refused(rig: Rig, dsn: str) -> None:
    ask(
        rig.conn,
        "CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        "  UPDATE cars SET data_hash = 'mine' WHERE id = NEW.id; RETURN NULL; END $$;"
        "CREATE TRIGGER again AFTER UPDATE ON cars FOR EACH ROW"
        " WHEN (pg_trigger_depth() = 0 AND NEW.id = '1') EXECUTE FUNCTION again()",
    )
    rig.sync(cars(range(3)))
    rig.sync(cars(range(3), "b"))
    _, looked = revert(dsn, rig.run.run_id, look=True)
    assert reasons(looked) == {"1": "was written since, by somebody else"}


def test_a_locked_row_ends_it_and_nothing_is_changed(rig: Rig, dsn: str) -> None:
    rig.sync(cars(range(3)))
    rig.sync(cars(range(3), "b"))
    run_id, after = rig.run.run_id, table(rig.conn)
    with closing(connection.connect(Secret(dsn), application_name="rival")) as rival:
        ask(rival, "BEGIN")
        ask(rival, "SELECT FROM public.cars WHERE id = '1' FOR UPDATE")
        with pytest.raises(DatabaseBusyError, match="reverting") as caught:
            revert(dsn, run_id, lock_timeout_s=0.2)
    assert "rival" in caught.value.detail
    assert table(rig.conn) == after
    newest = runs.list_runs(rig.conn, TARGET, 1)[0]
    assert (newest.state, newest.counts, newest.reverts) == ("failed", None, run_id)
    assert revert(dsn, run_id)[1].counts.updated == 3


def test_a_revert_that_is_stopped_is_recorded_as_what_it_is(rig: Rig, dsn: str) -> None:
    rig.sync(cars(range(3)))
    rig.sync(cars(range(3), "b"))
    run_id, stop = rig.run.run_id, StopSignal()
    config = Config(database=Database(dsn=Secret(dsn), lock_timeout_s=30))
    with (
        closing(connection.connect(Secret(dsn), application_name="rival")) as rival,
        closing(open_database(config, "carsync test", lambda: stop.requested)) as opened,
    ):
        ask(rival, "BEGIN; SELECT FROM public.cars FOR UPDATE")
        timer = threading.Timer(0.5, stop._handle, (signal.SIGTERM, None))
        timer.start()
        with pytest.raises(DatabaseError):
            Revert(config, opened, run_id, ROW_ACTIONS).carry_out(skip_changed=False, stop=stop)
        timer.join()
    newest = list_past(rig.conn, TARGET, 1)[0]
    assert (newest.state, newest.run.exit_code, newest.run.counts) == ("interrupted", 143, None)
    assert newest.run.summary is not None
    assert newest.run.summary["problem"]
    assert fate(newest) == ("", f"nothing was changed; run `carsync revert {run_id}` again")


@pytest.mark.parametrize("is_committed", [True, False])
def test_a_break_around_commit_is_looked_up(
    rig: Rig, dsn: str, monkeypatch: pytest.MonkeyPatch, is_committed: bool
) -> None:
    rig.sync(cars(range(3)))
    before = table(rig.conn)
    rig.sync(cars(range(3), "b"))
    after = table(rig.conn)
    take_back = Revert._take_back

    def broken(self: Revert, by: Run, skip_changed: bool) -> UndoCounts:
        if is_committed:
            take_back(self, by, skip_changed)
        raise DatabaseUnavailableError("the connection broke")

    monkeypatch.setattr(Revert, "_take_back", broken)
    if is_committed:
        _, outcome = revert(dsn, rig.run.run_id)
        assert outcome.counts.updated == 3
        assert table(rig.conn) == before
    else:
        with pytest.raises(DatabaseUnavailableError):
            revert(dsn, rig.run.run_id)
        assert table(rig.conn) == after


@pytest.fixture
def bench(dsn: str) -> Iterator[tuple[Rig, str]]:
    with closing(connection.connect(Secret(dsn), application_name="bench")) as opened:
        ask(opened, f"SET search_path = public; {EXTRAS}")
        yield Rig(opened), dsn


_feeds = st.dictionaries(st.integers(0, 9), st.sampled_from("abc"), min_size=1)


@given(feeds=st.lists(_feeds, min_size=2, max_size=4), keep=st.integers(0, 3))
@settings(
    max_examples=effort.trials(8, 300),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_runs_taken_back_newest_first_leave_what_was_before_each(
    bench: tuple[Rig, str], feeds: list[dict[int, str]], keep: int
) -> None:
    rig, dsn = bench
    ask(rig.conn, "TRUNCATE cars, carsync.changes, carsync.absences")
    states: list[tuple[int, list[str]]] = []
    for feed in feeds:
        before = table(rig.conn)
        rig.sync([car(str(i), version) for i, version in feed.items()])
        states.append((rig.run.run_id, before))
    for run_id, before in reversed(states[keep:]):
        revert(dsn, run_id)
        assert table(rig.conn) == before


def test_who_refers_to_a_car_meanwhile_is_waited_for_and_keeps_his_row(rig: Rig, dsn: str) -> None:
    ask(rig.conn, "CREATE TABLE favourites (car text REFERENCES cars ON DELETE CASCADE)")
    rig.sync(cars(range(3)))
    config = Config(database=Database(dsn=Secret(dsn)))
    with (  # all sessions are open before the thread begins: psycopg2 waits one way for all
        closing(connection.connect(Secret(dsn), application_name="rival")) as rival,
        closing(open_database(config, "carsync test")) as opened,
        ThreadPoolExecutor(1) as pool,
    ):
        ask(rival, "BEGIN; INSERT INTO public.favourites VALUES ('1')")
        work = Revert(config, opened, rig.run.run_id, ROW_ACTIONS)
        working = pool.submit(work.carry_out, skip_changed=True, stop=StopSignal())
        until_s = time.monotonic() + 20
        while not ask(rig.conn, "SELECT 1 FROM pg_locks WHERE NOT granted"):
            assert time.monotonic() < until_s
        ask(rival, "COMMIT")
        _, outcome = working.result()
    assert reasons(outcome) == {"1": "is referred to by public.favourites"}
    assert ask(rig.conn, "SELECT car FROM favourites") == [("1",)]


def test_rows_that_the_role_cannot_see_are_not_deleted_along(rig: Rig, dsn: str) -> None:
    ask(
        rig.conn,
        "CREATE TABLE favourites (car text REFERENCES cars ON DELETE CASCADE)",
    )
    rig.sync(cars(range(2)))
    ask(rig.conn, "INSERT INTO favourites VALUES ('1')")
    role = f"carsync_blind_{rig.run.run_id}_{time.monotonic_ns()}"
    ask(
        rig.conn,
        f"CREATE ROLE {role} LOGIN; ALTER TABLE cars OWNER TO {role};"
        f"ALTER SCHEMA carsync OWNER TO {role};"
        f"DO $$ DECLARE r record; BEGIN FOR r IN SELECT oid::regclass AS n FROM pg_class"
        f" WHERE relnamespace = 'carsync'::regnamespace AND relkind = 'r' LOOP"
        f" EXECUTE format('ALTER TABLE %s OWNER TO {role}', r.n); END LOOP; END $$",
    )
    try:
        asked = f"{dsn} options='-c role={role}'"
        _, outcome = revert(asked, rig.run.run_id, skip_changed=True)
        why = "may be referred to by public.favourites, which this role may not read"
        assert reasons(outcome) == {"0": why, "1": why}
        assert ask(rig.conn, "SELECT car FROM favourites") == [("1",)]
    finally:
        ask(rig.conn, f"REASSIGN OWNED BY {role} TO CURRENT_USER; DROP OWNED BY {role}")
        ask(rig.conn, f"DROP ROLE {role}")


def test_a_few_refused_rows_do_not_cost_a_reading_of_the_table_each(rig: Rig, dsn: str) -> None:
    rig.sync(cars(range(2000)))
    rig.sync(cars(range(2000), "b"))
    ask(
        rig.conn,
        "ANALYZE cars; ALTER TABLE cars ADD CHECK (id !~ '^1*$' OR data_hash ~ 'b') NOT VALID",
    )
    scans = "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'cars'"
    ((before,),) = ask(rig.conn, scans)
    _, outcome = revert(dsn, rig.run.run_id, skip_changed=True)
    assert (outcome.counts.updated, len(outcome.refused)) == (1996, 4)
    until_s = time.monotonic() + 20
    while ask(rig.conn, scans)[0][0] == before:  # told when its session ends
        assert time.monotonic() < until_s
    assert ask(rig.conn, scans)[0][0] - before < 20


def test_a_copy_of_the_tables_is_never_taken_for_untouched_rows(rig: Rig, dsn: str) -> None:
    """Data dumped and put back in one transaction: all of its rows have one xmin."""
    rig.sync(cars(range(10)))
    first = rig.run.run_id
    rig.sync(cars(range(12), "b"))
    ask(rig.conn, "UPDATE cars SET make = 'written since' WHERE id < '5' OR id LIKE '1_'")
    before = table(rig.conn)
    put_back = "".join(
        f"CREATE TEMP TABLE copied ON COMMIT DROP AS TABLE {name}; TRUNCATE {name};"
        f"INSERT INTO {name} SELECT * FROM copied; DROP TABLE copied;"
        for name in ("cars", "carsync.changes")
    )
    ask(rig.conn, put_back)
    for run_id in (first, rig.run.run_id):
        with pytest.raises(RevertError, match="were copied since"):
            revert(dsn, run_id, skip_changed=True)
    assert table(rig.conn) == before
    rig.sync(cars(range(12), "c"))
    by, _ = revert(dsn, rig.run.run_id)
    assert table(rig.conn) == before, "what is written after it is taken back as ever"
    revert(dsn, by)
