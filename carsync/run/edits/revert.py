"""A revert: a run of its own that takes another run back.

A revert counts nowhere as a reading of the feed. Its changes are recorded like any run's, so
that a revert can be taken back in its turn.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import closing, suppress

from msgspec.structs import asdict

from carsync import formatting
from carsync.config.sections import Config
from carsync.destination import change_log, migrations, undo
from carsync.destination.commit import exactly_once
from carsync.destination.undo import UndoCounts
from carsync.errors import CarsyncError, DatabaseError, RevertError
from carsync.exit_codes import ExitCode
from carsync.model import EndState, MergeCounts, RowAction
from carsync.postgres import connection
from carsync.postgres.connect import open_database
from carsync.postgres.wait import Connection, patient
from carsync.run.signals import StopSignal
from carsync.state import runs, target_lock
from carsync.state.runs import Run

NEXT_SYNC = (
    "the next sync makes the same changes again, unless the feed or the configuration "
    "changes: stop the timer until then"
)


class Revert:
    """The revert of one run over one connection, whose session holds the target's lock.

    Raises `LockedError` while another run is running, `RevertError` where the run cannot be
    taken back, `ConfigError` and `DatabaseError`.
    """

    def __init__(
        self, config: Config, conn: Connection, run_id: int, actions: Collection[RowAction]
    ) -> None:
        self._config = config
        self._connection = conn
        self._target = config.target
        self._actions = actions
        target_lock.acquire(conn, self._target)
        waiting = migrations.pending(conn, self._target, ())
        if old := [words for words in waiting if words.startswith("migration ")]:
            raise DatabaseError(
                "the tables do not fit this carsync", detail=old[0], hint="`carsync migrate`"
            )
        self._run = undo.find(conn, self._target, config.sync.source, run_id)

    def look(self) -> UndoCounts:
        """Take the run back and roll that back; return what carrying it out would do."""
        conn = self._connection
        with patient(conn), connection.transaction(conn, "looking at changes", keep=False) as cur:
            return undo.take_back(cur, self._target, self._run, self._start(), self._actions)

    def carry_out(self, *, skip_changed: bool, stop: StopSignal) -> tuple[int, UndoCounts]:
        """Take the run back, unless a signal comes first.

        Returns the reverting run's id and the rows taken back and refused.
        Raises `RevertError` where rows are refused, unless `skip_changed`.
        """
        by = self._start()
        found: list[UndoCounts] = []

        def work() -> MergeCounts:
            outcome = self._take_back(by, skip_changed)
            found.append(outcome)
            return outcome.counts

        try:
            counts = exactly_once(
                self._config, self._connection, by.run_id, work, lambda: stop.requested
            )
        except CarsyncError as exc:
            self._record_failure(by, exc, stop)
            raise
        outcome = found[-1] if found else UndoCounts(counts)
        with suppress(DatabaseError):  # it is done all the same
            summary = {"refused": len(outcome.refused)}
            runs.finish_run(self._connection, by, "partial", ExitCode.OK, summary)
        return by.run_id, outcome

    def _record_failure(self, by: Run, exc: CarsyncError, stop: StopSignal) -> None:
        """Record why nothing was taken back, over a connection that no signal cancels."""
        state: EndState = "interrupted" if stop.requested else "failed"
        exit_code = stop.exit_code if stop.requested else exc.exit_code
        summary = {"problem": exc.problem, "detail": exc.detail}
        with (
            suppress(DatabaseError),
            closing(open_database(self._config, "carsync revert")) as connection,
        ):
            runs.finish_run(connection, by, state, exit_code, summary)

    def _start(self) -> Run:
        return runs.start_run(
            self._connection,
            self._target,
            self._config.sync.source,
            hash_scheme=self._run.hash_scheme,
            reverts=self._run.run_id,
        )

    def _take_back(self, by: Run, skip_changed: bool) -> UndoCounts:
        conn = self._connection
        with patient(conn), connection.transaction(conn, "reverting") as cur:
            runs.fence_run(cur, by)
            outcome = undo.take_back(cur, self._target, self._run, by, self._actions)
            if outcome.refused and not skip_changed:
                raise refusal(self._run.run_id, outcome)
            runs.record_merge(cur, by, "partial", outcome.counts, change_log.origin(cur))
            which, counts = (by.run_id, self._target, by.source), asdict(outcome.counts)
            change_log.end_batch(cur, *which, counts, records=True)
        return outcome


def refusal(run_id: int, outcome: UndoCounts) -> RevertError:
    """Return the error for rows that cannot be taken back."""
    first = outcome.refused[0]
    return RevertError(
        f"{formatting.plural(len(outcome.refused), 'change')} of run {run_id} cannot be taken "
        "back; nothing was changed",
        detail=f"e.g. car {first.id} ({first.action}) {first.reason}",
        hint=f"to take back the other changes ({outcome.total:,}), use --skip-changed",
    )
