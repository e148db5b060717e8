"""Notifications: a session listens, and waits for one without a transaction."""

from __future__ import annotations

import select
import time
from collections.abc import Callable

from carsync.postgres.errors import translating
from carsync.postgres.sql import run
from carsync.postgres.wait import Connection

_TURN_S = 0.5


def listen(conn: Connection) -> None:
    """Let the session hear the notifications of the channel `carsync`."""
    with translating("listening for changes"), conn.cursor() as cur:
        run(cur, "session/listen")


def wait_for_notice(conn: Connection, seconds: float, each_turn: Callable[[], None]) -> bool:
    """Wait until the session is notified, for `seconds` at most; return whether it was.

    `each_turn` is called about twice a second and may raise. What was heard before counts.
    Raises `DatabaseUnavailableError` where the connection breaks.
    """
    until_s = time.monotonic() + seconds
    while not conn.notifies and (left_s := until_s - time.monotonic()) > 0:
        if select.select([conn], [], [], min(left_s, _TURN_S))[0]:
            with translating("waiting for changes"):
                conn.poll()
        each_turn()
    heard = bool(conn.notifies)
    conn.notifies.clear()
    return heard
