"""A merge, or a revert, is done once: repeated after a conflict, looked up after a break."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from contextlib import closing

from carsync import timing
from carsync.config.sections import Config
from carsync.destination import merge
from carsync.destination.merge_work import MergeRequest
from carsync.errors import DatabaseBusyError, DatabaseConflictError, DatabaseUnavailableError
from carsync.model import MergeCounts
from carsync.postgres.connect import open_database
from carsync.postgres.sessions import SessionWatchdog, describe_rivals, end_backend
from carsync.postgres.wait import Connection, rest

log = logging.getLogger(__name__)


def merge_once(
    config: Config,
    connection: Connection,
    request: MergeRequest,
    should_cancel: Callable[[], bool],
) -> MergeCounts:
    """Merge as `merge.merge` does, once; raise what it raises last."""
    run_id = request.run.run_id

    def work() -> MergeCounts:
        return merge.merge(connection, request)

    return exactly_once(config, connection, run_id, work, should_cancel)


def exactly_once(
    config: Config,
    connection: Connection,
    run_id: int,
    work: Callable[[], MergeCounts],
    should_cancel: Callable[[], bool],
) -> MergeCounts:
    """Do the `work` of a run once: one transaction over `connection`.

    Work that lost a deadlock left nothing behind and is repeated, unless `should_cancel`.
    Where the connection broke, around COMMIT or before, the outcome is looked up.
    Returns the counts of the work.
    Raises what `work` raises last.
    """
    for back_off_s in (*timing.current().merge_back_off_s, None):
        try:
            return work()
        except DatabaseUnavailableError:
            counts = _look_up_outcome(config, connection, run_id, should_cancel)
            if counts is None:
                raise
            log.warning("the connection broke, but the merge was committed")
            return counts
        except DatabaseBusyError as exc:
            target = config.target
            if rivals := describe_rivals(connection, target):
                exc.detail += f"; locks on {target} are held by {rivals}"
            raise
        except DatabaseConflictError as exc:
            if back_off_s is None or should_cancel():
                raise
            log.warning(
                "PostgreSQL rolled the merge back for another session; it is repeated: %s",
                exc.detail,
            )
            rest(back_off_s * (1 + random.random()), should_cancel)
    raise AssertionError("unreachable")


def _look_up_outcome(
    config: Config, broken: Connection, run_id: int, should_cancel: Callable[[], bool]
) -> MergeCounts | None:
    """Look the counts of the merge up on a new connection.

    The old server process may not know yet that its client is lost, so it is ended first:
    before its COMMIT the merge is rolled back, after it the merge is done.
    Returns None where nothing was committed, or where the outcome stays unknown.
    """
    deadline = time.monotonic() + timing.current().outcome_s
    while True:
        try:
            with closing(open_database(config, "carsync", should_cancel)) as connection:
                if isinstance(broken.watchdog, SessionWatchdog):
                    end_backend(connection, broken.watchdog.backend)
                return merge.lookup_outcome(connection, run_id)
        except (DatabaseUnavailableError, DatabaseBusyError) as exc:
            if time.monotonic() > deadline or should_cancel():
                log.warning("the outcome of the merge is not known: %s", exc.problem)
                return None
            rest(1.0, should_cancel)
