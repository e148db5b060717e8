"""The record of runs in `carsync.runs`."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict, fields

from carsync import __version__
from carsync.errors import CarsyncError, LockedError
from carsync.model import MergeCounts, RunMode, RunState, Scope, Target
from carsync.postgres import connection, sql
from carsync.postgres.sql import Cursor
from carsync.postgres.wait import Connection


class Run(Struct, frozen=True):
    """One line of `carsync.runs`; times are UTC, `counts` is set by a committed merge.

    `replay_of` is the run whose rejects this one replays, `reverts` the one that it takes
    back; both are None where it reads the feed, as much of it as `scope` says.
    `changes_origin` says where its changes were recorded, None where they were not. An incremental
    run asks for what changed since `window_from`. `api_clock` is the API's time, `api_clock_at` the
    server's, when the run asked for its first page.
    """

    run_id: int
    token: str
    schema_name: str
    table_name: str
    source: str
    state: RunState
    started_at: datetime
    resumed_at: datetime | None
    merged_at: datetime | None
    finished_at: datetime | None
    exit_code: int | None
    version: str
    fingerprints: dict[str, str]
    hash_scheme: str
    counts: dict[str, int] | None
    summary: dict[str, Any] | None
    replay_of: int | None
    reverts: int | None
    scope: Scope
    changes_origin: str | None
    mode: RunMode = "full"
    window_from: datetime | None = None
    api_clock: datetime | None = None
    api_clock_at: datetime | None = None

    @property
    def target(self) -> Target:
        """The table the run writes."""
        return Target(self.schema_name, self.table_name)

    @property
    def approval(self) -> dict[str, Any] | None:
        """What an approval did: `at` (ISO 8601), `by` (the database's user) and two counts.

        The counts of cars are `deactivated` and `left_out`. None where nobody approved the run.
        """
        return (self.summary or {}).get("approval")

    @property
    def counts_now(self) -> dict[str, int] | None:
        """The merge's counts, with the cars that an approval deactivated since."""
        if self.counts is None or self.approval is None:
            return self.counts
        gone = int(self.approval["deactivated"])
        changed = {"deactivated": gone, "held": -gone}
        return self.counts | {name: self.counts.get(name, 0) + n for name, n in changed.items()}

    @property
    def waited(self) -> timedelta:
        """How long before its newest session the run began, both by the server's clock."""
        return (self.resumed_at or self.started_at) - self.started_at


_COLUMNS = sql.identifiers(field.name for field in fields(Run))


def start_run(
    conn: Connection,
    target: Target,
    source: str,
    *,
    hash_scheme: str,
    fingerprints: dict[str, str] | None = None,
    replay_of: int | None = None,
    reverts: int | None = None,
    scope: Scope = "whole",
    mode: RunMode = "full",
    lists: Sequence[str] = (),
) -> Run:
    """Record a new run in state `running`, with carsync's own version, and return it.

    Without `fingerprints` no carsync, of whatever age, takes it up as a reading of the feed.
    `lists` names those of the feed, as its pages are numbered.
    """
    query = sql.load("runs/start_run", columns=_COLUMNS)
    parameters = {
        **target.key(source),
        "version": __version__,
        "fingerprints": json.dumps(fingerprints or {}),
        "hash_scheme": hash_scheme,
        "replay_of": replay_of,
        "reverts": reverts,
        "scope": scope,
        "mode": mode,
        "lists": list(lists) or None,
    }
    return Run(*sql.fetch(conn, "recording the run", query, parameters)[0])


def find_lists(conn: Connection, run_id: int) -> list[str]:
    """Return the names of the lists that a run's pages are numbered by; empty where it has none."""
    key = {"run_id": run_id}
    found = sql.fetch(conn, "reading the run's lists", sql.load("runs/find_lists"), key)
    return list(found[0][0]) if found else []


def resume_run(conn: Connection, run_id: int) -> Run | None:
    """Take an unfinished run over under a new token; None where it is finished or merged."""
    return _find(conn, "resuming the run", "runs/resume_run", run_id=run_id)


def fence_run(cur: Cursor, run: Run) -> None:
    """Lock the run's line until the transaction ends; raise `not_ours` where another has it."""
    if not sql.rows(cur, "runs/fence_run", {"run_id": run.run_id, "token": run.token}):
        raise not_ours(run.run_id)


def not_ours(run_id: int) -> LockedError:
    """Return the error for a run that this process may write no more."""
    return LockedError(
        f"run {run_id} no longer belongs to this process",
        detail="it was merged, given up, or taken over by another process",
        hint="see `carsync status`",
    )


def record_merge(
    cur: Cursor,
    run: Run,
    state: RunState,
    counts: MergeCounts,
    origin: str | None,
    *,
    is_watermark: bool = False,
    read_all: bool = False,
) -> None:
    """Record what the run did, in the transaction that does it.

    `origin` says where its changes are recorded; None: they are not. `is_watermark`: the next
    incremental run may ask for what changed since this one. `read_all`: it read the whole feed.
    """
    parameters = {
        "run_id": run.run_id,
        "state": state,
        "counts": json.dumps(asdict(counts)),
        "origin": origin,
        "is_watermark": is_watermark,
        "read_all": read_all,
    }
    sql.run(cur, "runs/record_merge", parameters)


def finish_run(
    conn: Connection,
    run: Run,
    state: RunState,
    exit_code: int,
    summary: Mapping[str, Any],
    *,
    is_merged: bool = False,
) -> bool:
    """Record how the run ended.

    False where another process took it over meanwhile, or where the database does not know of
    the merge that was committed (`is_merged`): a failover, or a backup put back, lost it.
    """
    end = {
        "state": state,
        "exit_code": int(exit_code),
        "summary": json.dumps(dict(summary), ensure_ascii=False),
    }
    with connection.transaction(conn, "recording the run's end") as cur:
        key = {"run_id": run.run_id, "token": run.token, "is_merged": is_merged}
        return sql.run(cur, "runs/finish_run", {**key, **end}) == 1


def abandon_runs(conn: Connection, target: Target, source: str, keep: Collection[int] = ()) -> int:
    """Mark unfinished runs of target and source but those to `keep` as abandoned; count them."""
    key = {**target.key(source), "keep": list(keep)}
    with connection.transaction(conn, "abandoning old runs") as cur:
        return int(sql.one(cur, "runs/abandon_runs", key)[0])


def set_aside(
    conn: Connection, target: Target, source: str, modes: Collection[RunMode], max_age_h: float
) -> list[int]:
    """Return the unfinished runs of these modes that a run of another one leaves alone.

    Nobody works for one of them from now on until it is resumed or approved.
    """
    key = {**target.key(source), "modes": list(modes), "max_age_s": max_age_h * 3600}
    with connection.transaction(conn, "setting unfinished runs aside") as cur:
        return [run_id for (run_id,) in sql.rows(cur, "runs/set_aside", key)]


def forget_trials(conn: Connection, target: Target, source: str) -> list[int]:
    """Strike dry runs of target and source off the record, and return their ids.

    The caller holds the target's lock: none but its own is going on.
    """
    with connection.transaction(conn, "forgetting dry runs") as cur:
        found = sql.rows(cur, "runs/forget_trials", target.key(source))
    return [run_id for (run_id,) in found]


def list_retired(conn: Connection, days: int) -> list[tuple[Target, str]]:
    """Return the targets and sources without a run in the last `days` days."""
    found = sql.fetch(conn, "looking for retired sources", "runs/list_retired", {"days": days})
    return [(Target(schema, table), source) for schema, table, source in found]


def find_resumable(
    conn: Connection, target: Target, source: str, max_age_h: float, mode: RunMode = "full"
) -> Run | None:
    """Return the newest run of target, source and mode if it is unmerged and at most that old."""
    key = {**target.key(source), "mode": mode, "max_age_s": max_age_h * 3600}
    return _find(conn, "looking for an unfinished run", "runs/find_resumable_run", **key)


def find_watermark(conn: Connection, target: Target, source: str) -> Run | None:
    """Return the run since which an incremental run asks for changes; None: there is none."""
    return _find(conn, "looking for the last run", "runs/find_watermark", **target.key(source))


def note_api_clock(conn: Connection, run: Run, date_s: float | None, age_s: float) -> None:
    """Record the API's time at a run's first request, unless an earlier session did.

    `date_s` is in seconds since 1970, None where the API tells no time; the request was sent
    `age_s` ago.
    """
    key = {"run_id": run.run_id, "token": run.token, "date_s": date_s, "age_s": age_s}
    with connection.transaction(conn, "recording the API's clock") as cur:
        sql.run(cur, "runs/note_api_clock", key)


def note_window(conn: Connection, run: Run, window_from: datetime) -> None:
    """Record since when an incremental run asks for changes, on the API's clock."""
    key = {"run_id": run.run_id, "token": run.token, "window_from": window_from}
    with connection.transaction(conn, "recording the window") as cur:
        sql.run(cur, "runs/note_window", key)


def read_clock(conn: Connection) -> datetime:
    """Return the server's present time."""
    found: datetime = sql.fetch(conn, "reading the clock", "runs/find_clock")[0][0]
    return found


def last_merged(
    conn: Connection,
    target: Target,
    source: str,
    modes: Collection[RunMode] = ("full", "incremental"),
) -> Run | None:
    """Return the newest run that read the feed in one of the `modes` and was merged.

    It may have read only the first pages. See `last_full` for one that says something of all cars.
    """
    key = {**target.key(source), "modes": list(modes)}
    return _find(conn, "looking for the last merge", "runs/find_last_merged_run", **key)


def last_full(conn: Connection, target: Target, source: str) -> Run | None:
    """Return the newest merged run that was one of the whole feed, all of it or the first pages."""
    return last_merged(conn, target, source, ["full"])


def list_runs(conn: Connection, target: Target, limit: int = 20) -> list[Run]:
    """Return the target's newest runs, newest first."""
    query = sql.load("runs/list_runs", columns=_COLUMNS)
    parameters = {**asdict(target), "limit": limit}
    return [Run(*line) for line in sql.fetch(conn, "listing runs", query, parameters)]


def find_run(conn: Connection, run_id: int) -> Run | None:
    """Return the run, or None where there is no such one."""
    return _find(conn, "looking for the run", "runs/find_run", run_id=run_id)


def _find(conn: Connection, doing: str, name: str, **parameters: Any) -> Run | None:
    found = sql.fetch(conn, doing, sql.load(name, columns=_COLUMNS), parameters)
    return Run(*found[0]) if found else None


def require_run(
    conn: Connection, target: Target, source: str, run_id: int, error: type[CarsyncError]
) -> Run:
    """Return the run of this table and source; raise `error` where it is none of theirs."""
    run = find_run(conn, run_id)
    if run is None:
        raise error(f"there is no run {run_id}", hint="see the last one: `carsync status`")
    if (run.target, run.source) != (target, source):
        raise error(
            f"run {run_id} wrote another table or source",
            detail=f"it is of {run.target}, source {run.source!r}; the configuration names "
            f"{target}, source {source!r}",
            hint="use the configuration of that run",
        )
    return run


def answered_by_id(conn: Connection, target: Target, source: str) -> bool:
    """Say whether the API answered by-id requests in a run of the last 90 days."""
    key = target.key(source)
    found = sql.fetch(conn, "looking for by-id answers", "deactivation/find_alive_by_id", key)
    return bool(found[0][0])


def find_pages_planned(conn: Connection, target: Target, source: str, mode: RunMode) -> int | None:
    """Return how many pages the last run of this mode read; None where there is none."""
    key = {**target.key(source), "mode": mode}
    found = sql.fetch(conn, "looking for the feed's length", "runs/find_pages_planned", key)
    return found[0][0] if found else None


def find_hash_scheme(conn: Connection, target: Target, source: str) -> str | None:
    """Return how the table's `data_hash` values were made; None before the first merge."""
    key = target.key(source)
    found = sql.fetch(conn, "looking for the hash scheme", "runs/find_hash_scheme", key)
    return str(found[0][0]) if found else None
