"""What a disk, or whoever rules it, refuses: named, with a way out, and harmless."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from carsync.errors import CheckpointError
from carsync.state.checkpoint import (
    load,
    save,
)
from carsync.state.file_lock import FileLock
from tests.support import snapshots


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "public.cars.json"


def files_beside(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.parent.iterdir())


@pytest.mark.parametrize("call", ["fsync", "fchmod"])
@pytest.mark.parametrize(
    ("code", "hint"),
    [(errno.ENOSPC, "free space"), (errno.EROFS, "read-only"), (errno.EIO, "check the disk")],
)
def test_a_failed_save_keeps_the_old_file_and_leaves_no_other(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int, hint: str
) -> None:
    save(path, snapshots.checkpoint())

    def refuse(*args: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(CheckpointError, match="cannot write the checkpoint") as caught:
        save(path, snapshots.checkpoint(pages_done=2000))
    monkeypatch.undo()
    assert hint in caught.value.hint
    assert load(path) == snapshots.checkpoint()
    assert files_beside(path) == [path.name]


def test_a_real_limit_on_file_sizes_is_reported_and_harmless(path: Path) -> None:
    save(path, snapshots.checkpoint())
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, before[1]))
    try:
        with pytest.raises(CheckpointError, match="file too large") as caught:
            save(path, snapshots.checkpoint(pages_done=2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "ulimit" in caught.value.hint
    assert load(path) == snapshots.checkpoint()
    assert files_beside(path) == [path.name]


@contextlib.contextmanager
def without_privileges() -> Iterator[None]:
    """Be nobody for a moment where the tests run as root, for whom nothing is forbidden."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_folder_that_may_not_be_written_is_named_with_a_way_out(path: Path) -> None:
    folder = path.parent / "locked"
    folder.mkdir()
    folder.chmod(0o500)
    target = folder / path.name
    with without_privileges():
        with pytest.raises(CheckpointError, match="permission denied") as saving:
            save(target, snapshots.checkpoint())
        with pytest.raises(CheckpointError, match="permission denied") as locking:
            FileLock(target).acquire()
    folder.chmod(0o700)
    for caught in (saving, locking):
        assert "checkpoint.path" in caught.value.hint
    assert list(folder.iterdir()) == []


def test_a_file_that_may_not_be_read_is_no_missing_file(path: Path) -> None:
    save(path, snapshots.checkpoint())
    path.chmod(0o000)
    with without_privileges(), pytest.raises(CheckpointError, match="permission denied"):
        load(path)


def test_a_path_through_a_file_is_refused(path: Path) -> None:
    path.write_text("a file")
    for action in (
        lambda p: save(p, snapshots.checkpoint()),
        load,
        lambda p: FileLock(p).acquire(),
    ):
        with pytest.raises(CheckpointError, match=r"not a directory|file exists") as caught:
            action(path / "below.json")
        assert "is not a folder" in caught.value.hint


def test_devices_pipes_and_folders_are_left_alone(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for special in (pipe, tmp_path, Path("/dev/null")):
        with pytest.raises(CheckpointError, match="not a regular file"):
            save(special, snapshots.checkpoint())
        with pytest.raises(CheckpointError, match="not a regular file"):
            load(special)
    assert pipe.is_fifo()
    assert Path("/dev/null").is_char_device()
