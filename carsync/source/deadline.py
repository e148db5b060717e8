"""Work that nothing can end (getaddrinfo, a TLS handshake) waited for within a time.

A blocked thread cannot be ended, so the work gets a thread of its own, which is left behind.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

TURN_S = 0.05

_Result = TypeVar("_Result")


def in_thread(work: Callable[[], _Result], name: str) -> Future[_Result]:
    """Start `work` in a daemon thread called `name`; the future gets its result or its error."""
    done: Future[_Result] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as exc:  # whoever waits is told, whatever it is
            done.set_exception(exc)

    threading.Thread(target=run, name=name, daemon=True).start()
    return done


def in_time(
    work: Callable[[], _Result],
    within_s: float,
    *,
    name: str,
    turn: Callable[[], None] = lambda: None,
) -> _Result:
    """Do `work` in a thread called `name` and call `turn` several times a second meanwhile.

    Returns what `work` returns. Raises what `work` or `turn` raises, and `TimeoutError`
    after `within_s` seconds.

    >>> in_time(lambda: 6 * 7, 1.0, name="sum")
    42
    """
    deadline_s = time.monotonic() + within_s
    done = in_thread(work, name)
    while not done.done():
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError(f"{name} took longer than {within_s:g} s")
        wait([done], min(TURN_S, left_s))
        turn()
    return done.result()
