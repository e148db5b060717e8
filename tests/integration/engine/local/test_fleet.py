"""The fleet: it boots, it stops, it is killed, and nothing of it is left behind."""

from __future__ import annotations

import os
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from msgspec.structs import replace

from carsync.config.parser import parse
from carsync.config.sections import Config
from carsync.engine.local.fleet import Fleet
from carsync.engine.local.worker import Worker
from carsync.engine.messages import EngineLost
from carsync.model import Column
from carsync.postgres.wait import Connection
from tests.conftest import ask

BOOT_S = 60.0
END_S = 15.0
COLUMNS = (Column("id", "text"), Column("data_hash", "text"))
SESSIONS = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND application_name LIKE 'carsync writer%'"
)


@pytest.fixture
def config(dsn: str) -> Config:
    return parse(
        "api: {base_url: 'http://127.0.0.1:9'}\n"
        "limits: {concurrency: 3, fetcher_processes: 2}\n"
        "database: {writers: 1}",
        {"DATABASE_URL": dsn},
    )


@pytest.fixture
def fleet(config: Config) -> Iterator[Fleet]:
    """A fleet that works; what it left behind is looked for at the end."""
    before = leftovers()
    fleet = Fleet(config, 1, str(uuid.uuid4()), COLUMNS)
    try:
        fleet.start()
        said = listen(fleet, lambda said: bool(said) or is_ready(fleet), BOOT_S)
        assert said == []
        yield fleet
    finally:
        fleet.kill()
    await_true(lambda: leftovers() <= before)


def is_ready(fleet: Fleet) -> bool:
    return all(worker.ready for worker in workers(fleet))


def workers(fleet: Fleet) -> list[Worker]:
    return fleet.fetchers + fleet.writers


def leftovers() -> set[str]:
    """Name the child processes, the resource tracker aside."""
    entries: set[str] = set()
    for child in psutil.Process().children(recursive=True):
        try:
            command = " ".join(child.cmdline())
        except psutil.NoSuchProcess:
            continue
        if "multiprocessing" in command and "resource_tracker" not in command:
            entries.add(f"{child.pid} {command}")
    return entries


def await_true(condition: Callable[[], bool], within_s: float = END_S) -> None:
    """Poll until `condition` holds; fail after `within_s` seconds."""
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come true in time"
        time.sleep(0.02)


def listen(fleet: Fleet, enough: Callable[[list[Any]], bool], within_s: float) -> list[Any]:
    """Collect what the workers say until it is `enough`; fail after `within_s` seconds."""
    heard: list[Any] = []
    deadline_s = time.monotonic() + within_s
    while not enough(heard):
        assert time.monotonic() < deadline_s, f"heard only {heard[:5]}"
        heard += fleet.events(0.1)
    return heard


def processes(fleet: Fleet) -> list[psutil.Process]:
    return [psutil.Process(pid) for pid in fleet.pids().values()]


def test_a_fleet_shares_out_its_concurrency_and_measures_every_process(fleet: Fleet) -> None:
    assert set(fleet.pids()) == {"manager", "fetcher-1", "fetcher-2", "writer-1"}
    assert [worker.capacity for worker in fleet.fetchers] == [4, 2]
    assert fleet.room() == 6
    memory = fleet.memory()
    assert set(memory) == {"parent", *fleet.pids()}
    assert all(size > 1_000_000 for size in memory.values())
    assert fleet.queue_depth() == 0


def test_a_drained_fleet_ends_by_itself_with_exit_code_0(fleet: Fleet, conn: Connection) -> None:
    assert ask(conn, SESSIONS) == [(1,)]
    fleet.stop()
    assert listen(fleet, lambda _: not fleet.is_running(), END_S) == []
    assert [worker.process.exitcode for worker in workers(fleet)] == [0, 0, 0]
    conn.rollback()
    await_true(lambda: ask(conn, SESSIONS) == [(0,)])


def test_a_killed_fleet_leaves_no_process_and_no_session(fleet: Fleet, conn: Connection) -> None:
    running = processes(fleet)
    assert len(running) == 4
    fleet.kill()
    fleet.kill()  # twice is as good as once
    assert not any(process.is_running() for process in running)
    assert (workers(fleet), fleet.pids(), fleet.queue_depth()) == ([], {}, 0)
    assert (fleet.is_running(), fleet.room()) == (False, 0)
    await_true(lambda: ask(conn, SESSIONS) == [(0,)])


