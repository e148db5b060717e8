"""The lock beside the checkpoint: one run at a time, and who has it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from carsync.errors import CheckpointError, LockedError
from carsync.exit_codes import ExitCode
from carsync.state.checkpoint import (
    save,
)
from carsync.state.file_lock import FileLock, is_held, lock_path
from tests.support import snapshots


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "public.cars.json"


def files_beside(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.parent.iterdir())


def test_a_second_run_is_refused_and_told_who_holds_the_lock(path: Path) -> None:
    with FileLock(path):
        with pytest.raises(LockedError) as caught:
            FileLock(path).acquire()
        assert f"process {os.getpid()} " in caught.value.detail
        assert caught.value.exit_code == ExitCode.LOCKED
    with FileLock(path):
        assert is_held(path)


def test_is_held_tells_a_living_holder_and_makes_no_file(path: Path) -> None:
    assert not is_held(path)
    assert files_beside(path) == []
    lock = FileLock(path)
    lock.acquire()
    assert is_held(path)
    lock.release()
    assert not is_held(path)
    lock.release()


def test_a_refused_attempt_neither_frees_the_lock_nor_forgets_its_holder(path: Path) -> None:
    with FileLock(path):
        for _ in range(2):
            with pytest.raises(LockedError, match=str(os.getpid())):
                FileLock(path).acquire()
        assert is_held(path)


def test_a_status_that_looks_does_not_turn_a_starting_run_away(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FileLock(path):
        pass
    looking = os.open(path.with_name(f"{path.name}.lock"), os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    monkeypatch.setattr(time, "sleep", lambda _s: os.close(looking))
    with FileLock(path):
        assert is_held(path)


def test_the_lock_survives_replacing_the_checkpoint(path: Path) -> None:
    with FileLock(path):
        save(path, snapshots.checkpoint())
        with pytest.raises(LockedError):
            FileLock(path).acquire()


def test_a_lock_whose_file_was_deleted_or_replaced_is_taken_anew(path: Path) -> None:
    lock_file = path.with_name(f"{path.name}.lock")
    with FileLock(path) as lock:
        lock_file.unlink()
        assert not is_held(path)
        lock.keep()
        assert is_held(path)
        lock_file.unlink()
        lock_file.touch()
        lock.keep()
        assert is_held(path)
        with pytest.raises(LockedError, match=str(os.getpid())):
            FileLock(path).acquire()
    assert not is_held(path)


def test_a_lock_that_another_start_took_meanwhile_is_taken_anew_when_it_ends(path: Path) -> None:
    descriptors = len(list(Path("/dev/fd").iterdir()))
    with FileLock(path) as lock:
        path.with_name(f"{path.name}.lock").unlink()
        with FileLock(path):
            lock.keep()
        assert not is_held(path)
        lock.keep()
        assert is_held(path)
    assert len(list(Path("/dev/fd").iterdir())) == descriptors


def test_a_lock_in_its_place_or_not_held_is_left_alone(path: Path) -> None:
    lock = FileLock(path)
    lock.keep()
    assert files_beside(path) == []
    with lock:
        before = lock.path.stat()
        lock.keep()
        assert os.path.samestat(before, lock.path.stat())


@pytest.mark.parametrize(
    "lay", [Path.symlink_to, Path.hardlink_to, lambda lock, _: os.mkfifo(lock)]
)
def test_a_link_that_another_user_laid_is_not_written_through(
    path: Path, lay: Callable[[Path, Path], None]
) -> None:
    victim = path.with_name("shadow")
    victim.write_text("root:x")
    lay(lock_path(path), victim)
    with pytest.raises(CheckpointError) as caught:
        FileLock(path).acquire()
    assert str(lock_path(path)) in caught.value.detail
    assert victim.read_text() == "root:x"
