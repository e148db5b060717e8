"""What one run works with, built once and handed whole; and how it is watched and told."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path

from msgspec.structs import replace

from carsync import timing
from carsync.config.api_sections import Api
from carsync.config.dsn import place_of
from carsync.config.sections import Config
from carsync.deactivation.removals import RemovalPlan
from carsync.destination.column_values import ColumnValues
from carsync.destination.plausibility import Forecast
from carsync.engine.base import Engine, GivenFeed
from carsync.engine.messages import PageFailed
from carsync.errors import DatabaseUnavailableError
from carsync.mapping.ids import fit_ids
from carsync.mapping.mapper import Mapper
from carsync.model import Row, RunMode, RunOptions, RunState
from carsync.postgres import connection
from carsync.postgres.connect import open_database
from carsync.postgres.target import find_id_type
from carsync.postgres.wait import Connection
from carsync.run.budget.keeper import BudgetKeeper
from carsync.run.checkpoint_writer import CheckpointWriter
from carsync.run.figures.metrics import Metrics
from carsync.run.figures.sampler import Sampler
from carsync.run.fingerprints import fingerprints
from carsync.run.listener import Listeners, RunListener
from carsync.run.signals import StopSignal
from carsync.source.pagination.feed_plan import FeedPlan
from carsync.state import runs
from carsync.state.checkpoint import CheckpointState
from carsync.state.figures import Figures
from carsync.state.file_lock import FileLock
from carsync.state.requests import Feed
from carsync.state.runs import Run
from carsync.state.turn import Turn

TICK_S = 0.1
SAMPLE_S = 1.0
_WITHOUT_REQUESTS = frozenset({"draining", "restarting"})


def fit_to_table(config: Config, conn: Connection) -> Config:
    """Return the configuration with ids that are written as the target's column has them."""
    with connection.transaction(conn, "looking at the table's ids") as cur:
        return fit_ids(config, find_id_type(cur, config.target))


