"""Standard input, output and error that cannot end a run: closed, on a full disk, unread."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from typing import Any

_STDIN, _STDOUT, _STDERR = range(3)
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


class _Forgiving(io.FileIO):
    """A file that takes what it is given; what cannot be written is lost."""

    def write(self, data: Any, /) -> int:
        written = None  # also where it does not block and is full
        with contextlib.suppress(OSError):
            written = super().write(data)
        return memoryview(data).nbytes if written is None else written


def secure() -> None:
    """Open what is closed of the three, and let nothing that is written to the log raise.

    A descriptor that is closed would be the next file's or connection's, and get the log.
    """
    for number in (_STDIN, _STDOUT, _STDERR):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)  # the lowest that is free: this one
            if null != number:
                os.dup2(null, number)
            os.set_inheritable(number, True)
    sys.stdin = sys.stdin or open(_STDIN, closefd=False)  # noqa: SIM115
    sys.stdout = sys.stdout or open(_STDOUT, "w", closefd=False)  # noqa: SIM115
    forgive()


def forgive() -> None:
    """Let nothing that is written to standard error raise; what is lost is only the log."""
    was = sys.stderr
    if was is not sys.__stderr__:
        return  # somebody listens in, a test for example
    raw = _Forgiving(_STDERR, "w", closefd=False)
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=was.encoding if was else "utf-8",
        errors="backslashreplace",
        line_buffering=True,
    )


def drop_output() -> None:
    """Send what is still to be written to standard output nowhere.

    So the interpreter's own flush at exit does not fail (Python manual, signal, "Note on
    SIGPIPE").
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), _STDOUT)


def is_full(exc: BaseException) -> bool:
    """Say whether `exc` is a write that found no room; what is left of the output is dropped.

    Whoever writes a file of its own catches this itself and names the file.
    """
    full = isinstance(exc, OSError) and exc.errno in _NO_ROOM and exc.filename is None
    if full:
        drop_output()
    return full
