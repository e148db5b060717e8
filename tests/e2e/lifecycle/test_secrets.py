"""Canaries: an API key and a database password that must turn up nowhere."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from contextlib import closing, suppress

import psutil
import pytest
from psycopg2 import extensions

from tests.e2e.conftest import OpenSite
from tests.support.oracle import KEY, PASSWORD, assert_no_canary, database_texts
from tests.support.site import await_that


def _command_lines(processes: Iterable[psutil.Process]) -> list[str]:
    lines = []
    for process in processes:
        with suppress(psutil.Error):
            lines.append(" ".join(process.cmdline()))
    return lines


@pytest.mark.quick
def test_key_and_password_are_seen_nowhere(open_site: OpenSite) -> None:
    site = open_site()
    site.variables["DATABASE_URL"] = extensions.make_dsn(site.dsn, password=PASSWORD)
    site.settings["limits.retry.max_attempts"] = 2

    site.api.hold(after=10)
    running = site.start("--debug", "-v", "sync", "--json")
    site.await_staged(10)
    await_that(lambda: len(running.children()) == 3, "all children")
    command_lines = _command_lines(site.processes())
    assert len(command_lines) >= 4
    assert_no_canary(command_lines)
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
    assert_no_canary(text for ended in said for text in (ended.out, ended.err))
    files = [path for path in site.folder.rglob("*") if path.is_file()]
    assert any(path.suffix == ".json" for path in files)
    assert_no_canary(path.read_text() for path in files)
    assert_no_canary(database_texts(site.dsn))
