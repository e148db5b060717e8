"""Staging by many threads over one connection: who comes first takes the others' pages along."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from carsync.config.lists import is_removal
from carsync.config.sections import Database
from carsync.destination.staging import exists
from carsync.engine.dask.together import Item, Together
from carsync.engine.messages import PagesStaged
from carsync.engine.page_writers import PageWriters
from carsync.model import Column, MappedPage
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
        self._batch_rows = database.batch_size
        self._run_id = run_id
        self._open = partial(
            PageWriters, database, run_id, token, columns, tombstone_columns, secrets
        )
        self._tell = tell
        self._writers: PageWriters | None = None
        self._pages = Together(self._stage, self._choose)

    def stage(self, page: MappedPage) -> None:
        """Return once the page's transaction is committed; raise what went wrong with it."""
        self._pages.add(_Waiting(page))

    def close(self) -> None:
        """Close the connection; no thread may be in `stage`."""
        if self._writers is not None:
            self._writers.close()
            self._writers = None

    def _choose(self, waiting: Sequence[_Waiting]) -> list[_Waiting]:
        """Choose pages up to `batch_size` rows, of the kind of the first."""
        kind = is_removal(waiting[0].page.page)
        batch: list[_Waiting] = []
        rows = 0
        for each in waiting:
            if is_removal(each.page.page) is kind and rows < self._batch_rows:
                batch.append(each)
                rows += len(each.page.rows)
        return batch

    def _stage(self, batch: list[_Waiting]) -> None:
        begun_s = time.monotonic()
        try:
            pages = [each.page.aged(begun_s - each.since_s) for each in batch]
            staged = self._opened().stage(pages)
            rows = sum(page.rows for page in staged)
            self._tell(PagesStaged(staged, rows, time.monotonic() - begun_s))
        except Exception:
            self.close()  # the next page gets a new connection
            raise

    def _opened(self) -> PageWriters:
        if self._writers is None:
            self._writers = self._open()
            if not exists(self._writers.connection, self._run_id):
                raise runs.not_ours(self._run_id)
        return self._writers
