"""The parent's eyes and voice while a run goes on: samples, progress, checkpoint, notes."""

from __future__ import annotations

import time

from carsync.config.sections import Config
from carsync.engine.local.fleet import Fleet
from carsync.engine.messages import PageFailed
from carsync.errors import DatabaseUnavailableError
from carsync.model import RunState
from carsync.postgres import connection
from carsync.postgres.connection import Connection
from carsync.run.checkpoint_writer import CheckpointWriter
from carsync.run.listener import Listeners, RunListener
from carsync.run.metrics import Metrics
from carsync.run.sampler import Sampler
from carsync.source.pagination.plan import PagePlan
from carsync.state.figures import Figures
from carsync.state.runs import Run

TICK_S = 0.1
SAMPLE_S = 1.0
PING_S = 10.0
FIRST_PING_S = 2.0
"""The distance of pings at first; it doubles up to `PING_S`, so that of a run that dies young
something is written down."""
PING_ANSWER_S = 30.0


class Monitor:
    """Measures one run and tells it: to the operator, to the checkpoint, to the report."""

    def __init__(self, config: Config, watcher: RunListener, max_pages: int | None = None) -> None:
        self.plan = PagePlan(config.api.pagination, max_pages)
        self.metrics = Metrics(time.monotonic, config.acceptance.warmup_s)
        self.notes: list[str] = []
        """Sentences that the report says again."""
        self.resumed_pages = self.resumed_rows = 0
        self.journal: CheckpointWriter | None = None
        self.connection: Connection | None = None
        """The connection that holds the run's lock."""
        self.observer = Sampler()
        self.watcher = Listeners([watcher, self.observer])
        self._ticked_s = self._sampled_s = self._pinged_s = time.monotonic()
        self._ping_s = FIRST_PING_S

    def snapshot(self) -> Figures:
        """Return the run's figures as they are now."""
        return self.metrics.snapshot(self.plan.planned, self.resumed_pages, self.resumed_rows)

    def say(self, sentence: str) -> None:
        """Tell the operator something, once."""
        self.watcher.message(sentence)

    def note(self, sentence: str) -> None:
        """Tell the operator something now that the report will say again."""
        self.notes.append(sentence)
        self.say(sentence)

    def attempt_failed(self, event: PageFailed, given_up: bool) -> None:
        """Count and tell a failed attempt at a page; `given_up`: the last one."""
        self.metrics.page_failed(event, given_up=given_up)
        self.watcher.attempt_failed(event, given_up=given_up)

    def begun(self, run: Run) -> None:
        """Tell that the run has its id; what is observed from now on is the run's."""
        self.watcher.begun(run)
        self.observer.update(self.snapshot(), "starting")
        self.write_down()

    def phase(self, name: str, state: RunState = "running") -> None:
        """Show and save that a phase begins."""
        snapshot = self.snapshot()
        self.watcher.update(snapshot, name)
        self.write_down()
        if self.journal is not None:
            self.journal.note(name, self.plan, snapshot, state=state)

    def tick(self, fleet: Fleet, phase: str) -> None:
        """Sample, show and save; called as often as the fleet's driver likes.

        Raises `DatabaseUnavailableError` when the connection that holds the lock is gone.
        """
        self.watcher.pulse()
        now = time.monotonic()
        if now - self._ticked_s < TICK_S:
            return
        self._ticked_s = now
        if now - self._sampled_s >= SAMPLE_S:
            self._sampled_s = now
            self.metrics.rss(fleet.rss())
            self.metrics.queue_depth(fleet.queue_depth())
        if now - self._pinged_s >= self._ping_s:
            self._pinged_s = now
            self._ping_s = min(2 * self._ping_s, PING_S)
            self._check_connection()
        snapshot = self.snapshot()
        self.watcher.update(snapshot, phase)
        if self.journal is not None:
            self.journal.progress(phase, self.plan, snapshot)

    def write_down(self) -> None:
        """Let the observer store what it saw, over the connection that holds the lock."""
        if self.connection is not None:
            self.observer.write(self.connection)

    def _check_connection(self) -> None:
        if self.connection is None or not connection.is_open(self.connection, PING_ANSWER_S):
            raise DatabaseUnavailableError(
                "the connection to PostgreSQL broke",
                detail="the connection that holds this run's lock does not answer",
                hint="see whether PostgreSQL is up",
            )
        self.write_down()
