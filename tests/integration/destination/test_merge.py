"""What a merge promises: exact, atomic, free when nothing changed, never a false goodbye."""

from __future__ import annotations

import re
import threading
import time
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from psycopg2.sql import SQL

from carsync.deactivation import approval, candidates
from carsync.decision import DeactivationAction, Proof
from carsync.destination import analyze, merge, migrations, staging
from carsync.destination.analyze import analyze_after
from carsync.errors import (
    DatabaseError,
    DatabaseUnavailableError,
    LockedError,
)
from carsync.model import Target
from carsync.postgres import connection, sql
from carsync.postgres.sql import Cursor, Query
from carsync.postgres.wait import Connection
from carsync.redaction import Secret
from carsync.state import runs
from tests.conftest import ask
from tests.support.merge_rig import SOURCE, TARGET, Rig, car, cars, page, reject


def versions(conn: Connection) -> list[tuple[object, ...]]:
    """Every row version of the table: a rewritten row has another ctid and xmin."""
    return ask(conn, "SELECT id, ctid, xmin, xmax FROM cars ORDER BY id")


# ── exact ────────────────────────────────────────────────────────────────────


def test_first_merge_inserts_all_columns_and_constants(rig: Rig) -> None:
    counts = rig.sync(cars(range(3)), cars(range(3, 5)))
    assert (counts.inserted, counts.seen, counts.unchanged) == (5, 5, 0)
    [row] = ask(
        rig.conn,
        "SELECT make, year, price::float, is_live, images->>0, data_hash, status, is_active,"
        " is_archived, source_api, created_at = updated_at AND updated_at = last_synced_at"
        " FROM cars WHERE id = '4'",
    )
    assert row == (
        *("Kia", 2019, 12500.5, True, "1.jpg", "4:a", "active", True, False, SOURCE, True),
    )


def test_merge_updates_only_what_changed(rig: Rig) -> None:
    rig.sync(cars(range(10)))
    before = {str(i): rest for i, *rest in versions(rig.conn)}
    counts = rig.sync([*cars(range(2), "b"), *cars(range(2, 10))])
    after = {str(i): rest for i, *rest in versions(rig.conn)}
    assert (counts.updated, counts.unchanged) == (2, 8)
    assert {i for i in after if after[i] != before[i]} == {"0", "1"}
    assert rig.active()["0"] == "0:b"


def test_update_keeps_created_at_and_moves_updated_at(rig: Rig) -> None:
    rig.sync([car("1")])
    rig.sync([car("1", "b")])
    assert ask(rig.conn, "SELECT created_at < updated_at, updated_at = last_synced_at FROM cars")[
        0
    ] == (True, True)


def test_unchanged_run_writes_no_row_version_and_locks_none(rig: Rig) -> None:
    rig.sync(cars(range(500)))
    before = versions(rig.conn)
    counts = rig.sync(cars(range(500)))
    assert counts.unchanged == counts.seen == 500
    assert versions(rig.conn) == before


def test_returning_car_is_reactivated_even_if_unchanged(rig: Rig) -> None:
    rig.sync(cars(range(30)))
    rig.sync(cars(range(29)))
    assert "29" not in rig.active()
    counts = rig.sync(cars(range(30)))
    assert (counts.reactivated, counts.updated) == (1, 0)
    assert "29" in rig.active()


def test_row_without_hash_or_source_is_claimed_once(rig: Rig) -> None:
    ask(rig.conn, "INSERT INTO cars (id, make, is_active) VALUES ('1', 'Old', true)")
    assert rig.sync([car("1")]).updated == 1
    assert rig.active() == {"1": "1:a"}
    assert rig.sync([car("1")]).unchanged == 1


def test_duplicates_keep_the_row_of_the_highest_page_then_ordinal(rig: Rig) -> None:
    rig.begin()
    rig.stage(page(3, [car("1", "p3"), car("2", "p3")]), page(1, [car("4"), car("1", "p1")]))
    rig.stage(page(2, [car("3", "first"), car("3", "last"), car("1", "p2")]))
    counts = merge.merge(rig.conn, rig.request(3))
    assert (counts.duplicate, counts.seen, counts.inserted) == (3, 4, 4)
    assert rig.active() == {"1": "1:p3", "2": "2:p3", "3": "3:last", "4": "4:a"}


