"""A file is replaced as a whole or not at all, for whoever writes and reads."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import nullcontext
from pathlib import Path

import pytest

from carsync.state import atomic_file
from carsync.state.atomic_file import NotAFileError
from carsync.state.file_lock import FileLock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_written_is_read_and_nothing_else_is_left(path: Path) -> None:
    assert atomic_file.read(path) is None
    for data in (b"one", b"two, which is longer", b""):
        atomic_file.replace(path, data)
        assert atomic_file.read(path) == data
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_a_reader_of_the_old_file_keeps_it_whole(path: Path) -> None:
    atomic_file.replace(path, b"old")
    with path.open("rb") as reader:
        atomic_file.replace(path, b"new")
        assert reader.read() == b"old"


@pytest.mark.parametrize(
    ("umask", "mode", "expected"), [(0o077, 0o644, 0o644), (0, 0o600, 0o600), (0o027, None, 0o640)]
)
def test_the_mode_is_the_caller_s_or_the_umask_s(
    path: Path, umask: int, mode: int | None, expected: int
) -> None:
    before = os.umask(umask)
    try:
        atomic_file.replace(path, b"data", mode=mode)
    finally:
        os.umask(before)
    assert mode_of(path) == expected


@pytest.mark.parametrize("is_durable", [True, False])
def test_only_a_durable_file_s_folder_is_flushed(
    path: Path, monkeypatch: pytest.MonkeyPatch, is_durable: bool
) -> None:
    flushed: list[bool] = []
    monkeypatch.setattr(
        os, "fsync", lambda fd: flushed.append(Path(f"/proc/self/fd/{fd}").is_dir())
    )
    atomic_file.replace(path, b"data", is_durable=is_durable)
    assert flushed == ([False, True] if is_durable else [False])


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EBADF, errno.EIO])
def test_a_folder_that_cannot_be_flushed_is_no_failure(
    path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """CIFS and FUSE flush files, and refuse folders; a broken disk is told."""

    def fsync(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").is_dir():
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="rror") if code == errno.EIO else nullcontext():
        atomic_file.replace(path, b"data")
    assert path.read_bytes() == b"data"


def test_writers_with_suffixes_of_their_own_do_not_meet(path: Path) -> None:
    other = path.with_name(".file.other")
    other.write_bytes(b"half a p")
    atomic_file.replace(path, b"a page", suffix="mine")
    assert other.read_bytes() == b"half a p"
    assert path.read_bytes() == b"a page"


def test_what_lies_beside_is_removed_and_never_followed_or_waited_for(path: Path) -> None:
    beside, another = path.with_name(".file.tmp"), path.with_name("another")
    another.write_bytes(b"another's")
    for lay in (
        lambda: beside.write_bytes(b"left behind by a kill, and longer"),
        lambda: beside.symlink_to(another),
        lambda: beside.hardlink_to(another),
        lambda: os.mkfifo(beside),
    ):
        lay()
        atomic_file.replace(path, b"data")
        assert path.read_bytes() == b"data"
        assert another.read_bytes() == b"another's"
        assert not beside.exists()
        path.unlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="ROOT ONLY: makes a folder another user's")
def test_what_root_makes_in_another_user_s_folder_is_that_user_s(path: Path) -> None:
    path.parent.chmod(0o755)
    os.chown(path.parent, 65534, 65533)
    checkpoint = path.parent / "a" / "b" / "cars.json"
    with FileLock(checkpoint):
        atomic_file.replace(checkpoint, b"data")
    made = [*path.parent.rglob("*")]
    assert len(made) == 4
    for each in made:
        assert (each.stat().st_uid, each.stat().st_gid) == (65534, 65533), each


def test_what_is_no_file_is_named_as_such(path: Path) -> None:
    path.mkdir()
    with pytest.raises(NotAFileError, match="it is not a regular file"):
        atomic_file.replace(path, b"")
    with pytest.raises(NotAFileError):
        atomic_file.read(path)


def test_a_folder_is_made_for_its_owner_and_an_old_one_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    atomic_file.make_folder(folder)
    assert mode_of(folder) == 0o700
    folder.chmod(0o755)
    atomic_file.make_folder(folder)
    assert mode_of(folder) == 0o755
