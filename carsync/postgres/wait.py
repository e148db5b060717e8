"""How long a statement may wait for its answer: deadlines, a watchdog, and cancelling.

libpq waits for ever where a server hangs with its TCP connection alive, and lets no
signal handler run meanwhile. Here psycopg2 hands every wait to `wait` (its manual,
"Support for coroutine libraries"), which gives up a connection that stays silent.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import psycopg2
from psycopg2 import extensions, extras

from carsync import timing
from carsync.errors import DatabaseError

LONG_S = 4 * 3600.0
"""A statement over whole tables may work this long; see `patient`."""
STRIKES = 2
"""So often in a row the watchdog may see nobody at work on the statement."""
_TURN_S = 0.2
_REST_TURN_S = 0.1


class StatementWatchdog(Protocol):
    """Looks at a statement from outside, over a connection of its own."""

    def is_working(self) -> bool:
        """Say whether the server still works on it; raises `DatabaseError` if none answers."""
        ...

    def cancel(self) -> None:
        """Ask the server to cancel it; raises `DatabaseError`."""
        ...


class Connection(extensions.connection):
    """A connection whose statements fail after `silence_s` seconds without a sign of life.

    Before that a `watchdog`, if there is one, may see that nobody works on the statement any
    more. `should_cancel` is polled several times a second; the statement ends once it is true.
    """

    silence_s: float = timing.current().statement_silence_s
    watchdog: StatementWatchdog | None = None
    should_cancel: Callable[[], bool] | None = None


@contextmanager
def within(conn: Connection, silence_s: float) -> Iterator[None]:
    """Wait up to `silence_s` seconds for the answer to each statement of the block."""
    before = conn.silence_s
    conn.silence_s = silence_s
    try:
        yield
    finally:
        conn.silence_s = before


def patient(conn: Connection) -> AbstractContextManager[None]:
    """Let the statements of the block work for hours: those that read or write whole tables."""
    return within(conn, LONG_S)


def is_idle(conn: Connection) -> bool:
    """Say whether `conn` is open and in no transaction, as far as is known here."""
    status = conn.get_transaction_status()
    return not conn.closed and status == extensions.TRANSACTION_STATUS_IDLE


def rest(seconds: float, should_cancel: Callable[[], bool] | None) -> None:
    """Do nothing for so long, or until `should_cancel`."""
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s and not (should_cancel and should_cancel()):
        time.sleep(_REST_TURN_S)


@contextmanager
def blocking() -> Iterator[None]:
    """Leave the waiting to libpq: for connect, whose time-out per address only libpq keeps,
    and for COPY, which a callback cannot drive.
    """
    extensions.set_wait_callback(None)
    try:
        yield
    finally:
        extensions.set_wait_callback(wait)


def wait(conn: extensions.connection) -> None:
    """Wait until the statement that `conn` sent is answered; psycopg2's wait callback.

    Raises `psycopg2.OperationalError`, upon which psycopg2 closes the connection: what
    became of the statement is then unknown.
    """
    if not isinstance(conn, Connection):
        extras.wait_select(conn)
        return
    waiting = _Wait(conn)
    while (state := conn.poll()) != extensions.POLL_OK:
        reads, writes = ([conn], []) if state == extensions.POLL_READ else ([], [conn])
        if any(select.select(reads, writes, [], _TURN_S)):
            waiting.hear()
        waiting.turn()


class _Wait:
    """The wait for one answer."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._strikes = 0
        self._is_cancelled = False
        self.hear()

    def hear(self) -> None:
        """Note that the server gave a sign of life."""
        self._heard_s = time.monotonic()
        limits = timing.current()
        self._limit_s = limits.cancel_s if self._is_cancelled else self._conn.silence_s
        self._look_s = self._heard_s + limits.look_s

    def turn(self) -> None:
        """Cancel, look, or give up, where it is time to."""
        conn = self._conn
        if not self._is_cancelled and conn.should_cancel is not None and conn.should_cancel():
            self._cancel()
        now = time.monotonic()
        if now - self._heard_s >= self._limit_s:
            raise psycopg2.OperationalError(
                f"timeout expired: no answer for {now - self._heard_s:.0f} s"
            )
        if conn.watchdog is not None and now >= self._look_s:
            self._look(conn.watchdog)
            limits = timing.current()
            pause_s = limits.look_again_s if self._strikes else limits.look_s
            self._look_s = time.monotonic() + pause_s

    def _cancel(self) -> None:
        # Not by PQcancel: it would block, with Python's lock held, where the server hangs.
        self._is_cancelled = True
        self.hear()
        if self._conn.watchdog is not None:
            try:
                self._conn.watchdog.cancel()
            except DatabaseError as exc:
                raise psycopg2.OperationalError(
                    f"the statement cannot be cancelled: {exc.problem} ({exc.detail})"
                ) from exc

    def _look(self, watchdog: StatementWatchdog) -> None:
        saw = "the server does not work on the statement"
        try:
            if watchdog.is_working():
                self._strikes = 0
                return
        except DatabaseError as exc:
            saw = f"a second connection fails ({exc.detail})"
        self._strikes += 1
        if self._strikes >= STRIKES:
            silent_s = time.monotonic() - self._heard_s
            raise psycopg2.OperationalError(
                f"timeout expired: no answer for {silent_s:.0f} s, and {saw}"
            )
