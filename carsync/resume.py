"""Resuming: whether an unfinished run may be taken up again, and what it holds already."""

from __future__ import annotations

import msgspec
import xxhash

from carsync import history, staging
from carsync.checkpoint import CheckpointState, target_name
from carsync.config import Config
from carsync.database import Connection, Target
from carsync.history import Run
from carsync.mapping import Mapper
from carsync.monitor import Monitor

_CHANGED = {
    "feed": "the feed's settings changed (api.base_url, path, params or pagination)",
    "mapping": "the mapping or its hash changed",
    "table": "the target table, its database or sync.source changed",
}


def fingerprints(config: Config, mapper: Mapper) -> dict[str, str]:
    """Return one digest each for what must stay the same within a run.

    Pages staged from another feed, by another mapping or for another table must
    never be mixed with this run's.
    """
    api = config.api
    database = config.database
    feed = [api.base_url, api.path, api.params, msgspec.to_builtins(api.pagination)]
    place = target_name(config.require_dsn().reveal(), database.schema, database.table)
    return {
        "feed": _digest(feed),
        "mapping": _digest([mapper.fingerprint, mapper.hash_scheme]),
        "table": _digest([place, config.sync.source]),
    }


def differences(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """Say, in words, what changed between two sets of fingerprints.

    >>> differences({"feed": "1", "mapping": "2"}, {"feed": "1", "mapping": "3"})
    ['the mapping or its hash changed']
    """
    return [words for part, words in _CHANGED.items() if old.get(part) != new.get(part)]


def take_up(
    config: Config,
    connection: Connection,
    target: Target,
    prints: dict[str, str],
    checkpoint: CheckpointState | None,
    monitor: Monitor,
) -> Run | None:
    """Take up the last run if it is unmerged, young, of the same making, and staged.

    Marks in the monitor's plan what the ledger holds, which alone is trusted; the
    `checkpoint` only tells what was lost. Returns None where a new run must begin.
    """
    found = history.find_resumable(
        connection, target, config.sync.source, config.checkpoint.max_age_h
    )
    if found is None:
        return None
    changed = differences(found.fingerprints, prints)
    if changed:
        monitor.note(f"run {found.run_id} is not resumed: {'; '.join(changed)}")
        return None
    if not staging.exists(connection, found.run_id):
        monitor.note(f"run {found.run_id} is not resumed: its staging tables are gone")
        return None
    run = history.resume_run(connection, found.run_id)
    if run is None:
        return None
    staging.end_writers(connection, run.run_id)
    monitor.resumed_rows = mark_ledger(connection, run.run_id, monitor)
    kept = monitor.resumed_pages = monitor.plan.staged_count
    monitor.say(f"resuming run {run.run_id}: {kept:,} pages are staged already")
    known = checkpoint.pages_done if checkpoint and checkpoint.token == found.token else 0
    if known > kept:
        monitor.note(
            f"the ledger lost {known - kept:,} of {known:,} staged pages (PostgreSQL empties "
            "unlogged tables when it crashes); they are fetched again"
        )
    return run


def mark_ledger(connection: Connection, run_id: int, monitor: Monitor) -> int:
    """Mark every page that the ledger holds as staged; return how many rows they have."""
    ledger = staging.read_ledger(connection, run_id)
    for page in ledger:
        monitor.plan.mark_staged(
            page.page, page.records, page.reported_pages, page.reported_records
        )
    return sum(page.rows for page in ledger)


def _digest(value: object) -> str:
    return xxhash.xxh3_128_hexdigest(msgspec.json.encode(value, order="deterministic"))
