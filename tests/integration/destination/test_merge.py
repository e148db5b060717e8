"""What a merge promises: exact, atomic, free when nothing changed, never a false goodbye."""

from __future__ import annotations

import threading
import time
from contextlib import closing, suppress
from dataclasses import replace
from typing import Any

import psycopg2
import pytest

from carsync.deactivation import approval, candidates
from carsync.destination import change_log, merge, migrations, staging, verify
from carsync.errors import (
    ConfigError,
    DatabaseError,
    DatabasePermissionError,
    DatabaseUnavailableError,
    LockedError,
    StagingLostError,
)
from carsync.model import Column, Proof, Target
from carsync.postgres import connection, sql
from carsync.postgres.connection import Connection
from carsync.postgres.sql import Cursor
from carsync.redaction import Secret
from carsync.state import runs
from tests.conftest import ask
from tests.support.merge_rig import SOURCE, TARGET, Rig, car, cars, page, reject


@pytest.fixture
def rig(conn: Connection) -> Rig:
    return Rig(conn)


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


def test_column_of_carsync_itself_cannot_be_mapped(rig: Rig) -> None:
    rig.begin()
    request = rig.request(0)
    with pytest.raises(ConfigError, match=r"mapping\.columns\.updated_at"):
        merge.merge(
            rig.conn, replace(request, columns=(*request.columns, Column("updated_at", "text")))
        )


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


def test_rejected_record_counts_as_seen(rig: Rig) -> None:
    rig.sync(cars(range(3)))
    rig.begin()
    rig.stage(page(1, cars(range(2)), [reject(2, "2"), reject(3, None)]))
    plan = candidates.plan_deactivation(rig.conn, rig.run.run_id, TARGET, SOURCE)
    assert (plan.candidates, plan.seen, plan.rejected_without_id) == (0, 3, 1)
    counts = merge.merge(rig.conn, rig.request(1))
    assert (counts.deactivated, counts.rejected, counts.seen) == (0, 2, 3)
    assert set(rig.active()) == {"0", "1", "2"}


def test_plan_counts_what_the_merge_would_deactivate(rig: Rig) -> None:
    rig.sync(cars(range(10)))
    rig.begin()
    rig.stage(page(1, cars([0, 1, 2])), page(2, cars([2, 3])))
    plan = candidates.plan_deactivation(rig.conn, rig.run.run_id, TARGET, SOURCE)
    assert (plan.active, plan.candidates, plan.seen, plan.duplicates) == (10, 6, 4, 1)
    listed = candidates.list_candidates(rig.conn, rig.run.run_id, TARGET, SOURCE, 100)
    assert sorted(listed) == ["4", "5", "6", "7", "8", "9"]
    assert len(candidates.list_candidates(rig.conn, rig.run.run_id, TARGET, SOURCE, 2)) == 2
    assert len(candidates.list_seen(rig.conn, rig.run.run_id, 1)) == 1
    seen = candidates.list_seen(rig.conn, rig.run.run_id, 100)
    assert {i: page_number for i, page_number in seen if i != "2"} == {"0": 1, "1": 1, "3": 2}
    assert len(seen) == 4, "each car once"
    assert merge.merge(rig.conn, rig.request(2)).deactivated == 6


def test_id_staged_and_rejected_on_another_page_is_a_duplicate_seen_once(rig: Rig) -> None:
    rig.begin()
    rig.stage(page(1, cars([1])), page(2, [], [reject(0, "1")]))
    plan = candidates.plan_deactivation(rig.conn, rig.run.run_id, TARGET, SOURCE)
    assert (plan.seen, plan.duplicates) == (1, 1)


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


def test_missing_page_refuses_the_merge(rig: Rig) -> None:
    rig.sync(cars(range(5)))
    rig.begin()
    rig.stage(page(1, cars(range(3))))
    with pytest.raises(StagingLostError, match="1 pages of run"):
        merge.merge(rig.conn, rig.request(2))
    assert len(rig.active()) == 5


@pytest.mark.parametrize("lost", ["staging", "ledger", "rejects"])
def test_emptied_table_refuses_the_merge(rig: Rig, lost: str) -> None:
    rig.sync(cars(range(5)))
    rig.begin()
    rig.stage(page(1, cars(range(2)), [reject(3, "2")]), page(2, cars(range(3, 5))))
    name = "rejects" if lost == "rejects" else f"{lost}_{rig.run.run_id}"
    ask(rig.conn, f"TRUNCATE carsync.{name}")
    with pytest.raises(StagingLostError):
        merge.merge(rig.conn, rig.request(2))
    assert len(rig.active()) == 5


