"""A refresh: single cars are asked for by id and merged, as a small run of its own.

It says nothing of any other car. An unfinished run that reads the feed keeps its pages and its
checkpoint, and goes on with the next `carsync sync`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct
from msgspec.structs import asdict, replace

from carsync import formatting
from carsync.config.sections import Config
from carsync.decision import SKIP, Decision, Proof
from carsync.destination import staging
from carsync.destination.commit import merge_once
from carsync.destination.merge_work import MergeRequest
from carsync.destination.stage_writer import StageWriter
from carsync.errors import CarsyncError, ConfigError, DatabaseError, RequestBudgetError
from carsync.exit_codes import ExitCode
from carsync.model import MergeCounts, RunOptions
from carsync.run import finish, outcome, start
from carsync.run.context import RunContext
from carsync.run.edits.asking import asking, locked
from carsync.run.edits.refreshed_car import RefreshedCar
from carsync.run.edits.single_cars import NO_CAR, SingleCars
from carsync.run.listener import RunListener
from carsync.run.outcome import Outcome
from carsync.run.report import RunReport
from carsync.run.signals import StopSignal
from carsync.state import runs

AGAIN = "run again: `carsync refresh`"
_OTHER_IDS = "run again with ids of the table; `carsync sync` brings cars that it does not have"


class Refreshed(Struct, frozen=True):
    """What became of each car, in the order in which they were named, and of the run."""

    cars: tuple[RefreshedCar, ...]
    report: RunReport


def refresh(
    config: Config,
    checkpoint_file: Path,
    ids: Sequence[str],
    listener: RunListener,
    stop: StopSignal,
    options: RunOptions,
    *,
    is_listed: bool = False,
) -> Refreshed:
    """Ask the API for single cars and merge what it says of them.

    Waits at most `options.wait_s` for the end of another run. The first signal ends the asking:
    what was read is merged. `is_listed`: a program named the cars.
    Raises `ConfigError`, `LockedError` and `DatabaseError` where the run does not begin; every
    later error is in the report.
    """
    if config.api.record is None:
        raise ConfigError(
            "api.record is null: carsync does not know how to ask for a single car",
            hint='e.g. api.record: {path: "/cars/{id}"}, as the API\'s documents call it',
        )
    context = RunContext(config, options, listener, stop)
    context.mode = "refresh"
    with locked(context, checkpoint_file) as idle_s:
        start.prepare_schema(context)
        start.check_origin(context)
        _check_hash_scheme(context)
        start.set_aside(context)
        work = _Refresh(context, ids, is_listed=is_listed)
        end = work.carry_out(idle_s)
    return work.close(end)


def _check_hash_scheme(context: RunContext) -> None:
    """Refuse to write into a table that has no hash, or hashes of another kind."""
    scheme = runs.find_hash_scheme(context.connection, context.target, context.source)
    if scheme == context.mapper.hash_scheme:
        return
    raise ConfigError(
        f"no run has read the feed into {context.target} yet"
        if scheme is None
        else "the hash scheme changed since the table was written",
        detail="" if scheme is None else f"from {scheme} to {context.mapper.hash_scheme}",
        hint="run `carsync sync` first",
    )


class _Refresh:
    """The steps of one refresh, whose process holds the target's locks."""

    def __init__(self, context: RunContext, ids: Sequence[str], *, is_listed: bool) -> None:
        self._context = context
        self._started_s = time.monotonic()
        self._run = runs.start_run(
            context.connection,
            context.target,
            context.source,
            hash_scheme=context.mapper.hash_scheme,
            scope=context.options.scope,
            mode="refresh",
        )
        context.begin(self._run)
        self._cars = SingleCars(context, ids, is_listed=is_listed)

    def carry_out(self, idle_s: float) -> Outcome:
        """Ask and merge; leave nothing staged."""
        context = self._context
        try:
            with asking(context, idle_s) as probes:
                self._cars.ask(probes)
            end = self._settle()
        except CarsyncError as exc:
            end = outcome.failed(exc)
            if not isinstance(exc, RequestBudgetError):  # which says when
                end = replace(end, hint="; ".join(filter(None, (end.hint, AGAIN))))
        with suppress(DatabaseError):
            staging.drop(context.connection, self._run.run_id)
        return end

    def close(self, end: Outcome) -> Refreshed:
        """Record the end, when the locks are given back."""
        context = self._context
        report = self._report(end)
        is_part = any(car.action == "unclear" for car in self._cars.found.values())
        state = outcome.recorded_state(end, is_part=is_part)
        if not finish.record(context, state, report):
            report = self._report(outcome.lost(self._run.run_id))
        context.listeners.ended(report)
        return Refreshed(tuple(self._cars.found.values()), report)

    def _settle(self) -> Outcome:
        """Merge what was read, unless a second signal came or the API told nothing."""
        context, cars = self._context, self._cars
        stop = context.stop
        if stop.forced or (stop.requested and not cars.was_answered):
            problem = "stopped; nothing was changed"
            return Outcome("interrupted", stop.exit_code, None, problem, hint=AGAIN)
        if not cars.was_answered:
            if context.requests.problem is not None:
                raise context.requests.problem
            first = next(iter(cars.found.values()))
            problem = "the API gave no clear answer for any car; nothing was changed"
            return Outcome("failed", ExitCode.API, None, problem, first.reason, AGAIN)
        context.phase("merging")
        counts = self._merge()
        if not context.options.dry_run:
            cars.check(counts.rejected)
        finish.clean_up(context, counts)
        return self._judge(counts)

    def _merge(self) -> MergeCounts:
        context, config = self._context, self._context.config
        self._stage()
        gone = self._cars.gone
        decision = SKIP
        if gone:
            proof = Proof(gone=gone, next_run=False)
            decision = Decision("prove", proof=proof, max_deactivations=len(gone))
        request = MergeRequest(
            run=self._run,
            columns=context.mapper.columns,
            constants=context.mapper.constants,
            pages=(),
            decision=decision,
            records=config.history.changes_keep_days > 0,
            secrets=config.api.auth.secrets,
        )
        return merge_once(config, context.connection, request, context.should_cancel)

    def _stage(self) -> None:
        """Stage each portion of the cars as old as its requests; one of cars that are gone, too."""
        context, run = self._context, self._run
        columns = context.mapper.columns
        staging.create(context.connection, run.run_id, columns, context.target)
        means = (context.config.database.load_method, context.config.api.auth.secrets)
        writer = StageWriter(context.connection, run.run_id, run.token, columns, *means)
        rows = self._cars.rows
        for asked_s, portion in self._cars.asked:
            found = [rows[i] for i in portion if i in rows]
            writer.stage_unlisted(found, time.monotonic() - asked_s)

    def _judge(self, counts: MergeCounts) -> Outcome:
        """Return the outcome of a refresh that was merged."""
        cars, stop = self._cars.found.values(), self._context.stop
        unclear = [car for car in cars if car.action == "unclear"]
        problem = detail = hint = ""
        if unclear:
            problem = f"{formatting.part(len(unclear), len(cars), 'car')} could not be refreshed"
            detail = f"{unclear[0].id}: {unclear[0].reason}"
            is_unknown = all(car.reason.startswith(NO_CAR) for car in unclear)
            hint = _OTHER_IDS if is_unknown else AGAIN
            if (short := self._context.requests.problem) is not None:
                detail, hint = short.problem, short.hint
        if stop.requested:
            problem = f"stopped; {problem}" if problem else "stopped, when all was done"
            return Outcome("interrupted", stop.exit_code, counts, problem, detail, hint)
        if unclear:
            return Outcome("partial", ExitCode.PARTIAL, counts, problem, detail, hint)
        return Outcome("complete", ExitCode.OK, counts)

    def _report(self, end: Outcome) -> RunReport:
        context = self._context
        return RunReport(
            run_id=self._run.run_id,
            source=context.source,
            target=str(context.target),
            started_at=self._run.started_at,
            finished_at=datetime.now(UTC),
            duration_s=time.monotonic() - self._started_s,
            data_at=self._run.started_at,
            figures=context.snapshot(),
            notes=tuple(context.notes),
            dry_run=context.options.dry_run,
            mode=context.mode,
            usual_mode=context.config.sync.mode,
            **asdict(end),
        )
