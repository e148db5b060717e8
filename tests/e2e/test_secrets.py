"""Canaries: an API key and a database password that must turn up nowhere."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from contextlib import closing, suppress

import psutil
from psycopg2 import extensions

from tests.e2e.conftest import OpenSite
from tests.e2e.harness import ask, await_that

KEY = "canary-key-7f3a"
PASSWORD = "canary-password-91bc"


def _assert_no_canary(texts: Iterable[str]) -> None:
    for text in texts:
        assert KEY not in text
        assert PASSWORD not in text


def _database_texts(dsn: str) -> list[str]:
    """Return every row of every table of carsync's schema and of the target, as text."""
    tables = ask(
        dsn,
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
        "WHERE schemaname IN ('carsync', 'public')",
    )
    return [
        text for (table,) in tables for (text,) in ask(dsn, f"SELECT t::text FROM {table} AS t")
    ]


def _command_lines(processes: Iterable[psutil.Process]) -> list[str]:
    lines = []
    for process in processes:
        with suppress(psutil.Error):
            lines.append(" ".join(process.cmdline()))
    return lines


def test_key_and_password_are_seen_nowhere(open_site: OpenSite) -> None:
    site = open_site(key=KEY)
    site.variables["DATABASE_URL"] = extensions.make_dsn(site.dsn, password=PASSWORD)
    site.settings["limits.retry.max_attempts"] = 2

    site.api.hold(after=10)
    running = site.start("--debug", "-v", "sync", "--json")
    site.await_staged(10)
    await_that(lambda: len(running.children()) == 3, "all children")
    command_lines = _command_lines(site.processes())
    assert len(command_lines) >= 4
    _assert_no_canary(command_lines)
    running.children()[-1].kill()
    site.api.change(html_share=0.1, error_share=0.1)
    site.api.release()
    said = [site.check(running, running.process.wait(20))]

    site.api.change(html_share=0.0, error_share=0.0)
    said.append(site.sync())
    said.append(site.run("status", "--json"))
    said.append(site.run("status"))
    said.append(site.run("config", "show"))
    site.variables["API_KEY"] = KEY + "-revoked"
    said.append(site.sync(expect=3))
    with closing(socket.create_server(("127.0.0.1", 0))) as closed_soon:
        port = closed_soon.getsockname()[1]
    nowhere = f"postgresql://nobody:{PASSWORD}@127.0.0.1:{port}/none"
    site.variables["DATABASE_URL"] = nowhere
    said.append(site.start("--debug", "sync").end())
    site.variables["DATABASE_URL"] = nowhere.replace(str(port), "port")
    said.append(site.start("--debug", "sync").end())

    assert {ended.exit_code for ended in said} >= {0, 3, 4}
    _assert_no_canary(text for ended in said for text in (ended.out, ended.err))
    files = [path for path in site.folder.rglob("*") if path.is_file()]
    assert any(path.suffix == ".json" for path in files)
    _assert_no_canary(path.read_text() for path in files)
    _assert_no_canary(_database_texts(site.dsn))
