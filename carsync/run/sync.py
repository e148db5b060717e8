"""One run, wired together: lock, resume, intake, evidence, merge, and the last word.

    lock → migrate → resume or begin → intake (fleet) → judge → prove → merge → report

Every error leaves a checkpoint that says what happened and what to do; staged pages
stay for the next run unless they were merged.
"""

from __future__ import annotations

import logging
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from carsync import failpoints
from carsync.config.sections import Config
from carsync.destination import merge, staging
from carsync.destination.commit import merge_exactly_once
from carsync.engine.local.fleet import Fleet
from carsync.errors import CarsyncError, CheckpointError, LockedError
from carsync.exit_codes import ExitCode
from carsync.mapping.mapper import Mapper
from carsync.model import ORDINARY, Check, Decision, MergeCounts, Proof, RunOptions
from carsync.postgres.connect import open_database, refuse_transaction_pooler, target_of
from carsync.postgres.connection import Connection
from carsync.run import finish, outcome, start
from carsync.run.acceptance import evaluate
from carsync.run.checkpoint_writer import CheckpointWriter, idle_since
from carsync.run.context import Monitor
from carsync.run.deactivate import decide_and_prove
from carsync.run.intake import Intake, judge_rejects
from carsync.run.listener import RunListener
from carsync.run.outcome import Outcome
from carsync.run.report import RunReport
from carsync.run.resume import fingerprints, mark_ledger
from carsync.run.signals import StopSignal
from carsync.state import target_lock
from carsync.state.checkpoint import CheckpointState, load_or_none
from carsync.state.clock import Moment
from carsync.state.file_lock import FileLock
from carsync.state.runs import Run

log = logging.getLogger(__name__)


def sync(
    config: Config,
    checkpoint_file: Path,
    watcher: RunListener,
    stop: StopSignal,
    options: RunOptions = ORDINARY,
) -> RunReport:
    """Run one synchronisation to its end and return the report; never raises `CarsyncError`.

    Must be called from the main thread, which starts the child processes.
    """
    return SyncRun(config, checkpoint_file, watcher, stop, options).execute()


