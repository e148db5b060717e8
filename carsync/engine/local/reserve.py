"""A process in reserve: it holds what it was handed over, and loads nothing before its time.

Only a process that is started with the queue can have it; this module stays light, so that
waiting costs next to no memory.
"""

from __future__ import annotations

import importlib
import pickle
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from carsync.engine.local.page_queue import PageQueue


IN_RESERVE = "in reserve"
"""Worker to parent: it waits."""
BEGIN = "begin"
"""Parent to a worker in reserve: load what the work needs, and do it."""


def wait_in_reserve(pipe: Connection, pages: PageQueue, parent_pid: int, called: bytes) -> None:
    """Wait for `BEGIN`, then do as `run_by_name` with what is pickled in `called`.

    Without that it ends: the parent is gone, or has no need of it.
    """
    child = importlib.import_module("carsync.engine.local.child")
    child.become_child(parent_pid)
    try:
        pipe.send(IN_RESERVE)
        if pipe.recv() != BEGIN:
            return
    except (EOFError, OSError):
        return
    log_format, module, function, *arguments = pickle.loads(called)
    child.run_by_name(log_format, module, function, pipe, pages, *arguments)
