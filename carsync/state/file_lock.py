"""The file lock beside the checkpoint: the quick answer to two starts at once."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from pathlib import Path
from typing import Self

from carsync.errors import CheckpointError, LockedError
from carsync.state.atomic_file import NotAFileError, give_to_owner, make_folder
from carsync.state.checkpoint_errors import translating

_CAUTIOUS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Open no file that another user laid a link to, and wait for no pipe."""
_LOCK_ATTEMPTS = 10
_LOCK_PAUSE_S = 0.01


class FileLock:
    """The quick answer to two starts at once: flock(2) on `NAME.lock` beside the checkpoint.

    The kernel frees it when its process ends, however it ends; the file itself stays.
    The database lock is the authority: whoever deletes or replaces the file here lets a
    second start come that far. Use as a context manager.
    """

    def __init__(self, path: Path) -> None:
        """Take the path of the checkpoint; nothing is opened yet."""
        self.path = lock_path(path)
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock and write this process's id into it.

        Raises `LockedError` naming the holder's process, `CheckpointError` where the
        lock file cannot be made.
        """
        with translating("lock", self.path):
            make_folder(self.path.parent)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | _CAUTIOUS, 0o600)
        try:
            with translating("lock", self.path):
                _refuse_foreign(descriptor)
                give_to_owner(descriptor, self.path.parent)
                if not _flock(descriptor):
                    raise self._held_by_another(descriptor)
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def keep(self) -> None:
        """Take the lock anew where its file was deleted or replaced, so that `is_held` sees it.

        Does nothing where the lock is not held. Where it cannot be taken, because another
        start has it for the moment or the disk refuses, the next call tries again.
        """
        if self._descriptor is None or self._is_in_place(self._descriptor):
            return
        held, self._descriptor = self._descriptor, None
        try:
            self.acquire()
        except (CheckpointError, LockedError):
            self._descriptor = held
        else:
            os.close(held)

    def _is_in_place(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self.path.lstat())
        except OSError:
            return False

    def release(self) -> None:
        """Free the lock; do nothing where it is not held."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, 0)
            os.close(descriptor)

    def _held_by_another(self, descriptor: int) -> LockedError:
        pid = os.pread(descriptor, 32, 0).strip().decode("ascii", "replace")
        return LockedError(
            "another run of this target is in progress",
            detail=f"process {pid or 'unknown'} holds {self.path}",
            hint="wait for its end, or see `carsync status`; "
            "the lock is never stale, because it ends with its process",
        )

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.release()


def is_held(path: Path) -> bool:
    """Say whether a living process holds the `FileLock` of the checkpoint at `path`.

    Raises `CheckpointError` where the lock file exists and cannot be read.
    """
    lock = lock_path(path)
    with translating("look at the lock of", lock):
        try:
            descriptor = os.open(lock, os.O_RDONLY | _CAUTIOUS)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
    return False


def lock_path(checkpoint: Path) -> Path:
    """Return where the lock of the checkpoint at this path lies."""
    return checkpoint.with_name(f"{checkpoint.name}.lock")


def _refuse_foreign(descriptor: int) -> None:
    """Refuse to write into a file that has a name elsewhere too, or is none."""
    found = os.fstat(descriptor)
    if found.st_nlink > 1 or not stat.S_ISREG(found.st_mode):
        raise NotAFileError


def _flock(descriptor: int) -> bool:
    """Take the exclusive lock; a `status` that looks holds it for microseconds, so look again."""
    for attempt in range(_LOCK_ATTEMPTS):
        if attempt:
            time.sleep(_LOCK_PAUSE_S)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    return False