def test_target_with_a_difficult_name(empty_conn: Connection) -> None:
    target = Target("Öffentlich", 'ca"rs %s {x}')
    ask(empty_conn, 'CREATE SCHEMA "Öffentlich"')
    migrations.migrate(empty_conn, target, ())
    rig = Rig(empty_conn, target)
    assert rig.sync(cars(range(3))).inserted == 3
    assert rig.sync(cars(range(2)), action="hold").held == 1
    held = rig.run.run_id
    done = approval.approve(empty_conn, target, SOURCE, held, 1.0, ["2"])
    assert [car.id for car in done.to_approve] == ["2"]


# ── never a false goodbye ────────────────────────────────────────────────────


def test_absent_cars_of_this_source_only_are_deactivated(rig: Rig) -> None:
    rig.sync(cars(range(5)))
    ask(
        rig.conn,
        "INSERT INTO cars (id, is_active, source_api) VALUES ('other', true, 'dealer'),"
        " ('nobody', true, NULL)",
    )
    counts = rig.sync(cars(range(4)))
    assert counts.deactivated == 1
    assert set(rig.active()) == {"0", "1", "2", "3"}
    kept = ask(rig.conn, "SELECT id FROM cars WHERE is_active AND id IN ('other', 'nobody')")
    assert len(kept) == 2


def test_only_absent_cars_of_this_source_are_held(rig: Rig) -> None:
    rig.sync(cars(range(5)))
    rig.begin()
    rig.stage(page(1, cars(range(4))))
    ask(
        rig.conn,
        "INSERT INTO cars (id, is_active, source_api, updated_at) VALUES"
        " ('other', true, 'dealer', NULL), ('new', true, 'external', clock_timestamp()),"
        " ('old', false, 'external', NULL)",
    )
    assert merge.merge(rig.conn, rig.request(1, "hold")).held == 1
    assert ask(rig.conn, "SELECT id FROM carsync.absences") == [("4",)]


def test_failed_pages_merge_the_rest_and_deactivate_nobody(rig: Rig) -> None:
    rig.sync(cars(range(5)))
    rig.begin()
    rig.stage(page(1, cars([0], "b")))
    counts = merge.merge(rig.conn, rig.request(2, "skip", failed_pages=frozenset({2})))
    assert (counts.updated, counts.deactivated, counts.held) == (1, 0, 0)
    assert len(rig.active()) == 5
    run = runs.find_run(rig.conn, rig.run.run_id)
    assert run is not None
    assert run.state == "partial"


def test_merge_does_not_pass_a_writer_that_is_still_staging(rig: Rig, dsn: str) -> None:
    rig.begin()
    rig.stage(page(1, cars(range(3))))
    ask(rig.conn, "SET lock_timeout = '100ms'")
    with closing(psycopg2.connect(dsn)) as writer:
        ask(writer, f"DELETE FROM carsync.ledger_{rig.run.run_id} WHERE page = 99")
        with pytest.raises(DatabaseError, match="while merging"):
            merge.merge(rig.conn, rig.request(1))
    assert merge.merge(rig.conn, rig.request(1)).inserted == 3


# ── second proofs, holding, approving ────────────────────────────────────────


def test_hold_deactivates_nobody_and_remembers_whom(rig: Rig) -> None:
    rig.sync(cars(range(10)))
    counts = rig.sync(cars(range(4)), action="hold")
    assert (counts.held, counts.deactivated) == (6, 0)
    assert len(rig.active()) == 10


def test_next_run_proof_needs_two_absences_in_a_row(rig: Rig) -> None:
    rig.sync(cars(range(10)))
    first = rig.sync(cars(range(9)), action="prove")
    assert (first.deactivated, first.held) == (0, 1)
    second = rig.sync(cars(range(8)), action="prove")
    assert (second.deactivated, second.held) == (1, 1)
    assert set(rig.active()) == {str(i) for i in range(9)}
    third = rig.sync(cars(range(9)), action="prove")
    assert (third.deactivated, third.held) == (0, 0)
    fourth = rig.sync(cars(range(8)), action="prove")
    assert (fourth.deactivated, fourth.held) == (0, 1), "seen in between: counting starts again"
    rig.begin()
    rig.stage(page(1, cars(range(9))))
    staging.drop(rig.conn, rig.run.run_id)
    fifth = rig.sync(cars(range(8)), action="prove")
    assert (fifth.deactivated, fifth.held) == (0, 1), "seen in between, by a run that died"


