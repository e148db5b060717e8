"""Staging by many threads over one connection: who comes first takes the others' pages along."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from carsync.config.lists import is_removal
from carsync.config.sections import Database
from carsync.destination.stage_writer import StageWriter
from carsync.destination.staging import exists, writer_name
from carsync.engine.dask.together import Item, Together
from carsync.engine.messages import PagesStaged
from carsync.model import Column, MappedPage
from carsync.postgres.connection import connect
from carsync.postgres.wait import Connection
from carsync.redaction import Secret
from carsync.state import runs


class _Waiting(Item):
    """A page that waits to be staged."""

    def __init__(self, page: MappedPage) -> None:
        super().__init__()
        self.page = page
        self.since_s = time.monotonic()


class Stager:
    """Stages the pages of one run in this process, together up to `batch_size` rows; thread-safe.

    `tell` hears of each transaction.
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
        self._pages = Together(self._stage, self._choose)

    def stage(self, page: MappedPage) -> None:
        """Return once the page's transaction is committed; raise what went wrong with it."""
        self._pages.add(_Waiting(page))

    def close(self) -> None:
        """Close the connection; no thread may be in `stage`."""
        self._writers.clear()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _choose(self, waiting: Sequence[_Waiting]) -> list[_Waiting]:
        """Choose pages up to `batch_size` rows, of the kind of the first."""
        kind = is_removal(waiting[0].page.page)
        batch: list[_Waiting] = []
        rows = 0
        for each in waiting:
            if is_removal(each.page.page) is kind and rows < self._database.batch_size:
                batch.append(each)
                rows += len(each.page.rows)
        return batch

    def _stage(self, batch: list[_Waiting]) -> None:
        begun_s = time.monotonic()
        try:
            pages = [each.page.aged(begun_s - each.since_s) for each in batch]
            staged = self._writer(is_removal(pages[0].page)).stage(pages)
            rows = sum(page.rows for page in staged)
            self._tell(PagesStaged(staged, rows, time.monotonic() - begun_s))
        except Exception:
            self.close()  # the next page gets a new connection
            raise

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
            if not exists(self._connection, self._job[0]):
                raise runs.not_ours(self._job[0])
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