class SyncRun:
    """The state of one run in the parent process."""

    def __init__(
        self,
        config: Config,
        checkpoint_file: Path,
        watcher: RunListener,
        stop: StopSignal,
        options: RunOptions,
    ) -> None:
        self._options = options
        self._config = config
        self._checkpoint_file = checkpoint_file
        self._stop = stop
        self._target = target_of(config)
        self._mapper = Mapper.load(config)
        self._monitor = Monitor(config, watcher, options.max_pages)
        self._started_s = time.monotonic()
        self._started_at = datetime.now(UTC)
        self._ending = Outcome("failed", ExitCode.BUG)
        self._idle_s = 0.0
        self._checks: tuple[Check, ...] = ()
        self._run: Run | None = None

    # ── the run ──────────────────────────────────────────────────────────────

    def execute(self) -> RunReport:
        """Run, turn errors into the report, and leave the checkpoint telling the same."""
        if failpoints.is_armed():
            self._monitor.note(f"{failpoints.VARIABLE} is set: a step may fail on purpose")
        try:
            with FileLock(self._checkpoint_file) as lock:
                self._execute_locked(lock)
        except CarsyncError as exc:
            self._ending = outcome.failed(exc)
        report = self._report()
        self._monitor.watcher.ended(report)
        return report

    def _execute_locked(self, lock: FileLock) -> None:
        previous = self._read_checkpoint()
        self._idle_s = idle_since(previous, Moment.now())
        prints = fingerprints(self._config, self._mapper)
        self._monitor.journal = CheckpointWriter(
            self._checkpoint_file,
            lock,
            source=self._config.sync.source,
            target=str(self._target),
            fingerprints=prints,
            previous=previous,
            dry_run=self._options.dry_run,
        )
        try:
            refuse_transaction_pooler(self._config)
            connection = open_database(self._config, "carsync", self._should_cancel)
            with closing(connection):
                self._monitor.connection = connection
                target_lock.acquire(connection, self._target)
                failpoints.reach("sync.locked")
                start.prepare_schema(
                    self._config, connection, self._mapper, self._options, self._monitor
                )
                failpoints.reach("sync.migrated")
                self._begin(connection, prints, previous)
                self._intake(connection)
        except LockedError:
            self._monitor.journal = None  # the file belongs to the run that holds the lock
            raise
        except CarsyncError as exc:
            self._ending = self._stopped() if self._stop.forced else outcome.failed(exc)
        self._close_run()

    def _read_checkpoint(self) -> CheckpointState | None:
        return load_or_none(
            self._checkpoint_file,
            lambda exc: self._monitor.note(f"{exc.problem}; it will be replaced ({exc.detail})"),
        )

    def _begin(
        self, connection: Connection, prints: dict[str, str], previous: CheckpointState | None
    ) -> None:
        run = self._run = start.resume_or_start(
            self._config,
            connection,
            self._mapper,
            prints,
            previous,
            self._options,
            self._monitor,
        )
        self._monitor.begun(run)
        assert self._monitor.journal is not None
        self._monitor.journal.begin(run.run_id, run.token, run.started_at)
        failpoints.reach("sync.begun")

    def _intake(self, connection: Connection) -> None:
        """Read all pages into staging; then decide, prove and merge unless stopped."""
        run = self._run
        assert run is not None
        with Intake(
            self._config,
            self._monitor.plan,
            self._monitor.metrics,
            new_fleet=lambda used: Fleet(
                self._config,
                run.run_id,
                run.token,
                self._mapper.columns,
                idle_s=0.0 if used else self._idle_s,
            ),
            reread_ledger=lambda: mark_ledger(connection, run.run_id, self._monitor),
            stop=self._stop,
            tick=self._monitor.tick,
            note_failure=self._monitor.attempt_failed,
        ) as intake:
            intake.run()
            failpoints.reach("sync.read")
            if self._is_stopped():
                return
            self._judge_rejects(connection, run)
            self._monitor.phase("deciding")
            if self._options.max_pages is None:
                decision, proof = decide_and_prove(
                    self._config, connection, run.run_id, self._target, intake, self._monitor
                )
            else:  # what was not asked for is not absent
                decision, proof = Decision("skip"), Proof()
            failpoints.reach("sync.decided")
            if self._is_stopped():
                return
        self._monitor.phase("merging", state="merging")
        counts = self._merge(connection, run, decision, proof)
        failpoints.reach("sync.merged")
        plan = self._monitor.plan
        self._monitor.notes.extend(decision.reasons)
        self._ending = outcome.merged(
            run.run_id,
            counts,
            decision,
            plan.failed,
            plan.planned or 0,
            is_part=self._options.max_pages is not None,
        )
        finish.clean_up(self._config, connection, run, counts, self._options)

    def _is_stopped(self) -> bool:
        """Say whether a signal asked to stop; what is staged waits for the next run then."""
        if self._stop.requested:
            self._ending = self._stopped()
        return self._stop.requested

    def _should_cancel(self) -> bool:
        """Say whether a second signal came; asked all the time while a statement is awaited."""
        self._monitor.watcher.pulse()
        return self._stop.forced

    def _go_on(self) -> bool:
        """Give no reason to cancel: what comes last is done even after a second signal."""
        self._should_cancel()
        return False

    def _stopped(self) -> Outcome:
        return Outcome("interrupted", self._stop.exit_code)

    def _judge_rejects(self, connection: Connection, run: Run) -> None:
        """Hold the whole run, the resumed part included, to `sync.max_reject_share`."""
        ledger = staging.read_ledger(connection, run.run_id)
        judge_rejects(
            sum(page.rejects for page in ledger),
            sum(page.records for page in ledger),
            self._config.sync.max_reject_share,
        )

    # ── evidence and merge ───────────────────────────────────────────────────

    def _merge(
        self, connection: Connection, run: Run, decision: Decision, proof: Proof
    ) -> MergeCounts:
        planned = self._monitor.plan.planned
        assert planned is not None
        first = self._config.api.pagination.first_page
        request = merge.MergeRequest(
            run_id=run.run_id,
            token=run.token,
            target=self._target,
            source=self._config.sync.source,
            columns=self._mapper.columns,
            constants=self._mapper.constants,
            hash_scheme=self._mapper.hash_scheme,
            pages=range(first, first + planned),
            failed_pages=frozenset(self._monitor.plan.failed),
            action=decision.action,
            proof=proof,
            records=self._config.history.changes_keep_days > 0,
            is_part=self._options.max_pages is not None,
            keeps=not self._options.dry_run,
        )
        return merge_exactly_once(self._config, connection, request, self._should_cancel)

    # ── the end ──────────────────────────────────────────────────────────────

    def _report(self) -> RunReport:
        end = self._ending
        return RunReport(
            run_id=self._run.run_id if self._run else None,
            state=end.state,
            exit_code=end.exit_code,
            source=self._config.sync.source,
            target=str(self._target),
            started_at=self._run.started_at if self._run else self._started_at,
            finished_at=datetime.now(UTC),
            duration_s=time.monotonic() - self._started_s,
            figures=self._monitor.snapshot(),
            counts=end.counts,
            checks=self._checks,
            notes=tuple(self._monitor.notes),
            problem=end.problem,
            detail=end.detail,
            hint=end.hint,
            dry_run=self._options.dry_run,
            max_pages=self._options.max_pages,
        )

    def _close_run(self) -> None:
        """Check the acceptance targets, then tell the runs table and the checkpoint the end."""
        if self._ending.counts is not None:
            self._checks = evaluate(
                self._config.acceptance,
                self._monitor.snapshot(),
                self._config.limits.requests_per_second,
            )
            self._ending = outcome.judged(self._ending, self._checks)
        if self._run is not None:
            self._ending = outcome.of_options(self._ending, self._options)
        report = self._report()
        failpoints.reach("sync.closing")
        if self._run is not None:
            finish.record(
                self._config,
                self._run,
                self._ending.state,
                report,
                self._monitor,
                self._options,
                self._go_on,
            )
        failpoints.reach("sync.recorded")
        try:
            finish.note_end(self._monitor, report)
        except CheckpointError as exc:
            self._monitor.note(f"{exc.problem} ({exc.detail})")
            self._ending = outcome.unsaved(self._ending, exc)
