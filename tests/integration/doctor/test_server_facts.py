"""The server looked at: real poolers, silent servers, a session that cannot write."""

from __future__ import annotations

import socket
from contextlib import closing

import psycopg2
import pytest
from psycopg2 import extensions

from carsync.config.parser import parse
from carsync.config.sections import Config
from carsync.doctor import server_facts
from carsync.doctor.findings import Level
from tests.conftest import ask
from tests.e2e.faults.test_pgbouncer import PROGRAM, pgbouncer
from tests.support.findings import findings_of, problems
from tests.support.pg_proxy import PgProxy


def config(dsn: str, text: str = "") -> Config:
    return parse(text, {"DATABASE_URL": dsn})


def test_the_doctors_session_cannot_write(dsn: str) -> None:
    with (
        server_facts.read_only(config(dsn)) as session,
        pytest.raises(psycopg2.errors.ReadOnlySqlTransaction),
    ):
        ask(session, "INSERT INTO public.cars (id) VALUES ('1')")


def test_what_libpq_reaches_is_reached(dsn: str) -> None:
    """Sockets, and a name that is none because libpq is given the address beside it."""
    with closing(PgProxy(dsn)) as proxy:
        named = extensions.make_dsn(proxy.dsn, host="no.such.invalid", hostaddr="127.0.0.1")
        for through in (named, dsn):
            found = findings_of(config(through))
            assert problems(found) == {}
            assert found["version"].level is Level.OK
        proxy.refuse()
        assert "no.such.invalid" in problems(findings_of(config(named)))["address"]
    found = findings_of(config("host=@carsync-none dbname=x"))
    assert found["address"].level is Level.OK
    assert "@carsync-none" in problems(found)["login"]


@pytest.mark.skipif(PROGRAM is None, reason="LOUD: pgbouncer is not on the PATH")
def test_poolers_are_told_apart_and_their_client_limit_is_tried(dsn: str) -> None:
    held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
    with pgbouncer(dsn, "transaction") as through:
        found = findings_of(config(through))
        assert "transaction mode" in problems(found)["endpoint"]
        assert found["endpoint"].exit_code == 2, "as `carsync sync` ends"
        assert found["version"].level is Level.SKIPPED
        with closing(psycopg2.connect(through)) as conn:
            (limit,) = ask(conn, "SHOW lock_timeout")[0]
        assert limit == "0", "nothing was set in the pool's sessions"
    with pgbouncer(dsn, "session") as through:
        found = findings_of(config(through))
        assert problems(found) == {}
        assert "a pooler in session mode" in found["endpoint"].seen
        assert "gave all 8" in found["connections"].seen
    with pgbouncer(dsn, "session", pool_size=4) as through:
        found = findings_of(config(through, "database: {connect_timeout_s: 1}"))
        assert "gave 4 of 8 connections" in found["connections"].seen
        assert "set database.writers: 2" in found["connections"].fix
    with closing(psycopg2.connect(dsn)) as conn:
        assert ask(conn, held) == [(0,)]


def test_a_server_that_refuses_or_says_nothing_is_reported_in_time(dsn: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]
        mute = "database: {connect_timeout_s: 0.5}"
        found = findings_of(config(f"postgresql://u:hush@127.0.0.1:{port}/x", mute))
        assert "timeout" in problems(found)["login"]
    found = findings_of(config(f"postgresql://u:hush@127.0.0.1:{port}/x"))
    assert "is PostgreSQL running" in problems(found)["address"]
    assert found["schema carsync"].level is Level.SKIPPED
    nobody = findings_of(config(extensions.make_dsn(dsn, user="nobody_here")))
    assert "nobody_here" in problems(nobody)["login"]
    assert "hush" not in str(found)
