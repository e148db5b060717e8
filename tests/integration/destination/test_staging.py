"""Staging tables: made for one run, closed to others, dropped with their left-over writers."""

from __future__ import annotations

from contextlib import closing

import pytest

from carsync.destination import staging
from carsync.destination.stage_writer import StageWriter
from carsync.errors import DatabaseError
from carsync.postgres import connection
from carsync.postgres.wait import Connection
from carsync.redaction import Secret
from tests.conftest import ask
from tests.support.merge_rig import COLUMNS, SOURCE, TARGET, Rig, cars, page


@pytest.fixture
def rig(conn: Connection) -> Rig:
    started = Rig(conn)
    started.begin()
    return started


def test_left_over_writer_fails_once_its_tables_are_dropped(rig: Rig) -> None:
    writer = StageWriter(rig.conn, rig.run.run_id, rig.run.token, COLUMNS, "copy")
    ask(rig.conn, "UPDATE carsync.runs SET state = 'interrupted'")
    assert staging.drop_stale(rig.conn, TARGET, SOURCE) == [rig.run.run_id]
    with pytest.raises(DatabaseError):
        writer.stage([page(1, cars([1]))])


def test_left_over_sessions_are_ended_before_a_stale_run_is_dropped(rig: Rig, dsn: str) -> None:
    left_over = closing(
        connection.connect(Secret(dsn), application_name=f"carsync writer run {rig.run.run_id}")
    )
    with left_over as conn, conn.cursor() as cur:
        cur.execute("BEGIN")
        cur.execute(f"SELECT FROM carsync.ledger_{rig.run.run_id}")
        assert staging.drop_stale(rig.conn, TARGET, SOURCE) == [rig.run.run_id]
        assert not connection.is_open(conn)


def test_drop_stale_spares_the_kept_run_and_other_sources(rig: Rig) -> None:
    kept = rig.run.run_id
    other = Rig(rig.conn, source="another")
    other.begin()
    rig.begin()
    stale = rig.run.run_id
    assert staging.drop_stale(rig.conn, TARGET, SOURCE, {kept}) == [stale]
    assert staging.exists(rig.conn, kept)
    assert staging.exists(rig.conn, other.run.run_id)
    assert not staging.exists(rig.conn, stale)
    ask(rig.conn, "DELETE FROM carsync.runs WHERE source = 'another'")
    assert staging.drop_stale(rig.conn, TARGET, SOURCE, {kept}) == [other.run.run_id]


def test_tables_are_unlogged_and_closed_to_others(rig: Rig) -> None:
    number = rig.run.run_id
    found = ask(
        rig.conn,
        "SELECT relpersistence::text, coalesce(relacl::text, '') LIKE '%=r%/%' FROM pg_class"
        f" WHERE relname IN ('staging_{number}', 'ledger_{number}')",
    )
    assert [persistence for persistence, _ in found] == ["u", "u"]
    assert ask(rig.conn, "SELECT has_schema_privilege('public', 'carsync', 'USAGE')") == [(False,)]


def test_a_long_ledger_is_read_by_parts(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "_MOST_LINES", 2)
    numbers = (-1, 0, 3, 4, 7)  # -1: a record that no page lists
    rig.stage(*(page(number, cars([number])) for number in numbers))
    read = staging.read_ledger(rig.conn, rig.run.run_id)
    assert next(read).page == 0
    assert [line.page for line in read] == [3, 4, 7]
