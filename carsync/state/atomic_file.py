"""Small files of state that are replaced as a whole or not at all.

Written beside the old one, flushed to the disk, renamed over it, and the folder
flushed too (rename(2), fsync(2)). What the operating system refuses becomes a
`CheckpointError` that says what to do.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from carsync import failpoints
from carsync.errors import CheckpointError


def replace(path: Path, data: bytes) -> None:
    """Replace the file at `path` by `data`, readable by its owner only (mode 0600).

    After return the file survives a power cut; on failure the old one is untouched
    and nothing else is left behind. One writer at a time. Raises `CheckpointError`.
    """
    # One fixed name, for only the holder of the lock writes: what a kill -9
    # leaves behind is overwritten by the next call instead of piling up.
    temporary = path.with_name(f".{path.name}.tmp")
    with translating("write", path):
        make_folder(path.parent)
        _refuse_special(path)
        try:
            _write_flushed(temporary, data)
            failpoints.reach("checkpoint.written")
            temporary.replace(path)
            failpoints.reach("checkpoint.renamed")
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        _flush_folder(path.parent)


def read(path: Path) -> bytes | None:
    """Return what the file at `path` holds, or None where there is none.

    Raises `CheckpointError` where it is no regular file or cannot be read.
    """
    with translating("read", path):
        try:
            _refuse_special(path)
            return path.read_bytes()
        except FileNotFoundError:
            return None


def make_folder(folder: Path) -> None:
    """Make `folder` and its parents where missing, the folder itself for its owner only."""
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)


@contextlib.contextmanager
def translating(doing: str, path: Path) -> Iterator[None]:
    """Turn every `OSError` of the block into a `CheckpointError`: cannot `doing` the checkpoint."""
    try:
        yield
    except OSError as exc:
        raise CheckpointError(
            f"cannot {doing} the checkpoint: {os.strerror(exc.errno or errno.EIO).lower()}",
            detail=str(path),
            hint=_hint(exc.errno, path),
        ) from exc


def _refuse_special(path: Path) -> None:
    """Refuse what a rename would destroy or a read would hang on: devices, pipes, folders."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise CheckpointError(
            "the checkpoint path is not a regular file",
            detail=str(path),
            hint="set checkpoint.path to a file of its own, e.g. /var/lib/carsync/cars.json",
        )


def _write_flushed(path: Path, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _hint(code: int | None, path: Path) -> str:
    folder = path.parent
    elsewhere = "or set checkpoint.path to another place"
    match code:
        case errno.ENOSPC | errno.EDQUOT:
            return f"free space on the disk of {folder} (see df -h -i '{folder}'), {elsewhere}"
        case errno.EACCES | errno.EPERM:
            return (
                f"run as the owner of {folder} and of what lies in it (see ls -la '{folder}'; "
                f"a run as root may have left files that are root's), {elsewhere}"
            )
        case errno.EROFS:
            return f"{folder} is read-only; under systemd set StateDirectory=carsync, {elsewhere}"
        case errno.EFBIG:
            return f"the limit on file sizes is too low (see ulimit -f), {elsewhere}"
        case errno.ENOTDIR | errno.EEXIST | errno.ELOOP | errno.ENAMETOOLONG:
            return "part of the path is no folder; set checkpoint.path to another place"
        case _:
            return f"check the disk of {folder} (see dmesg), {elsewhere}"
