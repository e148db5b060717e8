"""A real PostgreSQL for the tests that need one.

`CARSYNC_TEST_DSN` names a server (its role must be allowed to create databases);
without it an embedded one is started for the session. One migrated template database
is made a session and copied for each test.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, settings
from psycopg2 import extensions, sql

from carsync.demo import postgres
from carsync.demo.postgres import EmbeddedPostgres
from carsync.destination import migrations
from carsync.model import Target
from carsync.postgres import connection
from carsync.postgres.wait import Connection
from carsync.redaction import Secret
from tests.support import effort

# A busy machine is no fault of the code.
settings.register_profile("carsync", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("carsync")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--long`."""
    parser.addoption(
        "--long", action="store_true", help="try every fault and many more random ones (hours)"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Tell the tests how hard to try, before they are collected."""
    effort.is_long = config.getoption("--long")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the tests marked `long` to `--long`."""
    if effort.is_long:
        return
    left_out = [item for item in items if item.get_closest_marker("long")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


TARGET = Target("public", "cars")

# A test's crash of the machine is not what is tested; the suite is a third faster without.
_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "60",
}
_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 4 * 1024**3
"""For the databases of a few workers at once, and what the tests themselves put there."""
_numbers = count(1)
_administrators: dict[str, extensions.connection] = {}


@pytest.fixture(scope="session")
def server_dsn() -> Iterator[str]:
    """The connection string of a server, its role a superuser or one with CREATEDB."""
    given = os.environ.get("CARSYNC_TEST_DSN")
    if given:
        yield given
        return
    with server_in_memory(_SETTINGS) as server:
        yield server.dsn


@contextmanager
def server_in_memory(settings: Mapping[str, str]) -> Iterator[EmbeddedPostgres]:
    """Start a server that keeps its files in memory, where there is room enough.

    A database is a few hundred files; each test copies one, and drops it.
    """
    in_memory = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM_BYTES
    parent = _MEMORY if in_memory else None
    with (
        tempfile.TemporaryDirectory(prefix="carsync-pg-", dir=parent) as folder,
        postgres.running(Path(folder), settings) as server,
    ):
        yield server


@pytest.fixture(scope="session")
def template(server_dsn: str) -> Iterator[str]:
    """The name of a migrated database that tests copy."""
    name = f"carsync_template_{os.getpid()}"
    _administer(server_dsn, "CREATE DATABASE {} TEMPLATE template0", name)
    try:
        with closing(_connect(_dsn_of(server_dsn, name))) as conn:
            migrations.migrate(conn, TARGET, ())
        yield name
    finally:
        _drop(server_dsn, name)


@pytest.fixture
def dsn(server_dsn: str, template: str) -> Iterator[str]:
    """The connection string of a migrated database of the test's own."""
    with new_database(server_dsn, template) as name:
        yield name


@pytest.fixture
def empty_dsn(server_dsn: str) -> Iterator[str]:
    """The connection string of an empty database of the test's own."""
    with new_database(server_dsn, "template0") as name:
        yield name


@pytest.fixture
def conn(dsn: str) -> Iterator[Connection]:
    """A connection to the test's migrated database."""
    with closing(_connect(dsn)) as opened:
        yield opened


@pytest.fixture
def empty_conn(empty_dsn: str) -> Iterator[Connection]:
    """A connection to the test's empty database."""
    with closing(_connect(empty_dsn)) as opened:
        yield opened


def _connect(dsn: str) -> Connection:
    conn = connection.connect(Secret(dsn), application_name="carsync tests", lock_timeout_s=5)
    ask(conn, "SET search_path = public")  # for the tests' own queries
    return conn


@contextmanager
def new_database(server_dsn: str, template_name: str) -> Iterator[str]:
    """Give the connection string of a copy of a database, which is dropped afterwards."""
    name = f"carsync_test_{os.getpid()}_{next(_numbers)}"
    copy_database(server_dsn, template_name, name)
    try:
        yield _dsn_of(server_dsn, name)
    finally:
        _drop(server_dsn, name)


def copy_database(server_dsn: str, template_name: str, name: str) -> None:
    """Create a database as a copy of another, by copying its files where PostgreSQL offers it."""
    query = f"CREATE DATABASE {{}} TEMPLATE {{}} {_copy_strategy(server_dsn)}"
    _administer(server_dsn, query, name, template_name)


@cache
def _copy_strategy(server_dsn: str) -> str:
    with closing(psycopg2.connect(server_dsn)) as admin:
        offers_files = admin.server_version >= 150_000  # they are not logged, which costs half
    return "STRATEGY file_copy" if offers_files else ""


def _drop(server_dsn: str, name: str) -> None:
    _administer(server_dsn, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


def _dsn_of(server_dsn: str, name: str) -> str:
    return extensions.make_dsn(server_dsn, dbname=name)


def _administer(server_dsn: str, query: str, *names: str) -> None:
    with _administrator(server_dsn).cursor() as cur:
        cur.execute(sql.SQL(query).format(*map(sql.Identifier, names)))


def _administrator(server_dsn: str) -> extensions.connection:
    """Give the session that makes and drops databases: a new one for each costs a third more."""
    kept = _administrators.get(server_dsn)
    if kept is not None and _is_alive(kept):
        return kept
    admin = _administrators[server_dsn] = psycopg2.connect(server_dsn)
    admin.autocommit = True
    return admin


def _is_alive(conn: extensions.connection) -> bool:
    """Say whether a session goes on; a test may have crashed its server."""
    with suppress(psycopg2.Error), conn.cursor() as cur:
        cur.execute("SELECT 1")
        return True
    return False


def ask(conn: extensions.connection, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Run a query of a test's own and return its rows, if it has any."""
    with conn.cursor() as cur:
        cur.execute(query, parameters or None)
        return cur.fetchall() if cur.description else []
