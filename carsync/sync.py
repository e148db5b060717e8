"""One run, wired together: lock, resume, intake, evidence, merge, and the last word.

    lock → migrate → resume or begin → intake (fleet) → judge → prove → merge → report

Every error leaves a checkpoint that says what happened and what to do; staged pages
stay for the next run unless they were merged.
"""

from __future__ import annotations

import logging
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from carsync import __version__, database, history, merge, migrations, staging
from carsync.acceptance import Check, evaluate
from carsync.checkpoint import CheckpointState, FileLock, LastRun, RunState, load
from carsync.config import Config
from carsync.database import Connection, Target
from carsync.errors import (
    CarsyncError,
    CheckpointError,
    DatabaseUnavailableError,
    ExitCode,
    LockedError,
)
from carsync.evidence import Decision, judge
from carsync.history import Run
from carsync.intake import Intake, judge_rejects
from carsync.journal import Journal
from carsync.mapping import Mapper, compile_mapper
from carsync.metrics import Metrics, Snapshot
from carsync.model import Column, MergeCounts, ProbeVerdict
from carsync.pagination import PagePlan
from carsync.progress import Progress
from carsync.resume import differences, fingerprints
from carsync.stopping import StopSignal
from carsync.summary import RunReport, summary_data
from carsync.supervisor import Fleet

log = logging.getLogger(__name__)

SAMPLE_S = 1.0
PING_S = 10.0
OUTCOME_S = 60.0
"""How long a merge's outcome is asked for after its connection broke."""


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


def sync(
    config: Config,
    preset_text: str | None,
    checkpoint_file: Path,
    progress: Progress,
    stop: StopSignal,
    *,
    fresh: bool = False,
) -> RunReport:
    """Run one synchronisation to its end and return the report; never raises `CarsyncError`.

    `fresh` forgets an unfinished run instead of resuming it. Must be called from the
    main thread, which starts the child processes.
    """
    run = SyncRun(config, preset_text, checkpoint_file, progress, stop)
    return run.execute(fresh=fresh)


EndState = Literal["interrupted", "failed", "partial", "held", "complete"]


@dataclass(slots=True)
class Ending:
    """How a run ended, filled in as it goes."""

    state: EndState = "failed"
    exit_code: ExitCode = ExitCode.BUG
    counts: MergeCounts | None = None
    problem: str = ""
    detail: str = ""
    hint: str = ""


