"""Looks at PostgreSQL: addresses, pooler, server, privileges, tables. Writes nothing there.

The session is read-only from its first query on, so that the server itself refuses writes.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from functools import partial

from carsync.config.sections import Config
from carsync.destination import migrations, privileges
from carsync.destination.target_table import list_triggers
from carsync.doctor.server_checks import OVERRIDDEN, Endpoint, ServerFacts
from carsync.doctor.table_checks import Overlap, Privileges, TableFacts
from carsync.errors import CarsyncError
from carsync.mapping.ids import spell_ids
from carsync.model import Column, Target
from carsync.postgres import connection, sql
from carsync.postgres.connect import try_opening
from carsync.postgres.ownership import refuse_foreign_owners
from carsync.postgres.target import find_id_type
from carsync.postgres.target import parts as target_parts
from carsync.postgres.wait import Connection, within
from carsync.run.fingerprints import find_other_feed
from carsync.source.dns import look_up
from carsync.state import requests, runs, target_lock
from carsync.state.api_use import BudgetUse

NAME = "carsync check"
_REACH_S = 4.0
_ANSWER_S = 15.0
_MOST_TRIED = 40
_MOST_ADDRESSES = 4


def find_endpoint(host: str, port: int) -> Endpoint:
    """Look up the host and try whether one of its addresses takes a connection.

    No host, or one that begins with `/` or `@`, is a Unix socket of this machine (libpq's
    manual, `host`).
    """
    if not host or host.startswith(("/", "@")):
        return Endpoint(host, port, reached=host or "the default folder")
    try:
        addresses = look_up(host, port, _REACH_S)
    except socket.gaierror as exc:
        return Endpoint(host, port, error=exc.strerror or str(exc))
    refusals = []
    for address in addresses[:_MOST_ADDRESSES]:
        started_s = time.monotonic()
        try:
            socket.create_connection((address, port), _REACH_S).close()
        except TimeoutError:
            refusals.append(f"no answer within {_REACH_S:g} s")
        except OSError as exc:
            refusals.append((exc.strerror or str(exc)).lower())
        else:
            took_s = time.monotonic() - started_s
            return Endpoint(host, port, addresses, took_s, reached=address)
    return Endpoint(host, port, addresses, refusals=refusals)


def is_transaction_pooler(config: Config) -> bool:
    """Say whether session locks do not hold there; raise `DatabaseError` if nobody answers."""
    return connection.shares_server_sessions(config.require_dsn(), _timeout_s(config))


@contextmanager
def read_only(config: Config) -> Iterator[Connection]:
    """Give a connection that cannot write, with a time limit for each statement."""
    with closing(_connect(config)) as conn, within(conn, _ANSWER_S):
        sql.fetch(conn, "forbidding writes", sql.load("session/forbid_writes"))
        with connection.transaction(conn, "looking at the schema carsync") as cur:
            refuse_foreign_owners(cur, config.target)
        yield conn


def _connect(config: Config) -> Connection:
    return connection.connect(
        config.require_dsn(),
        application_name=NAME,
        connect_timeout_s=_timeout_s(config),
        lock_timeout_s=5.0,
        statement_timeout_s=_ANSWER_S,
    )


def _timeout_s(config: Config) -> float:
    return min(config.database.connect_timeout_s, _REACH_S)


def describe_server(conn: Connection) -> ServerFacts:
    """Ask the server about itself and the role."""
    doing = "asking the server about itself"
    query, names = sql.load("doctor/list_session_defaults"), {"names": list(OVERRIDDEN)}
    found = sql.fetch(conn, doing, query, names)
    settings = {name: (theirs, ours) for name, theirs, ours in found}
    for name in ("statement_timeout", "default_transaction_read_only"):
        # The doctor's session has these for its own sake; a run's session sets its own.
        settings[name] = (settings[name][0], OVERRIDDEN[name])
    before_s = time.time()
    query = sql.load("doctor/describe_server")
    *facts, epoch_s, encrypted, pid = sql.fetch(conn, doing, query)[0]
    now_s = (before_s + time.time()) / 2
    pooled = pid != conn.get_backend_pid()
    return ServerFacts(*(*facts, epoch_s - now_s, encrypted, pooled, settings))


def count_sessions(config: Config, wanted: int) -> tuple[int, str]:
    """Try how many sessions the server gives at once, the doctor's own included, up to `wanted`.

    Returns their number, and why there were no more.
    """
    opened, refused = try_opening(partial(_connect, config), min(wanted, _MOST_TRIED) - 1)
    return opened + 1, refused


def describe_privileges(conn: Connection, target: Target) -> Privileges:
    """Ask what the role may do."""
    doing = "asking for privileges"
    name = {"schema": target.schema, "table": target.table}
    with connection.transaction(conn, doing) as cur:
        found = sql.one(cur, sql.load("doctor/describe_privileges"), name)
        lacking: Mapping[str, Sequence[str]] = dict(sql.rows(cur, sql.load("doctor/list_lacking")))
        writers = privileges.list_open_writers(cur, target)
    return Privileges(*(*found, lacking, writers))


def describe_tables(
    conn: Connection, config: Config, target: Target, columns: Sequence[Column]
) -> TableFacts:
    """Look at the target and at carsync's own tables."""
    error, pending = None, []
    try:
        pending = migrations.pending(conn, target, columns)
    except CarsyncError as exc:
        error = exc
    with connection.transaction(conn, "looking at the target") as cur:
        relation = privileges.describe(cur, target)
        triggers = list_triggers(cur, target)
    source = config.sync.source
    scheme, unfinished, other_feed = None, None, None
    if error is None and not any("migration" in sentence for sentence in pending):
        scheme = runs.find_hash_scheme(conn, target, source)
        run = runs.find_resumable(conn, target, source, config.checkpoint.max_age_h)
        unfinished = run.run_id if run else None
        other_feed = find_other_feed(config, runs.last_merged(conn, target, source))
    return TableFacts(
        error,
        pending,
        relation.rows_estimate if relation else None,
        scheme,
        target_lock.describe_holder(conn, target),
        unfinished,
        triggers,
        other_feed,
    )


