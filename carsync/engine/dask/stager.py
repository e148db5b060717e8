"""Staging by many threads over one connection: who comes first takes the others' pages along."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

from carsync.config.lists import is_removal
from carsync.config.sections import Database
from carsync.destination.stage_writer import StageWriter
from carsync.destination.staging import writer_name
from carsync.engine.messages import PagesStaged
from carsync.model import Column, MappedPage
from carsync.postgres.connection import connect
from carsync.postgres.wait import Connection
from carsync.redaction import Secret


class _Waiting:
    """A page that waits to be staged, and what became of it."""

    def __init__(self, page: MappedPage) -> None:
        self.page = page
        self.since_s = time.monotonic()
        self.is_done = False
        self.error: Exception | None = RuntimeError("its transaction did not end")


class Stager:
    """Stages the pages of one run in this process; thread-safe.

    While one thread's transaction is under way, the pages of others gather, and the next thread
    stages them together, up to `batch_size` rows: few pages are staged at once, many in few
    transactions. `tell` hears of each transaction.
    """

    def __init__(
        self,
        database: Database,
        run_id: int,
        token: str,
        columns: tuple[Column, ...],
        tombstone_columns: tuple[Column, ...],
        secrets: tuple[Secret, ...],
        tell: Callable[[PagesStaged], None],
    ) -> None:
        self._database = database
        self._job = (run_id, token)
        self._columns = {False: columns, True: tombstone_columns}
        self._secrets = secrets
        self._tell = tell
        self._connection: Connection | None = None
        self._writers: dict[bool, StageWriter] = {}
        self._waiting: list[_Waiting] = []
        self._list_lock = Lock()
        self._turn = Lock()

    def stage(self, page: MappedPage) -> None:
        """Return once the page's transaction is committed; raise what went wrong with it."""
        mine = _Waiting(page)
        with self._list_lock:
            self._waiting.append(mine)
        while not mine.is_done:
            with self._turn:
                if not mine.is_done:
                    self._stage(self._take())
        if mine.error is not None:
            raise mine.error

    def close(self) -> None:
        """Close the connection; no thread may be in `stage`."""
        self._writers.clear()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _take(self) -> list[_Waiting]:
        """Take pages up to `batch_size` rows, of the kind of the first."""
        with self._list_lock:
            kind = is_removal(self._waiting[0].page.page)
            batch: list[_Waiting] = []
            rows = 0
            for each in self._waiting:
                if is_removal(each.page.page) is kind and rows < self._database.batch_size:
                    batch.append(each)
                    rows += len(each.page.rows)
            self._waiting = [each for each in self._waiting if each not in batch]
        return batch

    def _stage(self, batch: list[_Waiting]) -> None:
        begun_s = time.monotonic()
        try:
            pages = [each.page.aged(begun_s - each.since_s) for each in batch]
            staged = self._writer(is_removal(pages[0].page)).stage(pages)
            rows = sum(page.rows for page in staged)
            self._tell(PagesStaged(staged, rows, time.monotonic() - begun_s))
            for each in batch:
                each.error = None
        except Exception as exc:
            for each in batch:
                each.error = exc
            self.close()  # the next page gets a new connection
        finally:
            for each in batch:
                each.is_done = True

    def _writer(self, is_removals: bool) -> StageWriter:
        if self._connection is None:
            database = self._database
            assert database.dsn is not None
            self._connection = connect(
                database.dsn,
                application_name=writer_name(self._job[0]),
                connect_timeout_s=database.connect_timeout_s,
                lock_timeout_s=database.lock_timeout_s,
            )
        if is_removals not in self._writers:
            self._writers[is_removals] = StageWriter(
                self._connection,
                *self._job,
                self._columns[is_removals],
                self._database.load_method,
                self._secrets,
                is_removals=is_removals,
            )
        return self._writers[is_removals]
