"""Standard input, output and error that cannot end a run: closed, on a full disk, unread."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
import sys
from typing import Any, TextIO

from carsync.formatting import harmless
from carsync.redaction import clean

_STDIN, _STDOUT, _STDERR = range(3)
_closed: set[int] = set()
"""Those of the three that were closed when the process began."""
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


class _Forgiving(io.FileIO):
    """A file whose writes never fail; what cannot be written is lost."""

    def write(self, data: Any, /) -> int:
        written = None  # also where it does not block and is full
        with contextlib.suppress(OSError):
            written = super().write(data)
        return memoryview(data).nbytes if written is None else written


class _Harmless(io.TextIOWrapper):
    """A stream by which nothing leaves that a terminal obeys, whoever prints."""

    def write(self, text: str, /) -> int:
        self.draw(harmless(text))
        return len(text)

    def draw(self, text: str) -> None:
        """Write what may move the cursor."""
        self.write_clean(text)

    def write_clean(self, text: str) -> None:
        """Write what holds no secret and nothing that a terminal obeys."""
        super().write(text)


class _Clean(_Harmless):
    """A stream that no secret of this process leaves by: log, traceback, or a library's print."""

    def draw(self, text: str) -> None:
        """Write what may move the cursor, but no secret."""
        super().draw(clean(text))


def secure() -> None:
    """Open those of the three that are closed, and let no write to standard error raise.

    The next file or connection would get a closed descriptor's number, and the log with it.
    """
    for number in (_STDIN, _STDOUT, _STDERR):
        try:
            os.fstat(number)
        except OSError:
            _closed.add(number)
            null = os.open(os.devnull, os.O_RDWR)  # the lowest that is free: this one
            if null != number:
                os.dup2(null, number)
            os.set_inheritable(number, True)
    sys.stdin = sys.stdin or open(_STDIN, closefd=False)  # noqa: SIM115
    sys.stdout = sys.stdout or open(_STDOUT, "w", closefd=False)  # noqa: SIM115
    _guard_output()
    forgive()


def _guard_output() -> None:
    """Let nothing that a terminal obeys out by standard output; data keep their true values."""
    was = sys.stdout
    if isinstance(was, io.TextIOWrapper):
        was.flush()
        sys.stdout = _Harmless(
            io.BufferedWriter(io.FileIO(_STDOUT, "w", closefd=False)),
            encoding=was.encoding,
            errors=was.errors,
            line_buffering=was.line_buffering,
            write_through=was.write_through,
        )


def forgive() -> None:
    """Let no write to standard error raise or show a secret; only lines of the log are lost."""
    was = sys.stderr
    if was is not sys.__stderr__:
        return  # somebody listens in, a test for example
    raw = _Forgiving(_STDERR, "w", closefd=False)
    sys.stderr = _Clean(
        io.BufferedWriter(raw),
        encoding=was.encoding if was else "utf-8",
        errors="backslashreplace",
        line_buffering=True,
    )


def draw(stream: TextIO, text: str) -> None:
    """Write what moves the cursor of a terminal, which no other text may do."""
    if isinstance(stream, _Harmless):
        stream.draw(text)
    else:
        stream.write(text)
    stream.flush()


def write_clean(stream: TextIO, line: str) -> None:
    """Write a line whose maker took out secrets, and all that a terminal obeys."""
    write = stream.write_clean if isinstance(stream, _Harmless) else stream.write
    write(f"{line}\n")
    stream.flush()


def drop_output() -> None:
    """Discard what is still to be written to standard output.

    The interpreter's own flush at exit does not fail then (Python manual, signal, "Note on
    SIGPIPE").
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), _STDOUT)


def is_reader_gone() -> bool:
    """Say whether standard output is a pipe that nobody reads (`carsync preview | head`).

    Output that is still to be written is discarded then.
    """
    gone = _has_no_reader()
    if gone:
        drop_output()
    return gone


def check_reader() -> None:
    """Raise `BrokenPipeError`, as a write would, where nobody reads standard output any more."""
    if _has_no_reader():
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def _has_no_reader() -> bool:
    if _STDOUT in _closed:
        return True
    poll = select.poll()
    poll.register(_STDOUT, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def is_full(exc: BaseException) -> bool:
    """Say whether `exc` comes from a full disk under standard output; drop the rest if so.

    Errors of a named file are left to whoever writes that file.
    """
    full = isinstance(exc, OSError) and exc.errno in _NO_ROOM and exc.filename is None
    if full:
        drop_output()
    return full
