"""The parent's session: watched over a second one, and refused behind a pooler."""

from __future__ import annotations

from contextlib import closing

import pytest

from carsync.config.parser import parse
from carsync.errors import ConfigError
from carsync.postgres import connection
from carsync.postgres.connect import open_database
from carsync.redaction import Secret
from tests.conftest import ask


def test_who_may_cancel_is_asked_while_the_session_and_its_watch_wait(dsn: str) -> None:
    """A service manager's watchdog is fed by that question, wherever the parent waits."""
    asked: list[str] = []

    def should_cancel() -> bool:
        asked.append(at)
        return at == "watch"

    at = "opening"
    with closing(open_database(parse("", {"DATABASE_URL": dsn}), "test", should_cancel)) as conn:
        assert asked
        at = "statement"
        ask(conn, "SELECT pg_sleep(0.3)")
        assert asked.count(at) >= 2
        at = "watch"
        assert conn.watchdog is not None
        assert not conn.watchdog.is_working(), "its statements are cancelled by nobody"
        assert at in asked


@pytest.mark.parametrize("shares", [True, False])
def test_a_pooler_in_transaction_mode_is_refused(
    dsn: str, monkeypatch: pytest.MonkeyPatch, shares: bool
) -> None:
    asked: list[Secret] = []

    def shares_server_sessions(dsn: Secret, connect_timeout_s: float) -> bool:
        asked.append(dsn)
        return shares

    monkeypatch.setattr(connection, "shares_server_sessions", shares_server_sessions)
    config = parse("", {"DATABASE_URL": dsn})
    if shares:
        with pytest.raises(ConfigError, match="transaction mode"):
            open_database(config, "test")
    else:
        for _ in range(2):  # the server is asked once
            open_database(config, "test").close()
    assert [secret.reveal() for secret in asked] == [dsn]