class RunContext:
    """One run: what it was asked to do, what it measures, and who is told.

    `connect` opens the connection that holds the run's lock, `begin` gives the run its id;
    until then they are not there.
    """

    def __init__(
        self, config: Config, options: RunOptions, listener: RunListener, stop: StopSignal
    ) -> None:
        self.given = self.config = config
        self.options = options
        self.stop = stop
        self.target = config.target
        self.source = config.sync.source
        self.mapper = Mapper.load(config)
        self.mode: RunMode = options.mode
        """What is read; `options.mode`, unless that is not possible."""
        self.ask(config.api)
        self.measure()
        self.window_from: datetime | None = None
        """Since when an incremental run asks for changes, on the API's clock."""
        self.api_clock: datetime | None = None
        """The API's time at the run's first page; None where it sends none."""
        self.notes: list[str] = []
        """Sentences that the report says again."""
        self.forecast: Forecast | None = None
        """What the merge would do to known cars; None where nothing was merged before."""
        self.counted: tuple[int, int] | None = None
        """Staged rows and the distinct ids among them; None before they are counted."""
        self.columns: tuple[ColumnValues, ...] | None = None
        """What became of the columns' values; None before all pages are read."""
        self.fields: tuple[str, ...] = ()
        """Fields that records have, or had in earlier runs."""
        self.said_by_id: dict[str, str] = {}
        """What the last answer by id said of a record, in words; empty for a plain answer."""
        self.addresses: dict[str, tuple[str, ...]] = {}
        """The values by which a record is asked for; those not in here: by their ids."""
        self.rows_by_id: dict[str, Row] = {}
        """The rows of the records that the API gave by id."""
        self.removal_plan = RemovalPlan()
        """What the tombstones would deactivate, once all pages are read."""
        self.is_all_sure = True
        """Whether nothing that was asked for is known to be left; else no tombstone counts."""
        self.resumed_pages = self.resumed_rows = 0
        self.sampler = Sampler()
        self.listeners = Listeners([listener, self.sampler])
        self.checkpoint: CheckpointWriter | None = None
        """Who writes the checkpoint; None where the file is another run's."""
        self._connection: Connection | None = None
        self._run: Run | None = None
        self._ticked_s = self._sampled_s = self._pinged_s = time.monotonic()
        self._ping_s = timing.current().first_ping_s

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """Digests of what must stay the same within a run."""
        return fingerprints(self.config, self.mapper)

    @property
    def given_feed(self) -> GivenFeed:
        """The configuration as it was given, which workers elsewhere have, too."""
        return GivenFeed(self.given, fingerprints(self.given, Mapper.load(self.given)))

    # ── what comes as the run goes on ────────────────────────────────────────

    @property
    def connection(self) -> Connection:
        """The connection that holds the run's lock."""
        assert self._connection is not None
        return self._connection

    @property
    def run(self) -> Run:
        """The run as `carsync.runs` knows it."""
        assert self._run is not None
        return self._run

    @property
    def has_begun(self) -> bool:
        """Whether the run has its id."""
        return self._run is not None

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Open the connection that holds the run's lock, until the block ends."""
        with closing(open_database(self.config, "carsync", self.should_cancel)) as opened:
            self._connection = opened
            try:
                yield opened
            finally:
                self._connection = None

    def turn(self, checkpoint_file: Path) -> Turn:
        """Return who takes the target's locks, after a wait for another run as `options` says."""
        return Turn(
            checkpoint_file,
            place_of(self.config),
            self.options.wait_s,
            is_stopped=lambda: self.stop.requested,
            tell=self.say,
            pulse=self.listeners.pulse,
        )

    def open_checkpoint(
        self, file: Path, lock: FileLock, previous: CheckpointState | None, *, dry_run: bool
    ) -> None:
        """Write the checkpoint from now on; see `CheckpointWriter`."""
        self.checkpoint = CheckpointWriter(
            file,
            lock,
            source=self.source,
            target=str(self.target),
            place=place_of(self.config),
            fingerprints=self.fingerprints,
            previous=previous,
            mode=self.mode,
            dry_run=dry_run,
        )

    def ask(self, api: Api) -> None:
        """Plan to read what `api` says, and nothing of it yet."""
        self.config = replace(self.config, api=api)
        ahead = math.ceil(self.config.limits.requests_per_second) or math.inf
        only = self.options.max_pages
        reads_removals = only is None and self.config.sync.deactivate.enabled
        self.plan = FeedPlan(api, only, ahead, reads_removals=reads_removals)
        self.lists = self.plan.lists
        self.paginator = self.lists.paginator

    def measure(self) -> None:
        """Measure from now on; what was measured before is forgotten."""
        limits = self.config.limits
        rate = limits.requests_per_second
        self.metrics = Metrics(time.monotonic, self.config.acceptance.warmup_s, rate)
        pause = partial(self.metrics.pause, "limit")
        feed = Feed(self.target, self.source)
        self.requests = BudgetKeeper(limits, feed, time.monotonic, pause)

    def fit_ids(self) -> None:
        """Let ids be written as the table has them, from here on."""
        self.config = fit_to_table(self.config, self.connection)
        self.mapper = Mapper.load(self.config)

    def begin(self, run: Run) -> None:
        """Give the run its id; what is measured from now on is the run's."""
        self._run = run
        if self._connection is not None:
            self.requests.open(self._connection)
        self.api_clock = run.api_clock
        self.listeners.begun(run)
        self.sampler.update(self.snapshot(), "starting")
        self._store_samples()
        if self.checkpoint is not None:
            self.checkpoint.begin(run.run_id, run.token, run.started_at, run.mode)

    def ask_since(self, window_from: datetime) -> None:
        """Note since when the run asks for changes."""
        self.window_from = window_from
        runs.note_window(self.connection, self.run, window_from)
        if self.checkpoint is not None:
            self.checkpoint.ask(window_from, self.config.api.window.overlap_s)

    # ── signals ──────────────────────────────────────────────────────────────

    def should_cancel(self) -> bool:
        """Say whether a second signal came; polled while a statement waits."""
        self.listeners.pulse()
        return self.stop.forced

    def keep_going(self) -> bool:
        """Give no reason to cancel: what comes last is done even after a second signal."""
        self.listeners.pulse()
        return False

    # ── figures and words ────────────────────────────────────────────────────

    def pages_dropped(self, pages: int, numbers: range) -> None:
        """Take back so many staged pages, those of earlier sessions first; see `Metrics`."""
        resumed = min(pages, self.resumed_pages)
        self.resumed_pages -= resumed
        if not self.resumed_pages:
            self.resumed_rows = 0
        self.metrics.pages_dropped(pages - resumed, numbers)

    def snapshot(self) -> Figures:
        """Return the run's figures as they are now."""
        plan = self.plan
        figures = self.metrics.snapshot(plan.planned, self.resumed_pages, self.resumed_rows)
        requests = self.requests
        figures = replace(
            figures, requests=dict(requests.sent), api_use=requests.use, quotas=requests.quotas
        )
        if plan.removals is not None:
            figures = replace(figures, tombstones=plan.removals.plan.records)
        if not self.lists.names:
            return figures
        return replace(figures, lists_planned=len(self.lists.names), lists_done=plan.lists_done)

    def say(self, sentence: str) -> None:
        """Tell the operator something, once."""
        self.listeners.message(sentence)

    def note(self, sentence: str) -> None:
        """Tell the operator something now that the report will say again."""
        self.notes.append(sentence)
        self.say(sentence)

    def attempt_failed(self, event: PageFailed, *, given_up: bool) -> None:
        """Count and tell a failed attempt at a page; `given_up`: the last one."""
        self.metrics.page_failed(event, given_up=given_up)
        self.listeners.attempt_failed(event, given_up=given_up)

    def phase(self, name: str, state: RunState = "running") -> None:
        """Show and save that a phase begins."""
        snapshot = self.snapshot()
        self.listeners.update(snapshot, name)
        self._store_samples()
        if self.checkpoint is not None:
            self.checkpoint.note(name, self.plan, snapshot, state=state)

    def tick(self, engine: Engine, phase: str) -> None:
        """Sample, show and save; called as often as the engine's driver likes.

        Raises `DatabaseUnavailableError` when the connection that holds the lock is gone.
        """
        self.listeners.pulse()
        now = time.monotonic()
        if now - self._ticked_s < TICK_S:
            return
        self._ticked_s = now
        if now - self._sampled_s >= SAMPLE_S:
            self._sampled_s = now
            self.metrics.rss(dict(engine.memory()))
            self.metrics.queue_depth(engine.queue_depth())
        if now - self._pinged_s >= self._ping_s:
            self._pinged_s = now
            self._ping_s = min(2 * self._ping_s, timing.current().ping_s)
            self._check_connection()
        if self._connection is not None and phase not in _WITHOUT_REQUESTS:
            self.requests.turn(engine, self._connection)
        snapshot = self.snapshot()
        self.listeners.update(snapshot, phase)
        if self.checkpoint is not None:
            self.checkpoint.progress(phase, self.plan, snapshot)

    def _store_samples(self) -> None:
        if self._connection is not None:
            self.sampler.write(self._connection)
            self.requests.write(self._connection)

    def settle(self, engine: Engine) -> None:
        """Take back what an engine that is about to end did not send of the budget."""
        self.requests.settle(engine, self._connection)

    def _check_connection(self) -> None:
        answer_s = timing.current().ping_answer_s
        if self._connection is None or not connection.is_open(self._connection, answer_s):
            raise DatabaseUnavailableError(
                "the connection to PostgreSQL broke",
                detail="the connection that holds this run's lock does not answer",
                hint="check that PostgreSQL is running",
            )
        self._store_samples()
