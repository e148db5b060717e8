"""Looks at this machine: really writes into the state folder, reads limits and memory."""

from __future__ import annotations

import os
import platform
import resource
import ssl
from contextlib import suppress
from pathlib import Path

from carsync import __version__
from carsync.doctor.machine_checks import MachineFacts
from carsync.errors import CarsyncError, CheckpointError
from carsync.state import atomic_file, file_lock
from carsync.state.checkpoint import load
from carsync.state.checkpoint_errors import translating

_PROBE_NAME = ".carsync-check"
_PROBE_BYTES = 64 * 1024
_SHM = Path("/dev/shm")
_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def gather(checkpoint: Path | None, place: str) -> MachineFacts:
    """Look at the machine; `checkpoint` is the path of `place`'s state file, if that is known.

    A probe file is written beside the checkpoint and removed; nothing else changes.
    """
    folder = _nearest(checkpoint.parent) if checkpoint else Path("/")
    disk, shm = _disk(folder), _disk(_SHM)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MachineFacts(
        versions=f"carsync {__version__}, Python {platform.python_version()}, "
        f"{' '.join(ssl.OPENSSL_VERSION.split()[:2])}",
        checkpoint=str(checkpoint) if checkpoint else None,
        folder=str(folder),
        write_error=_try_writing(folder) if checkpoint else None,
        lock_error=_lock_error(checkpoint) if checkpoint else None,
        read_error=_read_error(checkpoint, place) if checkpoint else None,
        is_locked=is_locked(checkpoint),
        free_bytes=disk.f_bavail * disk.f_frsize if disk else None,
        free_files=disk.f_favail if disk and disk.f_files else None,
        shm_free_bytes=shm.f_bavail * shm.f_frsize if shm else None,
        shm_writable=os.access(_SHM, os.W_OK | os.X_OK) if shm else None,
        open_files=None if soft == resource.RLIM_INFINITY else soft,
        available_bytes=_available_bytes(),
        cores=os.cpu_count() or 1,
    )


def is_locked(checkpoint: Path | None) -> bool:
    """Say whether a run of this target is seen to be running here."""
    if checkpoint is None:
        return False
    try:
        return file_lock.is_held(checkpoint)
    except CheckpointError:
        return False


def _disk(folder: Path) -> os.statvfs_result | None:
    try:
        return os.statvfs(folder)
    except OSError:
        return None


def _nearest(folder: Path) -> Path:
    return next(place for place in (folder.absolute(), *folder.absolute().parents) if _is(place))


def _is(place: Path) -> bool:
    try:
        return place.exists()
    except OSError:  # above it is a folder that may not be looked into
        return False


def _try_writing(folder: Path) -> CarsyncError | None:
    """Write, flush and rename a file as the checkpoint is written; return what failed."""
    probe = folder / f"{_PROBE_NAME}-{os.getpid()}"
    try:
        with translating("write", probe, detail=str(folder)):
            atomic_file.make_folder(folder)
            atomic_file.replace(probe, b"\0" * _PROBE_BYTES)
    except CheckpointError as exc:
        return exc
    finally:
        with suppress(OSError):
            probe.unlink()
    return None


def _lock_error(checkpoint: Path) -> CarsyncError | None:
    lock = file_lock.lock_path(checkpoint)
    if _is(lock) and not os.access(lock, os.R_OK | os.W_OK):
        return CheckpointError(
            "the lock file cannot be opened",
            detail=str(lock),
            hint="a run of another user created it: run as that user, or remove the file",
        )
    return None


def _read_error(checkpoint: Path, place: str) -> CarsyncError | None:
    try:
        load(checkpoint, place)
    except CheckpointError as exc:
        return exc
    return None


def _available_bytes() -> int | None:
    """Return the free memory: the machine's, or less where this cgroup has a limit."""
    found = []
    with suppress(OSError, ValueError, IndexError):
        text = _MEMINFO.read_text(encoding="ascii")
        line = next(line for line in text.splitlines() if line.startswith("MemAvailable:"))
        found.append(1024 * int(line.split()[1]))
    with suppress(OSError, ValueError):
        limit = int((_CGROUP / "memory.max").read_text(encoding="ascii"))
        found.append(limit - int((_CGROUP / "memory.current").read_text(encoding="ascii")))
    return min(found, default=None)