def test_merge_does_not_pass_a_writer_that_is_still_staging(rig: Rig, dsn: str) -> None:
    rig.begin()
    rig.stage(page(1, cars(range(3))))
    ask(rig.conn, "SET lock_timeout = '100ms'")
    with closing(psycopg2.connect(dsn)) as writer:
        ask(writer, f"DELETE FROM carsync.ledger_{rig.run.run_id} WHERE page = 99")
        with pytest.raises(DatabaseError, match="while merging"):
            merge.merge(rig.conn, rig.request(1))
    assert merge.merge(rig.conn, rig.request(1)).inserted == 3


def test_dropped_staging_is_reported_as_lost(rig: Rig) -> None:
    rig.begin()
    staging.drop(rig.conn, rig.run.run_id)
    with pytest.raises(StagingLostError, match="is gone"):
        merge.merge(rig.conn, rig.request(1))
    with pytest.raises(StagingLostError):
        verify.check_exists(rig.conn, rig.run.run_id)


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


def test_proof_of_an_earlier_absence_is_void_for_an_alive_car(rig: Rig) -> None:
    rig.sync(cars(range(10)))
    rig.sync(cars(range(9)), action="prove")
    rig.sync(cars(range(9)), action="prove", proof=Proof(alive=["9"]))
    counts = rig.sync(cars(range(9)), action="prove")
    assert (counts.deactivated, counts.held) == (0, 1)


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


def test_car_that_appeared_during_the_run_is_not_absent(rig: Rig) -> None:
    rig.sync(cars(range(10)))
    rig.begin()
    rig.stage(page(1, cars(range(10))))
    ask(
        rig.conn,
        "INSERT INTO cars (id, is_active, source_api, created_at)"
        " VALUES ('new', true, %s, clock_timestamp())",
        SOURCE,
    )
    assert candidates.plan_deactivation(rig.conn, rig.run.run_id, TARGET, SOURCE).candidates == 0
    assert merge.merge(rig.conn, rig.request(1)).deactivated == 0
    assert "new" in rig.active()


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
    with pytest.raises(DatabaseError, match="belong to another source") as caught:
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
    with pytest.raises(DatabaseError, match="while merging") as caught:
        merge.merge(rig.conn, rig.request(1))
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


def test_row_security_that_applies_refuses_plan_and_merge(rig: Rig, dsn: str) -> None:
    rig.sync(cars(range(5)))
    role = "carsync_test_limited"
    with suppress(psycopg2.Error):
        ask(rig.conn, f"CREATE ROLE {role} LOGIN")
    ask(
        rig.conn,
        f"GRANT ALL ON cars TO {role}; GRANT ALL ON SCHEMA carsync TO {role};"
        f"GRANT ALL ON ALL TABLES IN SCHEMA carsync TO {role};"
        "ALTER TABLE cars ENABLE ROW LEVEL SECURITY",
    )
    ask(rig.conn, f"SET ROLE {role}")
    limited = Rig(rig.conn)
    limited.begin()
    limited.stage(page(1, cars(range(5))))
    with pytest.raises(DatabasePermissionError, match="row-level security"):
        candidates.plan_deactivation(rig.conn, limited.run.run_id, TARGET, SOURCE)
    with pytest.raises(DatabasePermissionError, match=r"hides rows of public\.cars"):
        merge.merge(rig.conn, limited.request(1))
    ask(rig.conn, "RESET ROLE")
    ask(rig.conn, f"DROP OWNED BY {role}; DROP ROLE {role}")


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


def test_no_statement_of_the_merge_can_choose_a_nested_loop_over_rows(rig: Rig) -> None:
    rig.sync(cars(range(2000)))
    rig.begin()
    rig.stage(page(1, cars(range(2000))))
    parts = merge.compose(rig.request(1))
    parts["oldest_fetch"] = sql.raw("now()")
    parts["last_merge"] = sql.literal(None)
    parts["on_conflict"] = sql.raw("")
    with connection.transaction(rig.conn, "explaining") as cur:
        sql.run(cur, sql.load("session/set_merge"))
        sql.run(cur, sql.load("merge/create_delta", **parts))
        parts |= change_log.recording(cur, TARGET, rig.run.run_id, ["data_hash"], records=True)
        for name in (
            "staging/count_staged",
            "staging/delete_duplicates",
            "merge/update_changed",
            "merge/insert_new",
        ):
            explain = sql.raw("EXPLAIN ") + sql.load(name, **parts)
            plan = "\n".join(line for (line,) in sql.rows(cur, explain))
            assert "Nested Loop" not in plan, f"{name}:\n{plan}"


def test_statistics_are_renewed_after_a_substantial_change_only(rig: Rig) -> None:
    counts = rig.sync(cars(range(100)))
    assert merge.analyze_after(rig.conn, TARGET, counts)
    assert ask(rig.conn, "SELECT reltuples FROM pg_class WHERE relname = 'cars'") == [(100.0,)]
    assert not merge.analyze_after(rig.conn, TARGET, rig.sync(cars(range(100))))