def compare(
    conn: Connection, target: Target, source: str, hashes_by: Mapping[str, Mapping[str, str]]
) -> Overlap:
    """Compare the first page's cars with the table's; `hashes_by` is algorithm → id → hash."""
    first = next(iter(hashes_by.values()))
    with connection.transaction(conn, "comparing the first page with the table") as cur:
        ids = spell_ids(first, find_id_type(cur, target))
        query = sql.load("doctor/find_hashes", **target_parts(cur, target))
        found = sql.rows(cur, query, {"ids": list(ids)})
    return Overlap(
        len(first),
        len(found),
        sum(its != source for _, its, _ in found),
        {
            algorithm: sum(hashes[ids[car]] == its for car, _, its in found)
            for algorithm, hashes in hashes_by.items()
        },
    )


def since_full(
    conn: Connection, target: Target, source: str, removed: Iterable[tuple[str, datetime]]
) -> dict[str, str]:
    """Return the cars that went since the last run of the whole feed, which the table should have.

    Each id has an empty hash, as `compare` wants it.
    """
    run = runs.last_full(conn, target, source)
    if run is None or run.api_clock is None:
        return {}
    return {record_id: "" for record_id, at in removed if at > run.api_clock}


def read_budget(conn: Connection, config: Config) -> BudgetUse | None:
    """Return what is left of `limits.budget`; None where there is none, or nothing was counted."""
    budget = config.limits.budget
    if budget.requests is None or not requests.exist(conn):
        return None
    feed = requests.Feed(config.target, config.sync.source)
    return requests.read(conn, feed, budget).budget