def test_held_run_is_no_first_proof(rig: Rig) -> None:
    rig.sync(cars(range(10)))
    rig.sync(cars(range(5)), action="hold")
    counts = rig.sync(cars(range(5)), action="prove")
    assert (counts.deactivated, counts.held) == (0, 5)
    assert rig.sync(cars(range(5)), action="prove").deactivated == 5


def test_by_id_proof_deactivates_the_gone_and_spares_the_alive(rig: Rig) -> None:
    rig.sync(cars(range(10)))
    proof = Proof(gone=["8", "0"], alive=["9"])
    counts = rig.sync(cars(range(7)), action="prove", proof=proof)
    assert (counts.deactivated, counts.held) == (1, 1), "8 is gone; 7 is unknown; 0 was seen"
    assert set(rig.active()) == {"0", "1", "2", "3", "4", "5", "6", "7", "9"}


def test_an_earlier_absence_proves_nothing_where_the_api_was_asked_by_id(rig: Rig) -> None:
    rig.sync(cars(range(10)))
    rig.sync(cars(range(9)), action="prove")
    asked = rig.sync(cars(range(9)), action="prove", proof=Proof(next_run=False))
    assert (asked.deactivated, asked.held) == (0, 1)
    assert rig.sync(cars(range(9)), action="prove").deactivated == 1


def test_proof_of_an_earlier_absence_is_void_for_an_alive_car(rig: Rig) -> None:
    rig.sync(cars(range(10)))
    rig.sync(cars(range(9)), action="prove")
    rig.sync(cars(range(9)), action="prove", proof=Proof(alive=["9"]))
    counts = rig.sync(cars(range(9)), action="prove")
    assert (counts.deactivated, counts.held) == (0, 1)


@pytest.mark.parametrize("action", ["deactivate", "prove"])
def test_more_absent_cars_than_were_decided_over_are_all_held(
    rig: Rig, action: DeactivationAction
) -> None:
    """Another session inserts cars, without a time, between the decision and the merge."""
    rig.sync(cars(range(20)))
    rig.begin()
    rig.stage(page(1, cars(range(18))))
    plan = candidates.plan_deactivation(rig.conn, rig.run, by_tombstones=True)
    assert plan.candidates == 2
    request = rig.request(1, action, Proof(gone=["18", "19", "rival"]), max_deactivations=2)
    ask(
        rig.conn,
        "INSERT INTO cars (id, is_active, source_api) VALUES ('rival', true, %s)",
        SOURCE,
    )
    counts = merge.merge(rig.conn, request)
    assert (counts.deactivated, counts.held) == (0, 3)
    assert len(rig.active()) == 21
    run = runs.find_run(rig.conn, rig.run.run_id)
    assert run is not None
    assert run.state == "held"
    shown = approval.review(rig.conn, TARGET, SOURCE, run.run_id, 1.0)
    assert {car.id for car in shown.to_approve} == {"18", "19", "rival"}
    counts = rig.sync(cars(range(18)), action="prove")
    assert (counts.deactivated, counts.held) == (0, 3), "what was held is no first proof"


def test_as_many_absent_cars_as_were_decided_over_go(rig: Rig) -> None:
    rig.sync(cars(range(20)))
    counts = rig.sync(cars(range(17)), max_deactivations=2, proof=Proof(alive=["19"]))
    assert (counts.deactivated, counts.held) == (2, 0)


# ── rivals ───────────────────────────────────────────────────────────────────


def test_row_written_after_its_page_was_asked_for_is_not_overwritten(rig: Rig) -> None:
    rig.sync([car("1"), car("2")])
    rig.begin()
    rig.stage(page(1, [car("1", "b"), car("2", "b")], age_s=0))
    ask(
        rig.conn,
        "UPDATE cars SET data_hash = 'rival', updated_at = clock_timestamp() WHERE id = '1'",
    )
    counts = merge.merge(rig.conn, rig.request(1))
    assert (counts.stale, counts.updated) == (1, 1)
    assert rig.active() == {"1": "rival", "2": "2:b"}


