"""How a run finishes: what it leaves in the database, in `carsync.runs` and in the checkpoint."""

from __future__ import annotations

import logging
from contextlib import closing

from carsync import failpoints
from carsync.destination import staging
from carsync.destination.analyze import analyze_after
from carsync.errors import CarsyncError, DatabaseError
from carsync.model import EndState, MergeCounts
from carsync.postgres.connect import open_database
from carsync.postgres.wait import Connection
from carsync.run.context import RunContext
from carsync.run.report import RunReport, summary_data
from carsync.state import runs, target_lock

log = logging.getLogger(__name__)


def clean_up(context: RunContext, counts: MergeCounts) -> None:
    """After the merge: drop the staging table and refresh statistics.

    The merge stands where this fails; the next run cleans up.
    """
    connection = context.connection
    try:
        staging.drop(connection, context.run.run_id)
        failpoints.reach("sync.staging_dropped")
        if context.options.dry_run:
            return
        analyze_after(connection, context.target, counts)
    except DatabaseError as exc:
        log.warning("after the merge: %s", exc.problem)


def record(context: RunContext, state: EndState, report: RunReport) -> bool:
    """Record the end in `carsync.runs`, over a connection of its own; forget a dry run.

    A database that is down must not hide the report: nothing is raised then.
    Returns False where the merge was committed and the database does not know of it.
    """
    run, is_merged = context.run, report.counts is not None
    try:
        with closing(open_database(context.config, "carsync", context.keep_going)) as connection:
            context.requests.write(connection)
            if context.options.dry_run:
                _forget(context, connection)
                return True
            end = (state, report.exit_code, summary_data(report))
            if not runs.finish_run(connection, run, *end, is_merged=is_merged):
                if not is_merged:
                    log.warning("%s; its end is not recorded", runs.not_ours(run.run_id).problem)
                return not is_merged
            context.sampler.update(report.figures, "ended")
            context.sampler.write(connection)
    except CarsyncError as exc:
        log.warning("the end of run %d is not recorded: %s", run.run_id, exc.problem)
    return True


def _forget(context: RunContext, connection: Connection) -> None:
    """Strike a dry run off the record: rejects and tables go, as if it had never been."""
    if not target_lock.try_acquire(connection, context.target):
        return  # whoever has the lock does it
    runs.forget_trials(connection, context.target, context.source)
    staging.end_writers(connection, context.run.run_id)
    staging.drop(connection, context.run.run_id)
