"""The server's processes: watched while they work for us, ended when their client is lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from carsync.errors import DatabaseError
from carsync.model import Target
from carsync.postgres import sql
from carsync.postgres.peer import Peer, answers
from carsync.postgres.wait import Connection, within

END_S = 20.0
"""How long the server may take to end a process."""
LOOK_ANSWER_S = 10.0
_POLL_S = 0.1


class Backend(Struct, frozen=True):
    """One server process; a pid alone may be given to another."""

    pid: int
    started_at: datetime


class DatabaseSession(Struct, frozen=True):
    """One of carsync's sessions as the server sees it.

    `age_s` is for how long it has been in `state`, or at its statement where that is
    "active"; `wait` what it waits for ("Lock: relation"), empty where for nothing;
    `blocked_by` the server processes whose locks it waits for.
    """

    pid: int
    application: str
    state: str
    wait: str
    age_s: float
    blocked_by: list[int]
    holds_lock: bool


def list_sessions(conn: Connection, target: Target) -> list[DatabaseSession]:
    """Return carsync's sessions in the database, `conn` aside, the oldest first.

    `holds_lock`: it holds the run lock of `target`.
    """
    key = {"target": str(target)}
    found = sql.fetch(conn, "looking at carsync's sessions", "session/list_sessions", key)
    return [DatabaseSession(*line) for line in found]


def backend_of(conn: Connection) -> Backend:
    """Return the server process behind `conn`."""
    return Backend(*sql.fetch(conn, "looking at the session", "session/find_own_backend")[0])


class SessionWatchdog:
    """Watches one backend of the server at `peer` over a new connection each time.

    `reopen` gives that connection, or fails; where nobody answers, not within `silence_s` seconds.
    """

    def __init__(
        self, backend: Backend, peer: Peer, reopen: Callable[[], Connection], silence_s: float
    ) -> None:
        self.backend = backend
        self._peer = peer
        self._reopen = reopen
        self._silence_s = min(silence_s, LOOK_ANSWER_S)

    def is_working(self) -> bool:
        """Say whether the backend is there and not idle.

        A server that answers only to refuse (the password was changed, no slot is free) gives
        a sign of life too. What it says is in its own language, so nobody reads it here.
        """
        began_s = time.monotonic()
        try:
            found = self._ask("session/find_backend")
        except DatabaseError as exc:
            is_answer = getattr(exc.__cause__, "pgcode", None) is not None
            was_quick = time.monotonic() - began_s < self._silence_s
            if is_answer or (was_quick and answers(self._peer, self._silence_s)):
                return True
            raise
        return bool(found) and not str(found[0][0]).startswith("idle")

    def cancel(self) -> None:
        """Cancel the backend's statement."""
        self._ask("session/cancel_backend")

    def _ask(self, name: str) -> list[tuple[Any, ...]]:
        with closing(self._reopen()) as conn, within(conn, LOOK_ANSWER_S):
            return sql.fetch(conn, "looking at a session", name, asdict(self.backend))


def end_backend(conn: Connection, backend: Backend) -> None:
    """End a backend, if it is still there, and wait until it is gone; raises `DatabaseError`."""
    _end(conn, "session/end_backend", asdict(backend))


def end_sessions(conn: Connection, application_name: str) -> None:
    """End all other sessions of that name in this database, as `end_backend` does."""
    _end(conn, "session/end_sessions", {"application_name": application_name})


def _end(conn: Connection, name: str, parameters: Mapping[str, Any]) -> None:
    deadline_s = time.monotonic() + END_S
    while left := sql.fetch(conn, "ending a left-over session", name, parameters):
        if time.monotonic() > deadline_s:
            raise DatabaseError(
                "a left-over session of carsync does not end",
                detail=f"PostgreSQL pid {left[0][0]} was told to end, {END_S:.0f} s ago",
                hint="check whether that process of the server hangs",
            )
        time.sleep(_POLL_S)


def describe_rivals(conn: Connection, target: Target) -> str:
    """Say in words which sessions hold locks on the target's rows; empty where none does."""
    query = sql.load("session/list_rivals", target=sql.literal(_quoted(target)))
    found = sql.fetch(conn, "looking for rival sessions", query)
    return "; ".join(
        f"{who} (PostgreSQL pid {pid}, {state}, its last query began {since:%F %T} UTC)"
        for pid, who, state, since in found
    )


def _quoted(target: Target) -> str:
    return ".".join('"' + name.replace('"', '""') + '"' for name in (target.schema, target.table))
