"""Small files that are replaced as a whole or not at all (rename(2), fsync(2)).

What the operating system refuses stays an `OSError`: the caller knows what the file is for.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

from carsync import failpoints


class NotAFileError(OSError):
    """The path names a device, a pipe or a folder, which a rename would destroy."""

    def __str__(self) -> str:
        return "it is not a regular file"


def replace(
    path: Path,
    data: bytes,
    *,
    mode: int | None = 0o600,
    suffix: str = "tmp",
    is_durable: bool = True,
) -> None:
    """Replace the file at `path` by `data`; whoever reads sees the old file or the new one.

    `data` are written beside the old file, flushed to the disk and renamed over it; where
    `is_durable` the new name is flushed too, and survives a power cut. `mode` None leaves
    the file's mode to the umask. `suffix` names the file beside the old one: what lies at a
    fixed name, where a kill left it, is removed, but it serves one writer at a time.

    Raises `OSError`: the old file is untouched then, and nothing else is left behind.
    """
    temporary = path.with_name(f".{path.name}.{suffix}")
    _refuse_special(path)
    try:
        temporary.unlink(missing_ok=True)
        _write_flushed(temporary, data, mode)
        failpoints.reach("checkpoint.written")
        temporary.replace(path)
        failpoints.reach("checkpoint.renamed")
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    if is_durable:
        _flush_folder(path.parent)


def read(path: Path) -> bytes | None:
    """Return what the file at `path` holds, or None where there is none; raise `OSError`."""
    try:
        _refuse_special(path)
        return path.read_bytes()
    except FileNotFoundError:
        return None


def make_folder(folder: Path) -> None:
    """Make `folder` and its parents where missing, the folder itself for its owner only."""
    if not folder.is_dir():
        missing = [place for place in (folder, *folder.parents) if not place.exists()]
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for made in reversed(missing):
            give_to_owner(made, made.parent)


def give_to_owner(made: int | Path, folder: Path) -> None:
    """Give what root made in another user's folder to that user, whose service must write it.

    `made` is a descriptor or a path, of which a symbolic link is not followed.
    """
    owner = folder.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        with contextlib.suppress(OSError):  # a container may forbid it; root's it stays
            os.chown(made, owner.st_uid, owner.st_gid, follow_symlinks=isinstance(made, int))


def _refuse_special(path: Path) -> None:
    """Refuse what a rename would destroy or a read would hang on: devices, pipes, folders."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(path.stat().st_mode):
            raise NotAFileError


def _write_flushed(path: Path, data: bytes, mode: int | None) -> None:
    # O_EXCL: no link that lies there, symbolic or hard, leads to another file.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o666 if mode is None else mode), "wb") as file:
        give_to_owner(file.fileno(), path.parent)
        if mode is not None:
            os.fchmod(file.fileno(), mode)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as exc:
        if exc.errno not in {errno.EINVAL, errno.EBADF}:  # CIFS and FUSE flush no folder
            raise
    finally:
        os.close(descriptor)
