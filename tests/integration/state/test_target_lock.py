"""The lock of a target: who has it, who is kept out, and when it is free again."""

from __future__ import annotations

from contextlib import closing

import pytest

from carsync.errors import LockedError
from carsync.exit_codes import ExitCode
from carsync.model import Target
from carsync.postgres import connection
from carsync.postgres.wait import Connection
from carsync.redaction import Secret
from carsync.state import target_lock
from tests.conftest import ask

TARGET = Target("public", "cars")


def connect(dsn: str) -> Connection:
    return connection.connect(Secret(dsn), application_name="carsync test", connect_timeout_s=2)


def test_lock_keeps_a_second_session_out_and_names_the_first(conn: Connection, dsn: str) -> None:
    target_lock.acquire(conn, TARGET)
    with closing(connect(dsn)) as second:
        with pytest.raises(LockedError) as caught:
            target_lock.acquire(second, TARGET)
        assert "carsync tests" in caught.value.detail
        assert str(conn.info.backend_pid) in caught.value.detail
        assert caught.value.exit_code == ExitCode.LOCKED
        assert target_lock.try_acquire(second, Target("public", "boats"))


def test_lock_goes_with_its_session(conn: Connection, dsn: str) -> None:
    with closing(connect(dsn)) as first:
        target_lock.acquire(first, TARGET)
    assert target_lock.describe_holder(conn, TARGET) == "" or wait_for_lock(conn)
    target_lock.acquire(conn, TARGET)


def wait_for_lock(conn: Connection) -> bool:
    """Poll until the closed session's process is gone; fail after five seconds."""
    query = "SELECT clock_timestamp() > %s::timestamptz"
    [(deadline,)] = ask(conn, "SELECT clock_timestamp() + interval '5 s'")
    while target_lock.describe_holder(conn, TARGET):
        assert ask(conn, query, deadline) == [(False,)]
    return True
