"""A writer process: pages off the queue, gathered to batches, each one transaction."""

from __future__ import annotations

import queue
import time
from multiprocessing.connection import Connection
from typing import Any

from carsync import failpoints
from carsync.config.lists import is_removal
from carsync.engine.local.child import become_child
from carsync.engine.local.messages import Drain, Heartbeat, WorkerReady, WriterArgs
from carsync.engine.local.page_queue import PageQueue
from carsync.engine.messages import PagesStaged, WorkerFailed
from carsync.engine.page_writers import PageWriters
from carsync.model import MappedPage

POLL_S = 0.2
HEARTBEAT_S = 1.0
GATHER_S = 0.05
"""A batch may wait this long for more pages once it has its first."""


def run_writer(pipe: Connection, pages: PageQueue, args: WriterArgs) -> None:
    """Run one writer process until the parent ends it or dies."""
    become_child(args.parent_pid)
    try:
        Writer(pipe, pages, args).run()
    except Exception as exc:
        pipe.send(WorkerFailed.of(exc, "a writer"))


class Writer:
    """One connection, one loop."""

    def __init__(self, pipe: Connection, pages: PageQueue, args: WriterArgs) -> None:
        database = args.database
        self._pipe = pipe
        self._pages = pages
        self._batch_rows = database.batch_size
        job = (args.run_id, args.token, args.columns, args.tombstone_columns)
        self._writers = PageWriters(database, *job, args.secrets)
        self._draining = False
        self._stopped = False
        self._beat_s = 0.0

    def run(self) -> None:
        """Gather and stage until stopped; a drained writer leaves the queue empty."""
        failpoints.reach("writer.booted")
        self._send(WorkerReady())
        while not self._stopped:
            self._turn()
            batch = self._gather()
            if batch:
                self._stage(batch)
            elif self._draining:
                break
        self._writers.close()

    def _turn(self) -> None:
        """Take the parent's word, if any, and show that the loop turns."""
        try:
            while self._pipe.poll(0):
                self._draining |= isinstance(self._pipe.recv(), Drain)
        except (EOFError, OSError):  # the parent is gone
            self._stopped = True
        if time.monotonic() - self._beat_s >= HEARTBEAT_S:
            self._beat_s = time.monotonic()
            self._send(Heartbeat())

    def _gather(self) -> list[tuple[float, MappedPage]]:
        """Take pages up to `batch_size` rows, or those that come within `GATHER_S`.

        Returns each with the moment it was taken.
        """
        batch: list[tuple[float, MappedPage]] = []
        rows = 0
        until_s = time.monotonic() + POLL_S
        while rows < self._batch_rows:
            try:
                page = self._pages.get(max(0.0, until_s - time.monotonic()))
            except queue.Empty:
                break
            if not batch:
                until_s = time.monotonic() + GATHER_S
            batch.append((time.monotonic(), page))
            rows += len(page.rows)
        return batch

    def _stage(self, batch: list[tuple[float, MappedPage]]) -> None:
        failpoints.reach("stage.gathered")
        started_s = time.monotonic()
        pages = [page.aged(started_s - taken_s) for taken_s, page in batch]
        for kind in (True, False):
            if some := [page for page in pages if is_removal(page.page) is kind]:
                staged = self._writers.stage(some)
                failpoints.reach("stage.committed")
                rows = sum(page.rows for page in staged)
                self._send(PagesStaged(staged, rows, time.monotonic() - started_s))
                failpoints.reach("stage.reported")
                started_s = time.monotonic()

    def _send(self, event: Any) -> None:
        try:
            self._pipe.send(event)
        except OSError:  # the parent is gone
            self._stopped = True
