"""The parent's database session: where the configuration points, opened, watched and checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from functools import cache

from carsync.config.sections import Config
from carsync.errors import ConfigError, DatabaseError
from carsync.postgres import connection
from carsync.postgres.errors import translating
from carsync.postgres.ownership import refuse_foreign_owners
from carsync.postgres.peer import peer_of
from carsync.postgres.sessions import SessionWatchdog, backend_of
from carsync.postgres.wait import Connection
from carsync.redaction import Secret


def open_database(
    config: Config, application_name: str, should_cancel: Callable[[], bool] | None = None
) -> Connection:
    """Open the parent's connection as the configuration says.

    A statement that waits long is watched over a second connection. `should_cancel` is polled
    several times a second while a statement waits, not while connecting; yes cancels it.
    Raises `ConfigError` behind a pooler in transaction mode, and `DatabasePermissionError` where
    carsync's own schema is another role's.
    """
    _refuse_transaction_pooler(config)

    conn = connect_as(config, application_name, should_cancel)
    try:
        backend, peer = backend_of(conn), peer_of(conn)
        with translating("looking at the schema carsync"), conn.cursor() as cur:
            refuse_foreign_owners(cur, config.target)
    except BaseException:
        conn.close()
        raise
    conn.watchdog = SessionWatchdog(
        backend,
        peer,
        lambda: connect_as(config, f"{application_name} watch", should_cancel, peer.options),
        silence_s=connection.connect_timeout(config.database.connect_timeout_s) - 1,
    )
    return conn


def connect_as(
    config: Config,
    application_name: str,
    should_cancel: Callable[[], bool] | None = None,
    options: Mapping[str, str] = connection.NO_OPTIONS,
) -> Connection:
    """Open a connection as the configuration says, which nobody watches; see `open_database`.

    `options` are laid over the connection string.
    """
    return connection.connect(
        config.require_dsn(),
        application_name=application_name,
        connect_timeout_s=config.database.connect_timeout_s,
        lock_timeout_s=config.database.lock_timeout_s,
        should_cancel=should_cancel,
        options=options,
    )


@cache
def _shares_server_sessions(dsn: Secret, connect_timeout_s: float) -> bool:
    return connection.shares_server_sessions(dsn, connect_timeout_s)


def _refuse_transaction_pooler(config: Config) -> None:
    """Raise `ConfigError` where session locks are void: two runs could write at once.

    Called before anything is set or locked: it would stay on the pooler's sessions, and hold for
    the site's own queries.
    """
    if _shares_server_sessions(config.require_dsn(), config.database.connect_timeout_s):
        raise ConfigError(
            "PostgreSQL is behind a connection pooler in transaction mode",
            detail="connections share server sessions, so locks do not hold, and settings of one "
            "hold for all",
            hint="connect directly or through a pooler in session mode (on Supabase the "
            "Session pooler, port 5432 instead of 6543)",
        )


def try_opening(connect: Callable[[], Connection], wanted: int) -> tuple[int, str]:
    """Open `wanted` sessions at once and close them: the limits of a pooler cannot be asked for.

    Returns how many were open, and why there were no more.
    """
    with ExitStack() as stack:
        for opened in range(wanted):
            try:
                stack.enter_context(closing(connect()))
            except DatabaseError as exc:
                return opened, exc.detail
    return wanted, ""
