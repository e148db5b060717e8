"""The demo's PostgreSQL: created once, restarted, stopped, and refused with a reason."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from carsync.demo import postgres
from carsync.errors import ConfigError, DatabaseUnavailableError


def query(dsn: str, statement: str) -> Any:
    """Return the first value of the first row, or None where there is no row."""
    connection = psycopg2.connect(dsn)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            row = cursor.fetchone() if cursor.description else None
            return row and row[0]
    finally:
        connection.close()


@pytest.fixture
def server() -> Iterator[postgres.EmbeddedPostgres]:
    with postgres.temporary({"fsync": "off", "max_connections": "12"}) as embedded:
        yield embedded


def test_a_temporary_server_answers_and_leaves_nothing_behind() -> None:
    with postgres.temporary({"fsync": "off", "max_connections": "12"}) as embedded:
        assert query(embedded.dsn, "SHOW max_connections") == "12"
        assert query(embedded.dsn, "SHOW listen_addresses") == ""
        assert query(embedded.dsn, "SHOW server_encoding") == "UTF8"
        assert (embedded.folder.stat().st_mode & 0o077) == 0
    assert not embedded.is_running
    assert not embedded.folder.exists()


def test_psql_is_given_as_a_command_for_the_shell(server: postgres.EmbeddedPostgres) -> None:
    done = subprocess.run(
        server.psql + " -Atc 'SELECT 40 + 2'",
        shell=True,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.stdout == "42\n"


def test_a_crash_empties_unlogged_tables_and_keeps_the_others(
    server: postgres.EmbeddedPostgres,
) -> None:
    query(server.dsn, "CREATE TABLE kept AS SELECT 1 AS n")
    query(server.dsn, "CREATE UNLOGGED TABLE lost AS SELECT 1 AS n")
    server.stop("immediate")
    assert not server.is_running
    server.start()
    assert query(server.dsn, "SELECT count(*) FROM kept") == 1
    assert query(server.dsn, "SELECT count(*) FROM lost") == 0


def test_a_folder_keeps_its_data_however_long_its_path() -> None:
    # Not tmp_path: pytest closes its folders, and as root the server runs as another user.
    base = Path(tempfile.mkdtemp(prefix="carsync-test-"))
    base.chmod(0o755)
    folder = base / ("a long, name " * 8)
    try:
        with postgres.running(folder) as embedded:
            query(embedded.dsn, "CREATE TABLE kept AS SELECT 1 AS n")
        with postgres.running(folder) as embedded:
            assert query(embedded.dsn, "SELECT count(*) FROM kept") == 1
    finally:
        shutil.rmtree(base)


def test_a_server_left_over_by_a_killed_process_is_replaced(
    server: postgres.EmbeddedPostgres,
) -> None:
    before = query(server.dsn, "SELECT pg_postmaster_start_time()")
    with postgres.running(server.folder, {"max_connections": "9"}) as embedded:
        assert query(embedded.dsn, "SELECT pg_postmaster_start_time()") > before
        assert query(embedded.dsn, "SHOW max_connections") == "9"
    assert not server.is_running


def test_variables_of_libpq_do_not_lead_astray(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PGPORT": "1", "PGHOST": "nowhere", "PGDATA": "/nowhere"}.items():
        monkeypatch.setenv(name, value)
    with postgres.temporary({"fsync": "off"}) as embedded:
        assert query(embedded.dsn, "SELECT 1") == 1


def test_a_folder_made_for_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    mode = tmp_path.stat().st_mode
    with pytest.raises(ConfigError, match="holds files"), postgres.running(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    assert tmp_path.stat().st_mode == mode


def test_a_missing_extra_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError) as caught, postgres.running(tmp_path / "new"):
        pass
    assert "'.[demo]'" in caught.value.hint
    assert not (tmp_path / "new").exists()


def test_a_server_that_will_not_start_says_why() -> None:
    with (
        pytest.raises(DatabaseUnavailableError) as caught,
        postgres.temporary({"max_connections": "none"}),
    ):
        pass
    assert "did not start" in caught.value.problem
    assert 'invalid value for parameter "max_connections"' in caught.value.detail