def test_age_of_a_page_counts_from_its_request(rig: Rig) -> None:
    rig.sync([car("1")])
    ask(rig.conn, "UPDATE carsync.runs SET merged_at = merged_at - interval '2 hours'")
    ask(rig.conn, "UPDATE cars SET updated_at = updated_at - interval '30 minutes'")
    rig.begin()
    rig.stage(page(1, [car("1", "b")], age_s=3600))
    assert merge.merge(rig.conn, rig.request(1)).stale == 1
    assert rig.active() == {"1": "1:a"}


def test_merge_waits_for_a_rival_and_keeps_its_newer_row(rig: Rig, dsn: str) -> None:
    """The rival's row is uncommitted when the merge reads, and newer when it writes."""
    rig.sync([car("1"), car("2")])
    rig.begin()
    rig.stage(page(1, [car("1", "b"), car("2", "b"), car("3", "b")]))
    merged = []
    with closing(psycopg2.connect(dsn)) as rival, rival.cursor() as cur:
        cur.execute(
            "UPDATE cars SET data_hash = 'rival', updated_at = clock_timestamp() WHERE id = '1';"
            "INSERT INTO cars (id, data_hash, is_active, source_api)"
            f" VALUES ('3', 'rival', true, '{SOURCE}')"
        )
        thread = threading.Thread(
            target=lambda: merged.append(merge.merge(rig.conn, rig.request(1)))
        )
        thread.start()
        wait_until_blocked(dsn)
        rival.commit()
    thread.join(30)
    [counts] = merged
    assert (counts.updated, counts.inserted, counts.stale) == (1, 0, 2)
    assert rig.active() == {"1": "rival", "2": "2:b", "3": "rival"}


def wait_until_blocked(dsn: str) -> None:
    """Return when some session waits for a row of another; fail after ten seconds."""
    deadline = time.monotonic() + 10
    with closing(psycopg2.connect(dsn)) as watcher:
        watcher.autocommit = True
        while time.monotonic() < deadline:
            query = (
                "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                " AND datname = current_database()"
            )
            if ask(watcher, query):
                return
    pytest.fail("the merge never waited for the rival")