@pytest.mark.parametrize("name", ["fetcher-2", "writer-1", "manager"])
def test_the_death_of_any_worker_is_noticed(fleet: Fleet, name: str) -> None:
    os.kill(fleet.pids()[name], signal.SIGKILL)
    heard = listen(fleet, lambda heard: any(isinstance(e, EngineLost) for e in heard), END_S)
    assert {event.name for event in heard if isinstance(event, EngineLost)} == {name}


def test_a_worker_that_says_nothing_is_noticed(fleet: Fleet) -> None:
    fleet.writers[0].silence_s = 3.0
    os.kill(fleet.pids()["writer-1"], signal.SIGSTOP)
    heard = listen(fleet, lambda heard: any(isinstance(e, EngineLost) for e in heard), END_S)
    (lost,) = [event for event in heard if isinstance(event, EngineLost)]
    assert lost.name == "writer-1"
    assert "no sign of life" in lost.reason


def test_workers_leave_signals_to_the_parent(fleet: Fleet) -> None:
    for process in processes(fleet):
        for number in (signal.SIGINT, signal.SIGTERM):
            process.send_signal(number)
    fleet.stop()
    assert listen(fleet, lambda _: not fleet.is_running(), END_S) == []
    assert [worker.process.exitcode for worker in workers(fleet)] == [0, 0, 0]


@pytest.mark.skipif(sys.platform != "linux", reason="LINUX ONLY: looks into /proc/PID/maps")
def test_once_all_workers_are_ready_their_shared_memory_has_no_name(fleet: Fleet) -> None:
    """So that a SIGKILL of all processes, the resource tracker too, leaves nothing there."""
    for worker in workers(fleet):
        maps = Path(f"/proc/{worker.process.pid}/maps").read_text()
        semaphores = [line for line in maps.splitlines() if "/sem.mp-" in line]
        assert semaphores, "the queue's"
        assert all(line.endswith("(deleted)") for line in semaphores), semaphores


class _FullFleet(Fleet):
    """A fleet whose queue has as many pages as the test says."""

    depth = 0

    def queue_depth(self) -> int:
        return self.depth


def test_writers_in_reserve_begin_while_the_queue_stays_full(
    config: Config, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy_percent = [99.0]
    monkeypatch.setattr(psutil, "cpu_percent", lambda: busy_percent[0])
    monkeypatch.setattr("carsync.engine.local.fleet._FULL_S", 0.1)
    four = replace(config, database=replace(config.database, writers=4))
    fleet = _FullFleet(four, 1, str(uuid.uuid4()), COLUMNS)
    try:
        fleet.start()
        listen(fleet, lambda _: is_ready(fleet), BOOT_S)
        assert [writer.waiting for writer in fleet.writers[:2]] == [False, False]
        assert fleet._pages is None, "all have the queue, those in reserve, too"
        light = [fleet.memory()[w.name] for w in fleet.writers if w.waiting]
        assert all(each < 30_000_000 for each in light), light
        assert ask(conn, SESSIONS) == [(2,)]
        conn.rollback()
        fleet.depth = 1000
        with pytest.raises(AssertionError):
            listen(fleet, lambda _: not all(w.waiting for w in fleet.writers[2:]), 0.5)
        busy_percent[0] = 80.0
        listen(fleet, lambda _: not any(w.waiting for w in fleet.writers), 2 * BOOT_S)
        said = listen(fleet, lambda said: bool(said) or is_ready(fleet), BOOT_S)
        assert (said, ask(conn, SESSIONS)) == ([], [(4,)])
    finally:
        fleet.kill()


def test_a_writer_in_reserve_ends_with_the_others(config: Config) -> None:
    three = replace(config, database=replace(config.database, writers=3))
    fleet = Fleet(three, 1, str(uuid.uuid4()), COLUMNS)
    try:
        fleet.start()
        listen(fleet, lambda _: is_ready(fleet), BOOT_S)
        fleet.stop()
        assert listen(fleet, lambda _: not fleet.is_running(), END_S) == []
    finally:
        fleet.kill()
