"""A run under a service manager: what it hears, what feeds its watchdog, credentials as files."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import psutil
import psycopg2
import pytest
from psycopg2 import extensions

from tests.e2e.conftest import OpenSite
from tests.support.oracle import KEY, PASSWORD, assert_no_canary, database_texts
from tests.support.site import Running, SimulatedSite, await_that

WATCHDOG_S = 2.4
PLEA = "EXTEND_TIMEOUT_USEC=120000000"
VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class Manager:
    """Stands in for systemd at the socket: every line, when it came, in which datagram."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard: list[tuple[float, str]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while datagram := self._socket.recv(4096):
            now_s = time.monotonic()
            self.heard += [(now_s, line) for line in datagram.decode().splitlines()]

    def lines(self) -> list[str]:
        return [line for _, line in list(self.heard)]

    def await_line(self, start: str) -> str:
        """Wait for a line that starts so, and return it."""
        return await_that(
            lambda: next((line for line in self.lines() if line.startswith(start)), ""), start
        )

    def fed_s(self) -> list[float]:
        """When the watchdog was fed."""
        return [at_s for at_s, line in list(self.heard) if line == "WATCHDOG=1"]

    def await_meals(self, number: int) -> list[float]:
        """Wait until the watchdog was fed that often from now on; return the gaps in seconds."""
        before = len(self.fed_s())
        await_that(lambda: len(self.fed_s()) >= before + number, f"{number} meals")
        meals_s = self.fed_s()[max(0, before - 1) :]
        return [after - earlier for earlier, after in pairwise(meals_s)]

    def close(self) -> None:
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as last:
            last.sendto(b"", str(self.path))
        self._thread.join(5)
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(tmp_path / "notify")
    yield manager
    manager.close()


@pytest.fixture
def site(open_site: OpenSite, manager: Manager) -> SimulatedSite:
    site = open_site()
    site.variables["NOTIFY_SOCKET"] = str(manager.path)
    site.variables["WATCHDOG_USEC"] = f"{WATCHDOG_S * 1e6:.0f}"
    return site


def assert_children_know_no_manager(running: Running) -> None:
    children = await_that(lambda: found if len(found := running.children()) == 3 else [], "three")
    everyone = psutil.Process(running.process.pid).children(recursive=True)
    assert len(everyone) > len(children), "the resource tracker as well"
    for child in everyone:
        assert not set(VARIABLES) & set(child.environ())


def test_a_run_is_told_from_its_start_to_its_end_and_its_credentials_nowhere(
    site: SimulatedSite, manager: Manager, tmp_path: Path
) -> None:
    """Key and connection string come as files; merge and record wait for locks, for two meals."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "carsync_API_KEY").write_text(f"{site.variables.pop('API_KEY')}\n")
    dsn = extensions.make_dsn(site.variables.pop("DATABASE_URL"), password=PASSWORD)
    (folder / "DATABASE_URL").write_text(f"{dsn}\n")
    site.variables["CREDENTIALS_DIRECTORY"] = str(folder)

    pause = tmp_path / "pause"
    site.variables["CARSYNC_FAILPOINT"] = f"sync.closing=pause@{pause}"
    site.api.hold(after=10)
    running = site.start("--debug", "sync", "--json")
    assert manager.await_line("STATUS=fetching · pages 10/30")
    assert_children_know_no_manager(running)
    manager.await_meals(2)
    with closing(psycopg2.connect(site.dsn)) as rival, rival.cursor() as cur:
        cur.execute("LOCK TABLE public.cars IN EXCLUSIVE MODE")
        site.api.release()
        manager.await_line("STATUS=merging · ")
        gaps_s = manager.await_meals(2)
    await_that(pause.exists, "the record of the end")
    with closing(psycopg2.connect(site.dsn)) as rival, rival.cursor() as cur:
        cur.execute("LOCK TABLE carsync.runs IN EXCLUSIVE MODE")
        pause.unlink()
        gaps_s += manager.await_meals(3)[1:]  # the first tells how long the pause was
    ended = site.check(running)
    assert max(gaps_s) <= WATCHDOG_S / 2, "sd_watchdog_enabled(3)"
    site.assert_exact()

    lines = manager.lines()
    assert lines.count("READY=1") == lines.count("STOPPING=1") == 1
    assert lines.index("READY=1") < lines.index("STATUS=run 1 begun")
    assert lines[-2].startswith("STATUS=run 1 complete in ")
    assert lines[-2].endswith(" 600 seen, 600 inserted, 0 updated, 0 reactivated, 0 deactivated")

    assert KEY in (folder / "carsync_API_KEY").read_text()
    assert_no_canary([ended.out, ended.err, *lines])
    assert_no_canary(p.read_text() for p in (site.folder / "carsync").iterdir())
    assert_no_canary(database_texts(site.dsn))


def test_a_stop_is_told_with_a_plea_for_time_and_a_second_run_is_no_failure(
    site: SimulatedSite, manager: Manager
) -> None:
    site.api.hold(after=5)
    running = site.start("sync", "--json")
    manager.await_line("STATUS=fetching · pages 5/30")

    rival = site.start("sync").end()
    assert rival.exit_code == 75
    await_that(lambda: manager.lines().count("STOPPING=1") == 1, "the second run's farewell")
    assert manager.lines().count("READY=1") == 2, "systemd takes it for a failed start without"
    assert manager.await_line("STATUS=failed, exit code 75: another ")

    told = len(manager.lines())
    running.signal(signal.SIGTERM)
    await_that(lambda: {"STOPPING=1", PLEA} <= set(manager.lines()[told:]), "a plea for time")
    site.api.release()
    site.check(running, 143)
    assert manager.await_line("STATUS=run 1 interrupted, exit code 143")


def test_a_parent_that_hangs_feeds_nobody_and_its_children_do_not_either(
    site: SimulatedSite, manager: Manager, tmp_path: Path
) -> None:
    site.variables["WATCHDOG_USEC"] = "400000"
    site.variables["CARSYNC_FAILPOINT"] = f"sync.read=hang@{tmp_path / 'mark'}"
    running = site.start("sync", "--json")
    await_that((tmp_path / "mark").exists, "the hang")
    hung_s = time.monotonic()
    assert len(manager.fed_s()) >= 2
    await_that(lambda: time.monotonic() > hung_s + 1.2, "three times the watchdog's patience")
    assert not [at_s for at_s in manager.fed_s() if at_s > hung_s + 0.1]
    assert len(running.children()) == 3
    running.signal(signal.SIGABRT)  # as systemd does then
    assert running.end().exit_code == -signal.SIGABRT
    site.await_no_process()
    del site.variables["CARSYNC_FAILPOINT"]
    site.api.reset()
    site.sync()
    site.assert_exact()
    assert site.api.pages_read() == []
