"""Waiting for one's turn: for the file lock, then for the database's, and what is said of it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from carsync.config.parser import parse
from carsync.errors import LockedError
from carsync.model import RunOptions
from carsync.postgres import connection
from carsync.postgres.wait import Connection
from carsync.redaction import Secret
from carsync.run.listener import RunListener
from carsync.run.signals import StopSignal
from carsync.run.sync import sync
from carsync.state import target_lock
from carsync.state.file_lock import FileLock, is_held
from carsync.state.turn import Turn, describe_progress
from tests.conftest import TARGET
from tests.support import snapshots


class Told(list[str]):
    """What was said; after `most` sentences the other process is done."""

    def __init__(self, on_first: Callable[[], object]) -> None:
        super().__init__()
        self._on_first = on_first

    def hear(self, sentence: str) -> None:
        self.append(sentence)
        self._on_first()


def turn_of(path: Path, told: Told, wait_s: float = 30.0, *, stopped: bool = False) -> Turn:
    return Turn(path, "", wait_s, is_stopped=lambda: stopped, tell=told.hear)


def test_who_waits_takes_the_file_lock_when_it_is_free(tmp_path: Path) -> None:
    path = tmp_path / "cars.json"
    other = FileLock(path)
    other.acquire()
    told = Told(other.release)
    turn = turn_of(path, told)
    with turn.file_lock():
        assert is_held(path)
    assert not is_held(path)
    assert turn.has_waited
    assert len(told) == 1
    assert "waiting, for 30 s at most: another run of this target is in progress" in told[0]


def test_who_waits_takes_the_lock_of_the_database(
    conn: Connection, dsn: str, tmp_path: Path
) -> None:
    other = connection.connect(Secret(dsn), application_name="carsync", lock_timeout_s=5)
    with closing(other):
        target_lock.acquire(other, TARGET)
        told = Told(other.close)
        turn = turn_of(tmp_path / "cars.json", told)
        turn.take_target(conn, TARGET)
    assert turn.has_waited
    assert "another run holds the lock of public.cars (carsync (PostgreSQL pid" in told[0]


@pytest.mark.parametrize(
    ("wait_s", "stopped", "words"),
    [(0.0, False, "process"), (0.5, False, "waited 0.5 s for it (--wait)"), (30, True, "process")],
    ids=["at once", "after the wait", "at a signal"],
)
def test_the_wait_ends(tmp_path: Path, wait_s: float, stopped: bool, words: str) -> None:
    path, told = tmp_path / "cars.json", Told(lambda: None)
    turn = turn_of(path, told, wait_s, stopped=stopped)
    with FileLock(path), pytest.raises(LockedError) as found, turn.file_lock():
        pytest.fail("another process has the lock")
    assert words in found.value.detail
    assert turn.was_stopped is stopped
    assert bool(told) is turn.has_waited is (wait_s == 0.5)


def test_a_sync_that_a_signal_stops_while_it_waits_did_nothing(tmp_path: Path) -> None:
    path, stop = tmp_path / "cars.json", StopSignal()
    stop.number, stop.times = signal.SIGTERM, 1
    config = parse("", {"API_BASE_URL": "http://127.0.0.1:1", "DATABASE_URL": "dbname=none"}, ())
    with FileLock(path):
        report = sync(config, path, RunListener(), stop, RunOptions(wait_s=60))
        assert (report.state, report.exit_code, report.run_id) == ("interrupted", 143, None)
        report = sync(config, path, RunListener(), StopSignal(), RunOptions())
        assert (report.state, report.exit_code) == ("failed", 75)


def test_how_far_the_other_run_is_comes_from_its_checkpoint() -> None:
    began = datetime(2026, 1, 2, 3, 0, tzinfo=UTC)
    state = snapshots.checkpoint(run_id=17, started_at=began, eta_s=720.0)
    assert describe_progress(state, began + timedelta(minutes=8)) == (
        "run 17 is going on since 2026-01-02 03:00:00 UTC (8 min), 812 of 2,000 pages staged, "
        "about 12 min left"
    )
    merging = replace(state, phase="merging")
    assert describe_progress(merging, began).endswith("pages staged, merging")
