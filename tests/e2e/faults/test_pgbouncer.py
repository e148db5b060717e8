"""A real pgbouncer before PostgreSQL: session pooling works, any other is refused untouched."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psycopg2
import pytest
from psycopg2 import extensions

from tests.support.oracle import Oracle
from tests.support.site import SimulatedSite, ask, await_that

PROGRAM = shutil.which("pgbouncer")
CONFIG = """
[databases]
* = host={host} port={port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = {mode}
default_pool_size = {pool_size}
ignore_startup_parameters = extra_float_digits
query_wait_timeout = 60
pidfile = {folder}/pid
logfile = {folder}/log
"""

pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="LOUD: pgbouncer is not on the PATH (apt-get install pgbouncer)"
)


@contextmanager
def pgbouncer(dsn: str, mode: str, pool_size: int = 20) -> Iterator[str]:
    """Run a pgbouncer before the server of `dsn`; give the connection string through it."""
    assert PROGRAM is not None
    to = extensions.parse_dsn(dsn)
    with closing(socket.create_server(("127.0.0.1", 0))) as closed_soon:
        port = closed_soon.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="carsync-pgb-") as name:
        folder = Path(name)
        config = folder / "pgbouncer.ini"
        config.write_text(
            CONFIG.format(
                host=to.get("host", "127.0.0.1"),
                port=to.get("port", "5432"),
                listen_port=port,
                folder=folder,
                mode=mode,
                pool_size=pool_size,
            )
        )
        (folder / "users").write_text(f'"{to["user"]}" ""\n')
        command = [PROGRAM, str(config)]
        if os.geteuid() == 0:  # it refuses root
            for path in (folder, config, folder / "users"):
                shutil.chown(path, "nobody")
            command += ["--user", "nobody"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        through = extensions.make_dsn(dsn, host="127.0.0.1", port=str(port), sslmode="disable")
        try:
            await_that(lambda: _answers(through), "pgbouncer")
            yield through
        finally:
            process.terminate()
            process.wait(10)


def _answers(dsn: str) -> bool:
    with suppress(psycopg2.OperationalError):
        return bool(ask(dsn, "SELECT 1"))
    return False


def test_a_pooler_in_session_mode_works(grown_site: SimulatedSite) -> None:
    site = grown_site
    with pgbouncer(site.dsn, "session") as through:
        site.variables["DATABASE_URL"] = through
        site.widen()
        ended = site.sync()
        assert {"inserted", "updated", "deactivated"} <= ended.counts.keys()
        site.assert_exact(1)
        site.api.reset()
        assert site.sync().counts.keys() == {"seen", "unchanged"}


@pytest.mark.long
def test_a_pool_of_few_sessions_is_synced_through_with_the_writers_that_fit(
    grown_site: SimulatedSite,
) -> None:
    """A run whose writers waited for a session ended when the first of them gave up."""
    site = grown_site
    site.variables["PARALLEL_BATCHES"] = "6"
    site.api.change(latency_ms=(400, 400))
    with pgbouncer(site.dsn, "session", pool_size=5) as through:
        site.variables["DATABASE_URL"] = through
        ended = site.sync(database__connect_timeout_s=1, limits__concurrency=1)
        assert "set database.writers: 3" in ended.said
        site.assert_exact(1)


@pytest.mark.parametrize(
    ("mode", "pool_size"),
    [
        ("transaction", 20),
        pytest.param("transaction", 1, marks=pytest.mark.long),
        pytest.param("statement", 20, marks=pytest.mark.long),
    ],
)
def test_a_pooler_in_another_mode_is_refused_with_nothing_touched(
    grown_site: SimulatedSite, mode: str, pool_size: int
) -> None:
    site = grown_site
    oracle = Oracle(site, snapshots=(0, 1))
    direct = site.variables["DATABASE_URL"]
    with pgbouncer(site.dsn, mode, pool_size) as through:
        site.variables["DATABASE_URL"] = through
        ended = site.sync(expect=2)
        assert "pooler in transaction mode" in ended.report["problem"]
        assert "pooler in session mode" in ended.report["hint"]
        assert site.api.log == []
        held = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"
        assert ask(site.dsn, held) == [], "no lock stays on a session of the pool"
        for command in (["runs"], ["migrate"], ["revert", "1"]):
            refused = site.run(*command)
            assert (refused.exit_code, "pooler in transaction" in refused.said) == (2, True)
        if mode == "transaction":
            names = ("lock_timeout", "search_path", "idle_in_transaction_session_timeout")
            shown = [[ask(dsn, f"SHOW {name}") for name in names] for dsn in (through, site.dsn)]
            assert shown[0] == shown[1], "nothing is set for the site's own queries"
    site.variables["DATABASE_URL"] = direct
    assert ask(site.dsn, "SELECT count(*) FROM carsync.runs") == [(1,)]
    oracle.recover()
