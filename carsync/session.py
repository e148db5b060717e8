"""The parent's database session: where the configuration points, opened and checked."""

from __future__ import annotations

from contextlib import closing

from carsync import database
from carsync.config import Config
from carsync.database import Connection, Target
from carsync.errors import ConfigError
from carsync.mapping import Mapper
from carsync.model import Column


def open_database(config: Config, application_name: str) -> Connection:
    """Open the parent's connection as the configuration says."""
    return database.connect(
        config.require_dsn(),
        application_name=application_name,
        connect_timeout_s=config.database.connect_timeout_s,
        lock_timeout_s=config.database.lock_timeout_s,
    )


def target_of(config: Config) -> Target:
    """Return the table that the configuration names."""
    return Target(config.database.schema, config.database.table)


def target_columns(mapper: Mapper) -> tuple[Column, ...]:
    """Return all columns that a merge writes: the staged ones and the constants."""
    return (*mapper.columns, *(column for column, _ in mapper.constants))


def refuse_transaction_pooler(config: Config, connection: Connection) -> None:
    """Raise `ConfigError` where session locks are void: two runs could write at once."""
    with closing(open_database(config, "carsync")) as second:
        if database.shares_server_sessions(connection, second):
            raise ConfigError(
                "a connection pooler in transaction mode stands before PostgreSQL",
                detail="two connections share one server session, so locks do not hold",
                hint="connect directly or through a pooler in session mode (on Supabase the "
                "Session pooler, port 5432 instead of 6543)",
            )
