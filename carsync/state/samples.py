"""What is kept of how a run went: samples of its figures, and the attempts that failed.

The parent writes them while the run is going on (`run/figures/sampler.py` says when), `carsync runs
show` and the report read them, and after `history.details_keep_days` they are deleted.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from carsync.config.lists import PAGES_EACH
from carsync.model import Target
from carsync.postgres import connection, sql
from carsync.postgres.wait import Connection, within
from carsync.state.figures import KeptFigures

ANSWER_S = 30.0
"""A server that has not cancelled a brief write by then (`sql/session/set_brief.sql`) is gone."""


class Sample(KeptFigures, frozen=True, kw_only=True):
    """The figures of a run at one moment (UTC, by the parent's clock).

    `session` counts from 1; `elapsed_s` is since the session's start. `pages_done` are all
    pages of the run that are staged. `rss_by_kind` is in bytes, by `parent`, `manager`,
    `fetcher`, `writer`. A sample's rate of rows and its latencies are always the recent ones:
    as JSON, and in the table, they go without that word.
    """

    session: int
    at: datetime
    phase: str
    pages_done: int = msgspec.field(name="pages_staged")
    recent_rows_per_s: float = msgspec.field(default=0.0, name="rows_per_s")
    recent_latency_p50_s: float | None = msgspec.field(default=None, name="latency_p50_s")
    recent_latency_p95_s: float | None = msgspec.field(default=None, name="latency_p95_s")
    recent_latency_p99_s: float | None = msgspec.field(default=None, name="latency_p99_s")
    rss_by_kind: dict[str, int]


class Failure(Struct, frozen=True):
    """One attempt at a page that failed; `kind` is a `FailureKind`'s value."""

    session: int
    at: datetime
    page: int
    attempt: int
    kind: str
    status: int | None
    problem: str
    latency_s: float
    given_up: bool


class FailedPage(Struct, frozen=True):
    """A page with failed attempts: their number, by class too, and the last of them.

    `in_list` names its list, where the feed has any: `page` is its number there then.
    """

    page: int
    failures: int
    kinds: dict[str, int]
    attempt: int
    kind: str
    status: int | None
    problem: str
    given_up: bool
    at: datetime
    in_list: str | None = msgspec.field(default=None, name="list")


class FailureCount(Struct, frozen=True):
    """How many failed attempts are kept, and of how many pages; `given_up` counts pages."""

    failures: int = 0
    pages: int = 0
    given_up: int = 0


def exist(conn: Connection) -> bool:
    """Say whether the tables are there; before the migration that makes them nothing is kept."""
    return bool(sql.fetch(conn, "looking for details", "samples/find_observations")[0][0])


def open_session(conn: Connection, run_id: int) -> tuple[int, int]:
    """Return the number of the run's next session and how many of its failures are kept.

    Does not wait for locks, like `store`; raises `DatabaseError`.
    """
    with within(conn, ANSWER_S), connection.transaction(conn, "looking for details") as cur:
        sql.run(cur, "session/set_brief")
        session, kept = sql.one(cur, "samples/find_session", {"run_id": run_id})
    return int(session), int(kept)


def store(
    conn: Connection,
    run_id: int,
    session: int,
    samples: Sequence[Sample],
    failures: Sequence[Failure],
    *,
    first_sample: int,
    first_failure: int,
) -> None:
    """Store samples and failures of a session in one short transaction.

    They are numbered from `first_sample` and `first_failure` on; `first_sample` 0 replaces all
    samples of the session. Locks are hardly waited for.

    Raises `DatabaseError`: nothing is stored then.
    """
    key: dict[str, Any] = {"run_id": run_id, "session": session}
    with within(conn, ANSWER_S), connection.transaction(conn, "storing how the run goes") as cur:
        sql.run(cur, "session/set_brief")
        if samples and not first_sample:
            sql.run(cur, "samples/delete_samples", key)
        if samples:
            given = {**key, "position": first_sample, "samples": _json(samples)}
            sql.run(cur, "samples/insert_samples", given)
        if failures:
            given = {**key, "position": first_failure, "failures": _json(failures)}
            sql.run(cur, "samples/insert_failures", given)


def _json(lines: Sequence[Sample] | Sequence[Failure]) -> str:
    return msgspec.json.encode(lines).decode()


def read_samples(conn: Connection, run_id: int) -> list[Sample]:
    """Return the samples of a run, session by session, in the order in which they were taken."""
    columns = sql.identifiers(Sample.__struct_encode_fields__)
    query = sql.load("samples/read_samples", columns=columns)
    found = sql.fetch(conn, "reading samples", query, {"run_id": run_id})
    return [Sample(**dict(zip(Sample.__struct_fields__, line, strict=True))) for line in found]


def list_failed_pages(conn: Connection, run_id: int, limit: int) -> list[FailedPage]:
    """Return at most `limit` pages with kept failures: given-up ones first, then the worst."""
    parameters = {"run_id": run_id, "limit": limit, "each": PAGES_EACH}
    found = sql.fetch(conn, "reading failures", "samples/list_failed_pages", parameters)
    return [FailedPage(*line) for line in found]


def count_failures(conn: Connection, run_id: int) -> FailureCount:
    """Count the kept failures of a run."""
    found = sql.fetch(conn, "counting failures", "samples/count_failures", {"run_id": run_id})
    return FailureCount(*found[0])


def prune(conn: Connection, target: Target, source: str, keep_days: float) -> int:
    """Delete samples and failures of runs begun longer than `keep_days` days ago; count them."""
    parameters = {**target.key(source), "keep_s": keep_days * 86_400}
    with connection.transaction(conn, "pruning details") as cur:
        return sum(
            sql.run(cur, name, parameters)
            for name in ("samples/prune_samples", "samples/prune_failures")
        )
