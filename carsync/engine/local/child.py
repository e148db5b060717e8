"""What every child process does first: die with its parent, leave signals to it."""

from __future__ import annotations

import ctypes
import gc
import importlib
import logging
import os
import signal
import sys
from typing import Any

from carsync import logging_setup, stdio

_PR_SET_PDEATHSIG = 1  # prctl(2)
_M_ARENA_MAX = -8  # mallopt(3)


def become_child(parent_pid: int | None = None) -> None:
    """Set up this process as a child of a run.

    Signals to the process group reach the parent too, which alone decides how to
    stop; so children ignore SIGINT and SIGTERM. On Linux the kernel kills the
    child when its parent dies (prctl(2), PR_SET_PDEATHSIG); elsewhere the broken
    pipe ends it. The garbage collector, at rest since `run_by_name`, starts to work
    and never looks at what the boot created.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if hasattr(libc, "mallopt"):  # glibc gives every thread an arena that keeps its pages
            libc.mallopt(_M_ARENA_MAX, 1)
        if parent_pid is not None and os.getppid() != parent_pid:
            os._exit(1)  # the parent died before prctl took effect
    gc.freeze()
    gc.enable()


def run_by_name(
    log_format: logging_setup.Format, module: str, function: str, *arguments: Any
) -> None:
    """Import and call a child's entry point; the parent need not load what the child uses.

    A child has no log of its own: what it has to say goes to the parent as events. Where
    the log is JSON, what kills it is told in a line of that kind too.
    """
    gc.disable()  # imports make hardly any garbage
    stdio.forgive()
    try:
        if log_format == "json":
            logging_setup.set_up(log_format, logging.WARNING)
        getattr(importlib.import_module(module), function)(*arguments)
    except Exception as exc:
        if log_format == "text":
            raise
        logging_setup.tell_bug(exc)
        sys.exit(1)
