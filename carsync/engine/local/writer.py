"""A writer process: pages off the queue, gathered to batches, each one transaction."""

from __future__ import annotations

import os
import queue
import time
from multiprocessing.connection import Connection
from multiprocessing.queues import Queue
from typing import Any

from carsync import failpoints
from carsync.destination.stage_writer import StageWriter
from carsync.destination.staging import writer_name
from carsync.engine.local.child import become_child
from carsync.engine.messages import (
    Heartbeat,
    PagesStaged,
    Stop,
    WorkerFailed,
    WorkerReady,
    WriterArgs,
)
from carsync.errors import CarsyncError
from carsync.model import MappedPage
from carsync.postgres.connection import connect

POLL_S = 0.2
HEARTBEAT_S = 1.0
GATHER_S = 0.05
"""How long a batch may wait for more pages once it has its first."""


def run_writer(pipe: Connection, pages: Queue[MappedPage], settings: WriterArgs) -> None:
    """Run one writer process until the parent says `Stop` or dies."""
    become_child(settings.parent_pid)
    try:
        Writer(pipe, pages, settings).run()
    except CarsyncError as exc:
        pipe.send(WorkerFailed(type(exc).__name__, exc.problem, exc.detail, exc.hint))
    except Exception as exc:
        pipe.send(WorkerFailed(type(exc).__name__, f"a writer failed: {exc!r}", "", ""))


class Writer:
    """One connection, one loop."""

    def __init__(self, pipe: Connection, pages: Queue[MappedPage], settings: WriterArgs) -> None:
        database = settings.database
        assert database.dsn is not None
        self._pipe = pipe
        self._pages = pages
        self._batch_rows = database.batch_size
        self._connection = connect(
            database.dsn,
            application_name=writer_name(settings.run_id),
            connect_timeout_s=database.connect_timeout_s,
            lock_timeout_s=database.lock_timeout_s,
        )
        self._stager = StageWriter(
            self._connection,
            settings.run_id,
            settings.token,
            settings.columns,
            database.load_method,
            settings.key,
        )
        self._draining = False
        self._stopped = False
        self._beat_s = 0.0

    def run(self) -> None:
        """Gather and stage until stopped; a drained writer leaves the queue empty."""
        failpoints.reach("writer.booted")
        self._send(WorkerReady(os.getpid()))
        while not self._stopped:
            self._turn()
            batch = self._gather()
            if batch:
                self._stage(batch)
            elif self._draining:
                break
        self._connection.close()

    def _turn(self) -> None:
        """Take the parent's word, if any, and show that the loop turns."""
        try:
            while self._pipe.poll(0):
                message = self._pipe.recv()
                if isinstance(message, Stop):
                    self._draining = message.drain
                    self._stopped = not message.drain
        except (EOFError, OSError):  # the parent is gone
            self._stopped = True
        if time.monotonic() - self._beat_s >= HEARTBEAT_S:
            self._beat_s = time.monotonic()
            self._send(Heartbeat())

    def _gather(self) -> list[MappedPage]:
        """Take pages up to `batch_size` rows, or those that come within `GATHER_S`."""
        batch: list[MappedPage] = []
        rows = 0
        until_s = time.monotonic() + POLL_S
        while rows < self._batch_rows:
            try:
                page = self._pages.get(timeout=max(0.0, until_s - time.monotonic()))
            except queue.Empty:
                break
            if not batch:
                until_s = time.monotonic() + GATHER_S
            batch.append(page)
            rows += len(page.rows)
        return batch

    def _stage(self, batch: list[MappedPage]) -> None:
        failpoints.reach("stage.gathered")
        started = time.monotonic()
        staged = self._stager.stage(batch, time.monotonic)
        failpoints.reach("stage.committed")
        self._send(
            PagesStaged(staged, sum(page.rows for page in staged), time.monotonic() - started)
        )
        failpoints.reach("stage.reported")

    def _send(self, event: Any) -> None:
        try:
            self._pipe.send(event)
        except OSError:  # the parent is gone
            self._stopped = True
