"""What the operating system refuses about the checkpoint, in words that say what to do."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from carsync.errors import CheckpointError
from carsync.state.atomic_file import NotAFileError


@contextlib.contextmanager
def translating(doing: str, path: Path, *, detail: str = "") -> Iterator[None]:
    """Turn every `OSError` of the block into a `CheckpointError`: cannot `doing` the checkpoint.

    `detail` names what could not be written or read; "": `path` itself.
    """
    try:
        yield
    except NotAFileError as exc:
        raise CheckpointError(
            "the checkpoint path is not a regular file",
            detail=detail or str(path),
            hint="set checkpoint.path to a file of its own, e.g. /var/lib/carsync/cars.json",
        ) from exc
    except OSError as exc:
        raise CheckpointError(
            f"cannot {doing} the checkpoint: {os.strerror(exc.errno or errno.EIO).lower()}",
            detail=detail or str(path),
            hint=_hint(exc.errno, path.parent),
        ) from exc


def _hint(code: int | None, folder: Path) -> str:
    elsewhere = "or set checkpoint.path to another place"
    match code:
        case errno.ENOSPC | errno.EDQUOT:
            return f"free space on the disk of {folder} (see df -h -i '{folder}'), {elsewhere}"
        case errno.EACCES | errno.EPERM:
            return (
                f"run as the owner of {folder} and of its files (see ls -la '{folder}'; "
                f"a run as root may have left files of root), {elsewhere}"
            )
        case errno.EROFS:
            return f"{folder} is read-only; under systemd set StateDirectory=carsync, {elsewhere}"
        case errno.EFBIG:
            return f"the limit on file sizes is too low (see ulimit -f), {elsewhere}"
        case errno.ELOOP:
            return f"remove the symbolic link (see ls -la '{folder}'), {elsewhere}"
        case errno.ENOTDIR | errno.EEXIST | errno.ENAMETOOLONG:
            return "a part of the path is not a folder; set checkpoint.path to another place"
        case _:
            return f"check the disk of {folder} (see dmesg), {elsewhere}"