def test_reader_never_waits_and_never_sees_half_a_merge(
    rig: Rig, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each step of a merge that writes every row, readers who wait for nothing get theirs."""
    rig.sync(cars(range(50)))
    rig.begin()
    rig.stage(page(1, cars(range(10, 60), "b")))
    seen = []
    run, one_row = sql.run, sql.one

    def run_and_read(cur: Cursor, query: Any, parameters: Any = None) -> int:
        number = run(cur, query, parameters)
        read()
        return number

    def one_and_read(cur: Cursor, query: Any, parameters: Any = None) -> tuple[Any, ...]:
        row = one_row(cur, query, parameters)
        read()
        return row

    def read() -> None:
        with closing(psycopg2.connect(dsn, options="-c lock_timeout=1ms")) as reader:
            ids = ask(reader, "SELECT count(*), max(data_hash) FROM cars WHERE is_active")
            one = ask(reader, "SELECT data_hash FROM cars WHERE id = '20'")
            seen.append((ids[0][0], one[0][0]))

    monkeypatch.setattr(sql, "run", run_and_read)
    monkeypatch.setattr(sql, "one", one_and_read)
    counts = merge.merge(rig.conn, rig.request(1))
    assert (counts.inserted, counts.updated, counts.deactivated) == (10, 40, 10)
    assert len(seen) > 8, "it read between the steps"
    assert set(seen) == {(50, "20:a")}, "nobody saw half a merge"


def test_car_of_another_source_refuses_the_merge(rig: Rig) -> None:
    ask(rig.conn, "INSERT INTO cars (id, is_active, source_api) VALUES ('1', true, 'dealer')")
    with pytest.raises(DatabaseError, match="belongs to another source") as caught:
        rig.sync([car("1"), car("2")])
    assert "sync.source: dealer" in caught.value.hint
    assert ask(rig.conn, "SELECT count(*) FROM cars") == [(1,)]


# ── atomic ───────────────────────────────────────────────────────────────────


def test_failing_merge_leaves_everything_as_it_was_and_may_be_repeated(rig: Rig) -> None:
    rig.sync(cars(range(5)))
    before = versions(rig.conn)
    rig.begin()
    rig.stage(page(1, [*cars(range(4), "b"), car("9")]))
    ask(rig.conn, "ALTER TABLE cars ADD CONSTRAINT no_nine CHECK (id <> '9')")
    with pytest.raises(DatabaseError, match="nothing was merged") as caught:
        merge.merge(rig.conn, rig.request(1, max_reject_share=0))
    assert "CHECK" in caught.value.hint
    assert [row[:3] for row in versions(rig.conn)] == [row[:3] for row in before]
    assert merge.lookup_outcome(rig.conn, rig.run.run_id) is None
    ask(rig.conn, "ALTER TABLE cars DROP CONSTRAINT no_nine")
    counts = merge.merge(rig.conn, rig.request(1))
    assert (counts.updated, counts.inserted, counts.deactivated) == (4, 1, 1)


def test_outcome_and_counts_are_on_record_with_the_merge(rig: Rig) -> None:
    counts = rig.sync(cars(range(5)))
    assert merge.lookup_outcome(rig.conn, rig.run.run_id) == counts
    run = runs.find_run(rig.conn, rig.run.run_id)
    assert run is not None
    assert run.state == "complete"
    assert run.merged_at is not None
    assert runs.find_hash_scheme(rig.conn, TARGET, SOURCE) == "h:v1"
    assert runs.find_resumable(rig.conn, TARGET, SOURCE, 24) is None


def test_run_merges_once(rig: Rig) -> None:
    rig.sync(cars(range(5)))
    with pytest.raises(LockedError):
        merge.merge(rig.conn, rig.request(1))


def test_run_taken_over_by_another_process_cannot_be_merged_by_the_old_one(rig: Rig) -> None:
    rig.begin()
    rig.stage(page(1, cars(range(5))))
    old = rig.request(1)
    assert runs.resume_run(rig.conn, rig.run.run_id) is not None
    with pytest.raises(LockedError):
        merge.merge(rig.conn, old)
    assert rig.active() == {}


def test_broken_connection_is_reported_as_unavailable(rig: Rig, dsn: str) -> None:
    rig.begin()
    rig.stage(page(1, cars(range(5))))
    with closing(psycopg2.connect(dsn)) as killer:
        ask(killer, "SELECT pg_terminate_backend(%s)", rig.conn.info.backend_pid)
    with pytest.raises(DatabaseUnavailableError):
        merge.merge(rig.conn, rig.request(1))


# ── rights ───────────────────────────────────────────────────────────────────


def test_role_with_a_short_statement_timeout_can_still_merge(rig: Rig, dsn: str) -> None:
    ask(
        rig.conn,
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(0.6); RETURN NULL; END $$;"
        "CREATE TRIGGER dawdle BEFORE INSERT ON cars EXECUTE FUNCTION dawdle()",
    )
    [(name,)] = ask(rig.conn, "SELECT current_database()")
    ask(rig.conn, f"ALTER DATABASE {name} SET statement_timeout = '500ms'")
    with closing(connection.connect(Secret(dsn), application_name="t")) as conn:
        assert Rig(conn).sync(cars(range(3))).inserted == 3


# ── the plans PostgreSQL chooses ─────────────────────────────────────────────


def watch_plans(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the plan of each statement that is executed from now on, by its text."""
    plans: dict[str, str] = {}
    execute, fetch = sql.run, sql.rows

    def explain(cur: Cursor, query: Query, parameters: Any = None) -> None:
        composed = sql.load(query) if isinstance(query, str) else query
        text = re.sub(r"\s*--.*", "", composed.as_string(cur)).strip()
        if re.match("WITH|SELECT|DELETE|UPDATE|INSERT|CREATE UNLOGGED", text):
            cur.execute(SQL("EXPLAIN ") + composed, parameters or {})
            plans[text] = "\n".join(line for (line,) in cur.fetchall())

    def run(cur: Cursor, query: Query, parameters: Any = None) -> int:
        explain(cur, query, parameters)
        return execute(cur, query, parameters)

    def rows(cur: Cursor, query: Query, parameters: Any = None) -> list[tuple[Any, ...]]:
        explain(cur, query, parameters)
        return fetch(cur, query, parameters)

    monkeypatch.setattr(sql, "run", run)
    monkeypatch.setattr(sql, "rows", rows)
    return plans


def test_no_statement_of_the_merge_can_choose_a_nested_loop_over_rows(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.sync(cars(range(2000)))
    rig.begin()
    rig.stage(
        page(1, [*cars(range(1000), "b"), *cars(range(1000, 1900)), *cars(range(2000, 2100))]),
        page(2, cars(range(100), "b"), [reject(100, "1950")]),
    )
    plans = watch_plans(monkeypatch)
    counts = rig.merge_staged(2)
    assert (counts.updated, counts.inserted, counts.duplicate) == (1000, 100, 100)
    assert counts.deactivated == 99
    over_rows = [text for text in plans if re.search(r'"(staging|seen)_|"cars"', text)]
    assert len(over_rows) >= 8
    for text in over_rows:
        assert "Nested Loop" not in plans[text], f"{text}:\n{plans[text]}"
    [delta] = (plan for text, plan in plans.items() if text.startswith("CREATE"))
    assert delta.count("Hash Full Join") == 1
    assert len(re.findall(r"Scan on (?!superseded)(\w+)", delta)) == 4, (
        "staging, unchanged records, ledger and table, once each"
    )


def test_a_merge_of_few_rows_does_not_read_the_whole_table_to_write_them(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    analyze_after(rig.conn, TARGET, rig.sync(cars(range(5000))))
    rig.begin()
    rig.stage(page(1, [*cars(range(5), "b"), *cars(range(5, 4995))]))
    plans = watch_plans(monkeypatch)
    counts = rig.merge_staged(1)
    assert (counts.updated, counts.deactivated) == (5, 5)
    writing = [plan for text, plan in plans.items() if 'UPDATE "public"."cars"' in text]
    assert len(writing) == 2
    for plan in writing:
        assert "Seq Scan on cars" not in plan
        assert plan.count("Index Scan using cars_pkey") == 2


def test_the_index_knows_the_lines_of_a_large_merge_at_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a reader of the feed of changes scans all of them for each window of its own."""
    counts = rig.sync(cars(range(2500)))
    new = "SELECT brin_summarize_new_values('carsync.changes_by_line')"
    monkeypatch.setattr(analyze, "SUMMARIZE_LINES", 2500)
    analyze_after(rig.conn, TARGET, counts)
    assert ask(rig.conn, new) == [(0,)]


def test_statistics_are_renewed_after_a_substantial_change_only(rig: Rig) -> None:
    counts = rig.sync(cars(range(100)))
    assert analyze_after(rig.conn, TARGET, counts)
    assert ask(rig.conn, "SELECT reltuples FROM pg_class WHERE relname = 'cars'") == [(100.0,)]
    assert not analyze_after(rig.conn, TARGET, rig.sync(cars(range(100))))


def test_statistics_of_most_columns_are_left_to_autovacuum_where_it_runs(rig: Rig) -> None:
    """It comes within minutes by itself, and of three columns they take a fifth of the time."""
    known = "SELECT attname FROM pg_stats WHERE tablename = 'cars' ORDER BY attname"
    counts = rig.sync(cars(range(100)))
    assert ask(rig.conn, "SHOW autovacuum") == [("on",)]
    analyze_after(rig.conn, TARGET, counts)
    assert ask(rig.conn, known) == [("id",), ("is_active",), ("source_api",)]
    ask(rig.conn, "ALTER TABLE cars SET (autovacuum_enabled = off)")
    analyze_after(rig.conn, TARGET, counts)
    assert ("make",) in ask(rig.conn, known)


@pytest.mark.parametrize(("given", "used"), [("4MB", "64MB"), ("1GB", "1GB")])
def test_a_merge_has_memory_enough_and_what_the_role_has_if_that_is_more(
    conn: Connection, given: str, used: str
) -> None:
    ask(conn, f"SET work_mem = '{given}'")
    with connection.transaction(conn, "looking") as cur:
        sql.run(cur, "session/set_merge")
        assert sql.one(cur, SQL("SHOW work_mem")) == (used,)
    assert ask(conn, "SHOW work_mem") == [(given,)]
