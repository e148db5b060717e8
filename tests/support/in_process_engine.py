"""An engine without processes: it reads in the parent's own thread, one lease a turn.

The engine takes the place of `carsync.engine.local.fleet.Fleet`. All else of a run is carsync's
own: what a worker decides of an answer (`FeedReader`), how it stages, and the whole parent.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from carsync.config.lists import is_removal
from carsync.config.sections import Config
from carsync.destination.stage_writer import StageWriter
from carsync.engine import choice
from carsync.engine.base import Engine
from carsync.engine.messages import (
    Event,
    Lease,
    PageFailed,
    PageLease,
    PagesStaged,
    ProbeAnswered,
    ProbeLease,
)
from carsync.engine.reader import FeedReader, ProbeAnswer
from carsync.errors import FailureKind, PageError
from carsync.mapping.mapper import tombstone_columns
from carsync.model import ORDINARY, Column, MappedPage, ProbeVerdict, RunOptions
from carsync.postgres.wait import Connection
from carsync.run import start, sync
from carsync.run.edits import asking
from carsync.run.listener import RunListener
from carsync.run.report import RunReport
from carsync.run.signals import StopSignal
from carsync.source.allotment import Allotted
from carsync.state import target_lock
from tests.conftest import TARGET
from tests.support.site import await_that

NewEngine = Callable[[Config, int, str, tuple[Column, ...]], Engine]
"""Takes the configuration, the run's number and token, and the columns that are staged."""


class InProcessEngine(Engine):
    """Reads one lease a turn, and stages each page over `conn` as soon as it is read."""

    def __init__(
        self,
        config: Config,
        run_id: int,
        token: str,
        columns: tuple[Column, ...],
        conn: Connection,
    ) -> None:
        self._reader = FeedReader(config, 1)
        self._stage_writer = StageWriter(conn, run_id, token, columns, "execute_values")
        self._removals_writer = StageWriter(
            conn,
            run_id,
            token,
            tombstone_columns(config),
            "execute_values",
            is_removals=True,
        )
        self._waiting: list[Lease] = []
        self._queue: list[MappedPage] = []

    def start(self, *, silence_s: float = 0.0, lowered_to: float | None = None) -> None:
        """Start nothing."""

    def kill(self) -> None:
        """Lose what was not staged."""
        self._waiting.clear()
        self._queue.clear()
        self._reader.client.close()

    def stop(self) -> None:
        """Answer no more; what is on the queue is staged."""
        self._waiting.clear()

    def is_running(self) -> bool:
        """Have no worker."""
        return False

    def memory(self) -> dict[str, int]:
        """Weigh nothing."""
        return {}

    def queue_depth(self) -> int:
        """Count the pages that wait to be staged."""
        return len(self._queue)

    def room(self) -> int:
        """Take six leases in hand."""
        return 6 - len(self._waiting)

    def lease(self, leases: Sequence[Lease]) -> None:
        """Take leases."""
        self._waiting += leases

    def allot(
        self, requests: int = 0, for_s: float = 0.0, *, afresh: bool = False
    ) -> Allotted | None:
        """Know no budget."""
        return None

    def events(self, timeout_s: float) -> list[Event]:
        """Answer one lease, or stage what waits."""
        if not self._waiting:
            return self._stage_queue()
        lease = self._waiting.pop(0)
        return [self._probe(lease)] if isinstance(lease, ProbeLease) else self._read(lease)

    def _probe(self, lease: ProbeLease, *, fails: bool = False) -> ProbeAnswered:
        answer, failure = ProbeAnswer(ProbeVerdict.NOTHING), None
        try:
            if not fails:
                answer = self._reader.probe(lease)
        except PageError as exc:
            answer, failure = ProbeAnswer(ProbeVerdict.NOTHING, exc.problem), exc.kind
        page = lease.page.page if lease.page else None
        told = ProbeAnswered(
            lease.record_id, lease.attempt, answer.verdict, 0.0, answer.words, page=page
        )
        return replace(told, failure=failure, ids=answer.ids, info=answer.info)

    def _read(self, lease: PageLease, *, fails: bool = False, is_late: bool = False) -> list[Event]:
        try:
            if fails:
                raise PageError(FailureKind.SERVER, "503")
            read = self._reader.read_page(lease)
        except PageError as exc:
            words = (exc.kind, exc.problem, exc.hint, exc.status, exc.retry_after_s, 0.0)
            return [PageFailed(lease.page, lease.attempt, *words)]
        self._queue.append(read.mapped)
        return [read.fetched(), *([] if is_late else self._stage_queue())]

    def _stage_queue(self) -> list[Event]:
        if not self._queue:
            return []
        events: list[Event] = []
        for writer, is_theirs in ((self._removals_writer, True), (self._stage_writer, False)):
            if some := [page for page in self._queue if is_removal(page.page) is is_theirs]:
                staged = writer.stage(some)
                events.append(PagesStaged(staged, sum(page.rows for page in staged), 0.0))
        self._queue.clear()
        return events


class CuttableEngine(InProcessEngine):
    """An engine whose run is stopped once so many pages are staged."""

    def __init__(self, *args: Any, stop: StopSignal, after: int | None) -> None:
        super().__init__(*args)
        self._stop = stop
        self._left = after

    def events(self, timeout_s: float) -> list[Event]:
        """Answer a lease, or stop."""
        if self._left == 0:
            self._stop.times = 1
            return []
        if self._waiting and self._left is not None:
            self._left -= 1
        return super().events(timeout_s)


@contextmanager
def without_processes(new_engine: NewEngine) -> Iterator[None]:
    """Let runs use the engine that `new_engine` gives in the place of the fleet."""

    def new_fleet(
        config: Config, run_id: int, token: str, columns: tuple[Column, ...], **_: object
    ) -> Engine:
        return new_engine(config, run_id, token, columns)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choice, "Fleet", new_fleet)
        patch.setattr(os, "fsync", lambda _: None)  # no power is cut here
        patch.setattr(start, "fit_writers", lambda _: 1)  # as many sessions as it uses
        for module in (sync, asking):
            patch.setattr(module, "check_engine", lambda _: None)
        yield


def await_last_session(conn: Connection) -> None:
    """Wait until the last run's session has let go of the table: the server ends it in its time."""
    holder = partial(target_lock.describe_holder, conn, TARGET)
    await_that(lambda: not holder(), "the end of the last run's session")


def sync_in_process(
    config: Config,
    checkpoint_file: Path,
    new_engine: NewEngine,
    *,
    stop: StopSignal | None = None,
    options: RunOptions = ORDINARY,
) -> RunReport:
    """Run a whole sync with the engine that `new_engine` gives in the place of the fleet."""
    with without_processes(new_engine):
        return sync.sync(config, checkpoint_file, RunListener(), stop or StopSignal(), options)
