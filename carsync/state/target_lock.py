"""The lock of a target: one run at a time, for as long as its database session lives."""

from __future__ import annotations

from carsync.errors import LockedError
from carsync.model import Target
from carsync.postgres import sql
from carsync.postgres.wait import Connection


def try_acquire(conn: Connection, target: Target) -> bool:
    """Take the target's lock for as long as `conn` lives; False: another session has it.

    A session may take it again. Behind a pooler in transaction mode the lock is void
    (see `connection.shares_server_sessions`).
    """
    key = {"target": str(target)}
    return bool(sql.fetch(conn, "taking the table's lock", "runs/lock_target", key)[0][0])


def describe_holder(conn: Connection, target: Target) -> str:
    """Say in words which session holds the target's lock; empty where none does."""
    key = {"target": str(target)}
    found = sql.fetch(conn, "looking for the lock's holder", "runs/find_lock_holder", key)
    if not found:
        return ""
    pid, application, address, since = found[0]
    who = application or "a session"
    return f"{who} (PostgreSQL pid {pid}, from {address}, since {since:%F %T} UTC)"


def acquire(conn: Connection, target: Target) -> None:
    """Take the target's lock like `try_acquire`; raise `LockedError`, naming the holder."""
    if not try_acquire(conn, target):
        raise LockedError(
            f"another run holds the lock of {target}",
            detail=describe_holder(conn, target),
            hint="wait for it to end; a run that was killed gives it up within seconds",
        )
