"""How a run concludes: what it leaves in the database, in `carsync.runs` and in the checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing

from carsync import failpoints
from carsync.config.sections import Config
from carsync.destination import merge, staging
from carsync.errors import CarsyncError, DatabaseError
from carsync.model import EndState, MergeCounts, RunOptions
from carsync.postgres.connect import open_database, target_of
from carsync.postgres.connection import Connection
from carsync.run.context import Monitor
from carsync.run.report import RunReport, summary_data
from carsync.state import changes, rejects, runs, samples, target_lock
from carsync.state.runs import Run

log = logging.getLogger(__name__)


def clean_up(
    config: Config, connection: Connection, run: Run, counts: MergeCounts, options: RunOptions
) -> None:
    """After the merge: drop the staging table, refresh statistics, forget what is old enough.

    It is merged all the same where this fails; the next run tidies up.
    """
    target = target_of(config)
    try:
        staging.drop(connection, run.run_id)
        failpoints.reach("sync.staging_dropped")
        if options.dry_run:
            return
        merge.analyze_after(connection, target, counts)
        source, keep = config.sync.source, config.history
        rejects.prune(connection, target, source)
        changes.prune(connection, target, source, keep.changes_keep_days)
        samples.prune(connection, target, source, keep.details_keep_days)
    except DatabaseError as exc:
        log.warning("after the merge: %s", exc.problem)


def record(
    config: Config,
    run: Run,
    state: EndState,
    report: RunReport,
    monitor: Monitor,
    options: RunOptions,
    should_cancel: Callable[[], bool],
) -> None:
    """Record the end in `carsync.runs`, over a connection of its own; forget a dry run.

    A database that is down must not hide the report: nothing is raised then.
    """
    try:
        with closing(open_database(config, "carsync", should_cancel)) as connection:
            if options.dry_run:
                _forget(config, connection, run)
                return
            data = summary_data(report)
            runs.finish_run(connection, run, state, report.exit_code, data)
            monitor.observer.update(report.figures, "ended")
            monitor.observer.write(connection)
    except CarsyncError as exc:
        log.warning("the end of run %d is not recorded: %s", run.run_id, exc.problem)


def note_end(monitor: Monitor, report: RunReport) -> None:
    """Tell the checkpoint the end; raises `CheckpointError`."""
    journal = monitor.journal
    if journal is None:
        return
    journal.end(monitor.plan, report)
    failpoints.reach("sync.ended")


def _forget(config: Config, connection: Connection, run: Run) -> None:
    """Strike a dry run off the record: rejects and tables go, as if it had never been."""
    target = target_of(config)
    if not target_lock.try_acquire(connection, target):
        return  # whoever has the lock does it
    runs.forget_trials(connection, target, config.sync.source)
    staging.end_writers(connection, run.run_id)
    staging.drop(connection, run.run_id)