class SyncRun:
    """The state of one run in the parent process."""

    def __init__(
        self,
        config: Config,
        preset_text: str | None,
        checkpoint_file: Path,
        progress: Progress,
        stop: StopSignal,
    ) -> None:
        self._config = config
        self._preset_text = preset_text
        self._checkpoint_file = checkpoint_file
        self._progress = progress
        self._stop = stop
        self._target = target_of(config)
        self._mapper = compile_mapper(config.mapping, preset_text, config.api.pagination)
        self._plan = PagePlan(config.api.pagination)
        self._metrics = Metrics(time.monotonic, config.acceptance.warmup_s)
        self._started_s = time.monotonic()
        self._started_at = datetime.now(UTC)
        self._ending = Ending()
        self._notes: list[str] = []
        self._checks: tuple[Check, ...] = ()
        self._resumed_pages = 0
        self._run: Run | None = None
        self._journal: Journal | None = None
        self._connection: Connection | None = None
        self._sampled_s = self._pinged_s = 0.0

    # ── the run ──────────────────────────────────────────────────────────────

    def execute(self, *, fresh: bool) -> RunReport:
        """Run, turn errors into the report, and leave the checkpoint telling the same."""
        try:
            with FileLock(self._checkpoint_file):
                self._execute_locked(fresh=fresh)
        except CarsyncError as exc:
            self._fail(exc)
        return self._report()

    def _execute_locked(self, *, fresh: bool) -> None:
        previous = self._read_checkpoint()
        prints = fingerprints(self._config, self._mapper)
        self._journal = Journal(
            self._checkpoint_file,
            source=self._config.sync.source,
            target=str(self._target),
            fingerprints=prints,
            previous=previous,
        )
        try:
            with closing(open_database(self._config, "carsync")) as connection:
                self._connection = connection
                history.lock(connection, self._target)
                self._prepare_schema(connection)
                self._begin(connection, prints, previous, fresh=fresh)
                self._intake(connection)
        except LockedError:
            self._journal = None  # the file belongs to the run that holds the lock
            raise
        except CarsyncError as exc:
            self._fail(exc)
        self._close_run()

    def _read_checkpoint(self) -> CheckpointState | None:
        try:
            return load(self._checkpoint_file)
        except CheckpointError as exc:
            self._note(f"{exc.problem}; it will be replaced ({exc.detail})")
            return None

    def _prepare_schema(self, connection: Connection) -> None:
        columns = target_columns(self._mapper)
        if self._config.database.auto_migrate:
            for sentence in migrations.migrate(connection, self._target, columns):
                self._progress.message(sentence)
        scheme = history.find_hash_scheme(connection, self._target, self._config.sync.source)
        if scheme is not None and scheme != self._mapper.hash_scheme:
            self._note(
                f"the hash scheme changes from {scheme} to {self._mapper.hash_scheme}: "
                "every row is rewritten once"
            )

    def _begin(
        self,
        connection: Connection,
        prints: dict[str, str],
        previous: CheckpointState | None,
        *,
        fresh: bool,
    ) -> None:
        """Resume the unfinished run, or begin a new one and clear up what others left."""
        source = self._config.sync.source
        run = None if fresh else self._find_resumable(connection, prints, previous)
        history.abandon_runs(connection, self._target, source, run.run_id if run else None)
        staging.drop_stale(connection, self._target, source, run.run_id if run else None)
        if run is None:
            run = history.start_run(
                connection,
                self._target,
                source,
                version=__version__,
                fingerprints=prints,
                hash_scheme=self._mapper.hash_scheme,
            )
            staging.create(connection, run.run_id, self._mapper.columns)
        self._run = run
        assert self._journal is not None
        self._journal.begin(run.run_id, run.token, run.started_at)

    def _find_resumable(
        self, connection: Connection, prints: dict[str, str], previous: CheckpointState | None
    ) -> Run | None:
        """Take up the last run if it is unmerged, young, of the same making, and staged."""
        source = self._config.sync.source
        max_age_h = self._config.checkpoint.max_age_h
        found = history.find_resumable(connection, self._target, source, max_age_h)
        if found is None:
            return None
        changed = differences(found.fingerprints, prints)
        if changed:
            self._note(f"run {found.run_id} is not resumed: {'; '.join(changed)}")
            return None
        if not staging.exists(connection, found.run_id):
            self._note(f"run {found.run_id} is not resumed: its staging tables are gone")
            return None
        run = history.resume_run(connection, found.run_id)
        if run is None:
            return None
        self._mark_ledger(connection, run.run_id)
        self._resumed_pages = self._plan.staged_count
        known = previous.pages_done if previous and previous.run_id == run.run_id else 0
        self._progress.message(
            f"resuming run {run.run_id}: {self._resumed_pages:,} pages are staged already"
        )
        if known > self._resumed_pages:
            self._note(
                f"the ledger lost {known - self._resumed_pages:,} of {known:,} staged pages "
                "(PostgreSQL empties unlogged tables when it crashes); they are fetched again"
            )
        return run

    def _mark_ledger(self, connection: Connection, run_id: int) -> None:
        for page in staging.read_ledger(connection, run_id):
            self._plan.mark_staged(
                page.page, page.records, page.reported_pages, page.reported_records
            )

    def _intake(self, connection: Connection) -> None:
        """Read all pages into staging; then decide, prove and merge unless stopped."""
        run = self._run
        assert run is not None
        with Intake(
            self._config,
            self._plan,
            self._metrics,
            new_fleet=lambda used: Fleet(
                self._config,
                self._preset_text,
                run.run_id,
                self._mapper.columns,
                used_gate=used or self._resumed_pages > 0,
            ),
            reread_ledger=lambda: self._mark_ledger(connection, run.run_id),
            stop=self._stop,
            tick=self._tick,
        ) as intake:
            intake.run()
            if self._stop.requested and not self._plan.is_exhausted:
                self._ending.state = "interrupted"
                self._ending.exit_code = self._stop.exit_code
                return
            self._judge_rejects(connection, run)
            self._tell("deciding")
            decision, proof = self._decide(connection, run, intake)
        self._tell("merging", state="merging")
        counts = self._merge(connection, run, decision, proof)
        self._conclude(connection, run, decision, counts)

    def _judge_rejects(self, connection: Connection, run: Run) -> None:
        """Hold the whole run, the resumed part included, to `sync.max_reject_share`."""
        ledger = staging.read_ledger(connection, run.run_id)
        judge_rejects(
            sum(page.rejects for page in ledger),
            sum(page.records for page in ledger),
            self._config.sync.max_reject_share,
        )

    # ── evidence and merge ───────────────────────────────────────────────────

    def _decide(
        self, connection: Connection, run: Run, intake: Intake
    ) -> tuple[Decision, merge.Proof]:
        """Judge the evidence of absence, and where it is doubtful ask for the cars themselves."""
        rules = self._config.sync.deactivate
        source = self._config.sync.source
        found = merge.plan_deactivation(connection, run.run_id, self._target, source)
        drift = list(self._plan.drift)
        if self._plan.is_truncated:
            drift.append("the feed's end was not seen before api.pagination.max_pages")
        decision = judge(found, self._plan.reported_records, drift, len(self._plan.failed), rules)
        if decision.action != "prove" or rules.second_proof != "by_id":
            return decision, merge.Proof()
        if self._config.api.record_path is None or not rules.max_probes:
            return decision, merge.Proof()
        ids = merge.list_candidates(connection, run.run_id, self._target, source, rules.max_probes)
        controls = merge.list_seen(connection, run.run_id, 1)
        verdicts = intake.probe(ids, controls[0]) if controls else {}
        if not verdicts:
            self._note(
                "the API gave no usable answer to by-id requests; cars that are absent wait "
                "for the next complete run"
            )
        return decision, merge.Proof(
            gone=[i for i, verdict in verdicts.items() if verdict is ProbeVerdict.GONE],
            alive=[i for i, verdict in verdicts.items() if verdict is ProbeVerdict.ALIVE],
        )

    def _merge(
        self, connection: Connection, run: Run, decision: Decision, proof: merge.Proof
    ) -> MergeCounts:
        planned = self._plan.planned
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
            failed_pages=frozenset(self._plan.failed),
            action=decision.action,
            proof=proof,
        )
        try:
            return merge.merge(connection, request)
        except DatabaseUnavailableError:
            counts = self._look_up_outcome(run)
            if counts is None:
                raise
            return counts

    def _look_up_outcome(self, run: Run) -> MergeCounts | None:
        """After the connection broke around COMMIT: ask, on a new one, what became of it."""
        deadline = time.monotonic() + OUTCOME_S
        while True:
            try:
                with closing(open_database(self._config, "carsync")) as connection:
                    return merge.lookup_outcome(connection, run.run_id)
            except DatabaseUnavailableError:
                if time.monotonic() > deadline or self._stop.forced:
                    return None
                time.sleep(1.0)

    def _conclude(
        self, connection: Connection, run: Run, decision: Decision, counts: MergeCounts
    ) -> None:
        """Draw the exit code from what was merged."""
        self._ending.counts = counts
        self._notes.extend(decision.reasons)
        if self._plan.failed:
            self._ending.state, self._ending.exit_code = "partial", ExitCode.PARTIAL
            number = len(self._plan.failed)
            page, why = next(iter(sorted(self._plan.failed.items())))
            self._ending.problem = (
                f"{number:,} of {self._plan.planned:,} pages could not be read; "
                "what was read is merged, nothing is deactivated"
            )
            self._ending.detail = f"page {page}: {why}"
        elif counts.held or decision.action == "hold":
            self._ending.state, self._ending.exit_code = "held", ExitCode.HELD
            self._ending.problem = f"{counts.held:,} deactivations are held"
            self._ending.detail = "; ".join(decision.reasons)
        else:
            self._ending.state, self._ending.exit_code = "complete", ExitCode.OK
        if not database.is_open(connection):
            self._connection = None  # merged, as the look-up showed; nothing more to tidy here
            return
        staging.drop(connection, run.run_id)
        merge.analyze_after(connection, self._target, counts)

    # ── telling ──────────────────────────────────────────────────────────────

    def _tick(self, fleet: Fleet, phase: str) -> None:
        """Several times a second: sample, show, save, and keep the database connection honest."""
        now = time.monotonic()
        if now - self._sampled_s >= SAMPLE_S:
            self._sampled_s = now
            self._metrics.rss(fleet.rss())
            self._metrics.queue_depth(fleet.queue_depth())
        if now - self._pinged_s >= PING_S:
            self._pinged_s = now
            if self._connection is None or not database.is_open(self._connection):
                raise DatabaseUnavailableError(
                    "the connection to PostgreSQL broke",
                    detail="the connection that holds this run's lock does not answer",
                    hint="see whether PostgreSQL is up; run again: it resumes",
                )
        snapshot = self._snapshot()
        self._progress.update(snapshot, phase)
        if self._journal is not None:
            self._journal.progress(phase, self._plan, snapshot)

    def _tell(self, phase: str, state: RunState = "running") -> None:
        snapshot = self._snapshot()
        self._progress.update(snapshot, phase)
        if self._journal is not None:
            self._journal.note(phase, self._plan, snapshot, state=state)

    def _note(self, sentence: str) -> None:
        """Say something now that the report will say again."""
        self._notes.append(sentence)
        self._progress.message(sentence)

    def _snapshot(self) -> Snapshot:
        return self._metrics.snapshot(self._plan.planned, self._resumed_pages)

    # ── the end ──────────────────────────────────────────────────────────────

    def _fail(self, exc: CarsyncError) -> None:
        self._ending.state = "failed"
        self._ending.exit_code = exc.exit_code
        self._ending.problem = exc.problem
        self._ending.detail = exc.detail
        self._ending.hint = exc.hint

    def _report(self) -> RunReport:
        ending = self._ending
        return RunReport(
            run_id=self._run.run_id if self._run else None,
            state=ending.state,
            exit_code=ending.exit_code,
            source=self._config.sync.source,
            target=str(self._target),
            started_at=self._run.started_at if self._run else self._started_at,
            finished_at=datetime.now(UTC),
            duration_s=time.monotonic() - self._started_s,
            snapshot=self._snapshot(),
            counts=ending.counts,
            checks=self._checks,
            notes=tuple(self._notes),
            problem=ending.problem,
            detail=ending.detail,
            hint=ending.hint,
        )

    def _close_run(self) -> None:
        """Check the acceptance targets, then tell the runs table and the checkpoint the end."""
        ending = self._ending
        if ending.counts is not None:
            self._checks = evaluate(
                self._config.acceptance,
                self._snapshot(),
                self._config.limits.requests_per_second,
            )
            failed = any(check.verdict == "fail" for check in self._checks)
            if failed and ending.exit_code is ExitCode.OK:
                ending.exit_code = ExitCode.ACCEPTANCE
        report = self._report()
        self._finish_run(report)
        if self._journal is None:
            return
        merged = None
        if ending.counts is not None and self._run is not None:
            merged = LastRun(
                run_id=self._run.run_id,
                state=ending.state,
                exit_code=ending.exit_code,
                finished_at=report.finished_at,
                duration_s=report.duration_s,
                counts=ending.counts,
                acceptance=self._checks,
            )
        try:
            self._journal.note("ended", self._plan, report.snapshot)
            self._journal.end(
                ending.state,
                ending.exit_code,
                problem=ending.problem,
                hint=ending.hint,
                merged=merged,
                success=ending.exit_code in {ExitCode.OK, ExitCode.ACCEPTANCE},
            )
        except CheckpointError as exc:
            self._note(f"{exc.problem} ({exc.detail})")
            if ending.exit_code is ExitCode.OK:
                self._fail(exc)

    def _finish_run(self, report: RunReport) -> None:
        """Record the end in `carsync.runs`; a database that is down must not hide the report."""
        if self._run is None:
            return
        try:
            with closing(open_database(self._config, "carsync")) as connection:
                history.finish_run(
                    connection,
                    self._run,
                    self._ending.state,
                    report.exit_code,
                    summary_data(report),
                )
        except CarsyncError as exc:
            log.warning("the end of run %d is not recorded: %s", self._run.run_id, exc.problem)
