"""A connection that stages a run's pages, those of the feed and those of tombstones."""

from __future__ import annotations

from collections.abc import Sequence

from carsync.config.lists import is_removal
from carsync.config.sections import Database
from carsync.destination.stage_writer import StageWriter
from carsync.destination.staging import writer_name
from carsync.model import Column, MappedPage, StagedPage
from carsync.postgres.connection import connect
from carsync.redaction import Secret


class PageWriters:
    """Stages batches of one kind of page each, over a connection of its own.

    `columns` are the mapping's, `tombstone_columns` those of `api.removals`, empty where none are
    read; no reject keeps one of the `secrets`. Raises `DatabaseError` where there is no connection.
    """

    def __init__(
        self,
        database: Database,
        run_id: int,
        token: str,
        columns: Sequence[Column],
        tombstone_columns: Sequence[Column],
        secrets: Sequence[Secret],
    ) -> None:
        assert database.dsn is not None
        self.connection = connect(
            database.dsn,
            application_name=writer_name(run_id),
            connect_timeout_s=database.connect_timeout_s,
            lock_timeout_s=database.lock_timeout_s,
        )
        job, means = (self.connection, run_id, token), (database.load_method, secrets)
        self._feed = StageWriter(*job, columns, *means)
        self._removals = StageWriter(*job, tombstone_columns, *means, is_removals=True)

    def stage(self, pages: Sequence[MappedPage]) -> tuple[StagedPage, ...]:
        """Stage pages that are all of the kind of the first, as `StageWriter.stage` does."""
        writer = self._removals if is_removal(pages[0].page) else self._feed
        return writer.stage(pages)

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()
