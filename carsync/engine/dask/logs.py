"""Dask's log lines go the way of ours: warnings alone, in our format, one line each."""

from __future__ import annotations

import logging
import multiprocessing
import os

from msgspec import Struct

from carsync import logging_setup, stdio
from carsync.logging_setup import Format

_THEIRS = ("distributed", "distributed.client", "distributed.gc", "tornado", "tornado.application")
"""The loggers to which Dask gives handlers and levels of their own when it is imported."""
_FOREIGN = ("distributed", "tornado", "asyncio")


class LogRules(Struct, frozen=True):
    """How a process logs, as its child processes should."""

    format: Format
    level: int

    @classmethod
    def of_this_process(cls) -> LogRules:
        """Return how this process logs."""
        format_: Format = "json" if logging_setup.is_json() else "text"
        return cls(format_, logging.getLogger().getEffectiveLevel())

    def set_up(self, name: str) -> None:
        """Log so in this child process, under this name."""
        stdio.forgive()
        multiprocessing.current_process().name = name
        logging_setup.set_up(self.format, self.level)
        take_over()


def take_over() -> None:
    """Let Dask's loggers of this process, and of those it starts, speak through ours."""
    os.environ.update(DASK_LOGGING__DISTRIBUTED="warning")  # until a child has set up its own log
    for name in _THEIRS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.NOTSET)
    is_detailed = logging.getLogger().isEnabledFor(logging.DEBUG)
    for name in _FOREIGN:
        logging.getLogger(name).setLevel(logging.INFO if is_detailed else logging.WARNING)
    for handler in logging.getLogger().handlers:
        handler.addFilter(_shorten)


def _shorten(record: logging.LogRecord) -> bool:
    """Let the traceback of a foreign line be its last sentence: a lost connection is no bug."""
    if record.name.startswith(_FOREIGN) and record.exc_info and record.exc_info[1] is not None:
        exc = record.exc_info[1]
        record.msg = f"{record.getMessage().rstrip()} ({type(exc).__name__}: {exc})"
        record.args, record.exc_info, record.exc_text = (), None, None
    return True
