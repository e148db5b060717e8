"""Migrations: from nothing, over an existing table, and nothing to do the second time."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from carsync.destination import migrations
from carsync.destination.migrations import migrate, pending
from carsync.errors import DatabaseBusyError, DatabaseError
from carsync.model import Column
from carsync.postgres import connection
from carsync.postgres.wait import Connection
from carsync.redaction import Secret
from tests.conftest import ask
from tests.support.merge_rig import COLUMNS, TARGET, Rig, cars


def test_empty_database_gets_everything_and_says_so(empty_conn: Connection) -> None:
    waiting = pending(empty_conn, TARGET, COLUMNS)
    assert waiting[-1] == "table public.cars does not exist"
    done = migrate(empty_conn, TARGET, COLUMNS)
    assert "created schema carsync, closed to PUBLIC" in done
    assert done[-1] == "created table public.cars with 32 columns"
    assert len(done) == len(waiting) + 1
    assert Rig(empty_conn).sync(cars(range(3))).inserted == 3


def test_second_time_there_is_nothing_to_do(conn: Connection) -> None:
    before = ask(conn, "SELECT xmin, version FROM carsync.migrations")
    assert migrate(conn, TARGET, COLUMNS) == []
    assert pending(conn, TARGET, COLUMNS) == []
    assert ask(conn, "SELECT xmin, version FROM carsync.migrations") == before


def test_rewritten_history_is_refused(conn: Connection) -> None:
    ask(conn, "UPDATE carsync.migrations SET checksum = 'other' WHERE version = 2")
    with pytest.raises(DatabaseError, match="migration 0002 differs"):
        migrate(conn, TARGET, COLUMNS)


def test_newer_database_is_refused(conn: Connection) -> None:
    ask(conn, "INSERT INTO carsync.migrations VALUES (9999, 'future', 'x')")
    with pytest.raises(DatabaseError, match="newer carsync"):
        pending(conn, TARGET, COLUMNS)


def test_two_at_once_migrate_once(empty_dsn: str) -> None:
    def run(_: int) -> list[str]:
        with closing(connection.connect(Secret(empty_dsn), application_name="t")) as conn:
            return migrate(conn, TARGET, COLUMNS)

    with ThreadPoolExecutor(4) as pool:
        done = sorted(pool.map(run, range(4)), key=len)
    assert [len(sentences) for sentences in done[:3]] == [0, 0, 0]
    assert len(done[3]) > 4


def test_readers_never_queue_behind_a_migration_that_waits_for_a_report(
    dsn: str, conn: Connection
) -> None:
    def migrate_over(lock_timeout_s: float) -> list[str]:
        name, limit = "carsync migrate", lock_timeout_s
        opened = connection.connect(Secret(dsn), application_name=name, lock_timeout_s=limit)
        with closing(opened):
            return migrate(opened, TARGET, (*COLUMNS, Column("seats", "integer")))

    with closing(connection.connect(Secret(dsn), application_name="report")) as report:
        ask(report, "BEGIN; SELECT count(*) FROM public.cars")
        with pytest.raises(DatabaseBusyError, match="while migrating") as caught:
            migrate_over(1.5)
        assert "report" in caught.value.detail
        with ThreadPoolExecutor(1) as pool:
            migrated = pool.submit(migrate_over, 30)
            waits: list[float] = []
            while len(waits) < 25:
                begun_s = time.monotonic()
                ask(conn, "SELECT count(*) FROM cars")
                waits.append(time.monotonic() - begun_s)
                time.sleep(0.1)
            ask(report, "COMMIT")
            assert migrated.result() == ["adopted table public.cars: added seats"]
    assert max(waits) < 1.8


def test_everything_of_carsync_is_closed_to_others(conn: Connection) -> None:
    Rig(conn).sync(cars(range(2)))
    open_to_all = ask(
        conn,
        "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace"
        " WHERE nspname = 'carsync' AND relkind IN ('r', 'S')"
        " AND has_table_privilege('pg_monitor', pg_class.oid, 'SELECT')",
    )
    assert open_to_all == []


def test_migrations_are_numbered_without_gaps_and_named_verb_object() -> None:
    found = migrations.load_migrations()
    assert [m.version for m in found] == list(range(1, len(found) + 1))
    assert all(m.name.split("_")[0] in {"create", "add", "alter", "drop"} for m in found)
