"""One run, step by step.

    lock → migrate → resume or start → intake (engine) → decide → prove → merge → report

Every error leaves a checkpoint that says what happened and what to do; staged pages
stay for the next run unless they were merged.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec.structs import asdict, replace

from carsync import failpoints, timing
from carsync.config.dsn import place_of
from carsync.config.sections import Config
from carsync.decision import SKIP, Decision
from carsync.destination import staging
from carsync.destination.commit import merge_once
from carsync.destination.merge_work import MergeRequest
from carsync.engine.base import Engine
from carsync.engine.choice import check_engine, new_engine
from carsync.errors import CarsyncError, CheckpointError, ConfigError, LockedError, UnmergeableError
from carsync.model import ORDINARY, Check, MergeCounts, RunOptions
from carsync.run import finish, outcome, start, window
from carsync.run.checkpoint_writer import idle_since
from carsync.run.context import RunContext
from carsync.run.deactivate import decide_and_prove, judge_removals, removal_rules
from carsync.run.figures.acceptance import evaluate
from carsync.run.held_run import judge_values
from carsync.run.intake import Intake
from carsync.run.listener import RunListener
from carsync.run.outcome import Outcome
from carsync.run.page_judge import judge_rejects
from carsync.run.report import ListReport, RunReport
from carsync.run.signals import StopSignal
from carsync.source.auth.token_store import TokenStore
from carsync.source.certificates import check_certificates
from carsync.source.pagination.feed_plan import ListPlan
from carsync.state.checkpoint import CheckpointState, load_or_none
from carsync.state.clock import Moment
from carsync.state.file_lock import FileLock


def sync(
    config: Config,
    checkpoint_file: Path,
    listener: RunListener,
    stop: StopSignal,
    options: RunOptions = ORDINARY,
) -> RunReport:
    """Run one synchronisation to its end and return the report.

    Must be called from the main thread, which starts the worker processes. Raises
    `ConfigError` for a wrong mapping, or a mode without its keys; every later error is in the
    report.
    """
    window.check_mode(config, options.mode)
    return SyncRun(RunContext(config, options, listener, stop), checkpoint_file).execute()


class SyncRun:
    """The steps of one run in the parent process."""

    def __init__(self, context: RunContext, checkpoint_file: Path) -> None:
        self._context = context
        self._window = window.RunWindow(context)
        self._options = context.options
        self._stop = context.stop
        self._checkpoint_file = checkpoint_file
        self._started_s = time.monotonic()
        self._started_at = datetime.now(UTC)
        self._idle_s = 0.0
        self._turn = context.turn(checkpoint_file)
        self._tokens = TokenStore(time.monotonic)
        self._writers = context.config.database.writers

    @property
    def _config(self) -> Config:
        return self._context.config

    # ── the run ──────────────────────────────────────────────────────────────

    def execute(self) -> RunReport:
        """Run, turn errors into the report, and leave the checkpoint telling the same."""
        if failpoints.is_armed():
            self._context.note(f"{failpoints.VARIABLE} is set: a step may fail on purpose")
        if timing.is_changed():
            self._context.note(f"{timing.VARIABLE} is set: deadlines are not the usual ones")
        try:
            check_engine(self._config)
            check_certificates(self._config.api)
            with self._turn.file_lock() as lock:
                report = self._execute_locked(lock)
        except CarsyncError as exc:
            stopped = self._stopped() if self._turn.was_stopped else None
            report = self._report(stopped or outcome.failed(exc))
        self._context.listeners.ended(report)
        return report

    def _execute_locked(self, lock: FileLock) -> RunReport:
        context = self._context
        previous = self._read_checkpoint()
        self._idle_s = idle_since(previous, Moment.now())
        is_dry = self._options.dry_run
        context.open_checkpoint(self._checkpoint_file, lock, previous, dry_run=is_dry)
        try:
            with context.connect() as connection:
                self._turn.take_target(connection, context.target)
                self._begin_after_wait()
                failpoints.reach("sync.locked")
                start.prepare_schema(context)
                failpoints.reach("sync.migrated")
                start.check_origin(context)
                self._window.choose()
                self._begin(previous)
                self._writers = start.fit_writers(context)
                try:
                    end = self._read_all(previous)
                except (ConfigError, UnmergeableError):  # no run may go on with what was read
                    staging.drop(connection, context.run.run_id)
                    raise
        except LockedError:
            context.checkpoint = None  # the file belongs to another run
            raise
        except CarsyncError as exc:
            end = (self._stopped() if self._stop.forced else None) or outcome.failed(exc)
        return self._close(end)

    def _begin_after_wait(self) -> None:
        """Let the run begin now, after another one, which has just asked the API."""
        if not self._turn.has_waited:
            return
        self._idle_s = 0.0
        self._started_s, self._started_at = time.monotonic(), datetime.now(UTC)
        self._context.measure()

    def _read_checkpoint(self) -> CheckpointState | None:
        def note(exc: CheckpointError) -> None:
            self._context.note(f"{exc.problem}; it will be replaced ({exc.detail})")

        return load_or_none(self._checkpoint_file, place_of(self._config), note)

    def _begin(self, previous: CheckpointState | None) -> None:
        context = self._context
        context.begin(start.resume_or_start(context, previous))
        self._window.begin()
        if previous is not None and previous.run_id == context.run.run_id:
            context.requests.sent.update(previous.requests)
        failpoints.reach("sync.begun")

    def _read_all(self, previous: CheckpointState | None) -> Outcome:
        """Do as `_read_and_merge`; from the start, where more had to be asked for."""
        try:
            return self._read_and_merge()
        except window.WindowTooShortError as found:
            self._window.widen(found)
        except window.WindowTooLongError as exc:
            if not self._options.or_full:
                raise
            self._window.choose_all(exc)
            self._begin(previous)
        return self._read_and_merge()

    def _read_and_merge(self) -> Outcome:
        """Stage all pages; then decide, prove, merge. What is staged at a stop waits for later."""
        context = self._context
        with Intake(context, self._new_engine, self._window.heed) as intake:
            intake.run()
            failpoints.reach("sync.read")
            if (stopped := self._stopped()) is not None:
                return stopped
            # The whole run is judged, the resumed part included.
            rejects, records = staging.count_records(context.connection, context.run.run_id)
            most = self._config.sync.max_reject_share
            judge_rejects(rejects, records, most, context.mode)
            judge_values(context, records)
            context.phase("deciding")
            # What was not asked for is not absent.
            is_part = self._options.max_pages is not None
            is_of_all = context.mode == "full" and not is_part
            unread = self._find_unread(is_part=is_part)
            judge_removals(context)
            decision = decide_and_prove(context, intake.probe) if is_of_all else SKIP
            failpoints.reach("sync.decided")
            if (stopped := self._stopped()) is not None:
                return stopped
        context.phase("merging", state="merging")
        decision, counts = self._merge(decision)
        failpoints.reach("sync.merged")
        context.notes.extend(decision.reasons)
        self._window.tell_ignored(counts)
        finish.clean_up(context, counts)
        return outcome.merged(
            context.run.run_id,
            counts,
            decision,
            context.plan.failed_by_label,
            sum(map(len, context.plan.pages)),
            is_part=is_part,
            unread="" if is_of_all else unread,
            removals_problem=context.plan.removals_problem,
        )

    def _find_unread(self, *, is_part: bool) -> str:
        """Say, in words, why not all may have been read, else ""; note whether all surely was.

        An incremental run that was resumed has read its pages at different times, so that cars
        may have slipped from one to another: the next one asks for them once more. A car that
        was not read may be listed again, so that no tombstone counts then.
        """
        context = self._context
        unread = window.find_unread(context) or self._window.find_moved()
        is_whole = not is_part and not unread and not context.plan.failed
        is_of_one_time = context.mode == "full" or context.run.resumed_at is None
        context.is_all_sure = is_whole and is_of_one_time
        return unread

    def _new_engine(self, used: bool) -> Engine:
        """Build an engine; `used`: another has asked the API just before it."""
        run, columns = self._context.run, self._context.mapper.columns
        idle_s = 0.0 if used else self._idle_s
        database = replace(self._config.database, writers=self._writers)
        if not self._context.paginator.parallel:  # each page is staged at once
            database = replace(database, writers=min(2, self._writers), batch_size=1)
        config = replace(self._config, database=database)
        job = (config, run.run_id, run.token, columns)
        return new_engine(self._context.given_feed, *job, idle_s=idle_s, tokens=self._tokens)

    def _stopped(self) -> Outcome | None:
        return Outcome("interrupted", self._stop.exit_code) if self._stop.requested else None

    def _merge(self, decision: Decision) -> tuple[Decision, MergeCounts]:
        """Merge; return the decision with what is against tombstones, and the counts."""
        context = self._context
        is_sure, removals = context.is_all_sure, removal_rules(context)
        if removals is not None and decision.action != "hold":
            against = context.removal_plan.objections(self._config.sync.deactivate)
            decision = replace(decision, reasons=(*decision.reasons, *against))
        request = MergeRequest(
            run=context.run,
            columns=context.mapper.columns,
            constants=context.mapper.constants,
            pages=context.plan.pages,
            failed_pages=frozenset(context.plan.failed),
            decision=decision,
            lists=context.lists.names,
            records=self._config.history.changes_keep_days > 0,
            max_reject_share=self._config.sync.max_reject_share,
            secrets=self._config.api.auth.secrets,
            is_watermark=is_sure and not (context.plan.removals_problem or self._window.is_old),
            read_all=is_sure and context.mode == "full",
            removals=removals,
            counted=context.counted,
        )
        cancel = context.should_cancel
        return decision, merge_once(self._config, context.connection, request, cancel)

    # ── the end ──────────────────────────────────────────────────────────────

    def _close(self, end: Outcome) -> RunReport:
        """Check the acceptance targets, then tell the runs table and the checkpoint the end."""
        context = self._context
        checks: tuple[Check, ...] = ()
        self._note_slower()
        if end.counts is not None:
            rate = self._config.limits.requests_per_second
            checks = evaluate(self._config.acceptance, context.snapshot(), rate)
            end = outcome.judged(end, checks)
        if context.has_begun:
            end = outcome.of_options(end, self._options)
        report = self._report(end, checks)
        failpoints.reach("sync.closing")
        if context.has_begun and not finish.record(context, end.state, report):
            end = outcome.lost(context.run.run_id)
            report = self._report(end)
        failpoints.reach("sync.recorded")
        try:
            if context.checkpoint is not None:
                context.checkpoint.end(context.plan, report)
                failpoints.reach("sync.ended")
        except CheckpointError as exc:
            context.note(f"{exc.problem} ({exc.detail})")
            report = self._report(outcome.unsaved(end, exc), checks)
        return report

    def _note_slower(self) -> None:
        """Say in the report that the API made carsync ask slower than it is configured to."""
        figures = self._context.snapshot()
        if (slowed := figures.slowed) is None:
            return
        configured = self._config.limits.requests_per_second
        self._context.notes.append(
            f"the API {'tells its limit' if slowed.is_told else 'refused requests'} "
            f"({slowed.by}): carsync asked slower, down to "
            f"{slowed.lowest:.3g} requests/s, {slowed.rate:.3g} at the end "
            f"(limits.requests_per_second is {configured:g})"
        )

    def _report(self, end: Outcome, checks: tuple[Check, ...] = ()) -> RunReport:
        context = self._context
        run = context.run if context.has_begun else None
        return RunReport(
            run_id=run.run_id if run else None,
            source=context.source,
            target=str(context.target),
            started_at=run.started_at if run else self._started_at,
            finished_at=datetime.now(UTC),
            data_at=self._started_at - (run.waited if run else timedelta()),
            duration_s=time.monotonic() - self._started_s,
            figures=context.snapshot(),
            checks=checks,
            notes=tuple(context.notes),
            dry_run=self._options.dry_run,
            max_pages=self._options.max_pages,
            columns=context.columns,
            fields=context.fields,
            mode=context.mode,
            usual_mode=self._config.sync.mode,
            window_from=context.window_from,
            window_overlap_s=self._config.api.window.overlap_s if context.window_from else None,
            api_clock=context.api_clock,
            lists=tuple(map(_report_list, context.plan.begun)) if context.lists.names else (),
            **asdict(end),
        )


def _report_list(of: ListPlan) -> ListReport:
    plan, failed = of.plan, of.plan.failed
    return ListReport(
        name=of.feed_list.name,
        pages=plan.staged_count + len(failed),
        records=plan.records,
        reported=plan.reported_records,
        pages_failed=len(failed),
        problem=failed[min(failed)] if failed else "",
    )
