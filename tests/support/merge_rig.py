"""A run reduced to staging and merging, for tests that need no feed and no process."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import Any

from carsync.config.sections import Config, Database, LoadMethod
from carsync.decision import DeactivationAction, Decision, Proof
from carsync.destination import merge, migrations, staging
from carsync.destination.merge_work import MergeRequest
from carsync.destination.stage_writer import StageWriter
from carsync.destination.undo import UndoCounts
from carsync.mapping.mapper import Mapper, target_columns
from carsync.model import (
    ROW_ACTIONS,
    Column,
    MappedPage,
    MergeCounts,
    PageInfo,
    Reject,
    Row,
    RowAction,
    StagedPage,
    Target,
)
from carsync.postgres.connect import open_database
from carsync.postgres.wait import Connection
from carsync.redaction import Secret
from carsync.run.edits.revert import Revert
from carsync.run.signals import StopSignal
from carsync.state import runs
from carsync.state.runs import Run
from tests.support import records

TARGET = Target("public", "cars")
SOURCE = "external"
NO_CAP = sys.maxsize
COLUMNS = (
    Column("id", "text"),
    Column("make", "text"),
    Column("year", "integer"),
    Column("price", "numeric"),
    Column("is_live", "boolean"),
    Column("sale_date", "timestamptz"),
    Column("images", "jsonb"),
    Column("data_hash", "text"),
)
CONSTANTS = (
    (Column("status", "text"), "active"),
    (Column("is_active", "boolean"), True),
    (Column("is_archived", "boolean"), False),
)


def car(record_id: str, version: str = "a", *, make: str | None = "Kia") -> Row:
    """Give a mapped row without its ordinal; another `version` is another data_hash."""
    return (record_id, make, 2019, 12500.5, True, None, '["1.jpg"]', f"{record_id}:{version}")


def cars(ids: Iterable[int], version: str = "a") -> list[Row]:
    """Give a row for each id."""
    return [car(str(i), version) for i in ids]


def page(
    number: int, rows: Iterable[Row], rejects: Iterable[Reject] = (), age_s: float = 0.0
) -> MappedPage:
    """Give a page of rows, asked for `age_s` seconds ago."""
    numbered = tuple((ordinal, *row) for ordinal, row in enumerate(rows))
    refused = tuple(rejects)
    count = len(numbered) + len(refused)
    return MappedPage(number, numbered, refused, count, PageInfo(), age_s)


def reject(ordinal: int, record_id: str | None) -> Reject:
    """Give a reject."""
    return Reject(ordinal, record_id, "make", "no make", "{}")


class Rig:
    """Begins, stages and merges runs of one table over one connection."""

    def __init__(self, conn: Connection, target: Target = TARGET, source: str = SOURCE) -> None:
        self.conn = conn
        self.target = target
        self.source = source
        self.run: Run

    def begin(self, lists: tuple[str, ...] = ()) -> Run:
        """Start a run with its staging tables."""
        key = (self.conn, self.target, self.source)
        self.run = runs.start_run(*key, hash_scheme="h:v1", lists=lists)
        staging.create(self.conn, self.run.run_id, COLUMNS, self.target)
        return self.run

    def stage(
        self, *pages: MappedPage, method: LoadMethod = "execute_values"
    ) -> tuple[StagedPage, ...]:
        """Stage pages of the current run."""
        writer = StageWriter(self.conn, self.run.run_id, self.run.token, COLUMNS, method)
        return writer.stage(pages)

    def request(
        self,
        pages: int,
        action: DeactivationAction = "deactivate",
        proof: Proof | None = None,
        max_deactivations: int = NO_CAP,
        **more: Any,
    ) -> MergeRequest:
        """Give the merge request of the current run, its pages being 1 to `pages`."""
        return MergeRequest(
            run=self.run,
            columns=COLUMNS,
            constants=CONSTANTS,
            pages=[range(1, pages + 1)],
            decision=Decision(action, (), proof or Proof(), max_deactivations),
            **more,
        )

    def sync(
        self, *pages: Iterable[Row], action: DeactivationAction = "deactivate", **more: Any
    ) -> MergeCounts:
        """Begin a run, stage one page for each list of rows, merge."""
        self.begin()
        self.stage(*(page(number, rows) for number, rows in enumerate(pages, start=1)))
        return merge.merge(self.conn, self.request(len(pages), action, **more))

    def merge_staged(
        self, pages: int, action: DeactivationAction = "deactivate", **more: Any
    ) -> MergeCounts:
        """Merge what the current run staged, its pages being 1 to `pages`."""
        return merge.merge(self.conn, self.request(pages, action, **more))

    def active(self) -> dict[str, str]:
        """Return the active cars of the source: id → data_hash."""
        with self.conn.cursor() as cur:
            cur.execute(
                f"SELECT id::text, data_hash FROM {self.target}"
                " WHERE is_active AND source_api = %s",
                (self.source,),
            )
            return dict(cur.fetchall())


class RecordRig:
    """One run from records' texts to the table, without a feed; pages count from 1.

    `stage` keeps the law of rejects itself: rows + rejects = records.
    """

    def __init__(
        self,
        conn: Connection,
        mapper: Mapper,
        method: LoadMethod = "execute_values",
        fingerprints: Mapping[str, str] | None = None,
    ) -> None:
        self.conn = conn
        self.mapper = mapper
        migrations.migrate(conn, TARGET, target_columns(mapper))
        self.run = runs.start_run(
            conn,
            TARGET,
            SOURCE,
            fingerprints=dict(fingerprints or {}),
            hash_scheme=mapper.hash_scheme,
        )
        staging.create(conn, self.run.run_id, mapper.columns, TARGET)
        self.stager = StageWriter(conn, self.run.run_id, self.run.token, mapper.columns, method)
        self.pages = 0

    def stage(self, *texts: str, age_s: float = 0.0) -> StagedPage:
        """Map and stage a page of records, asked for `age_s` ago."""
        content = self.mapper.map_page(records.page(*texts))
        self.pages += 1
        mapped = MappedPage(
            self.pages, content.rows, content.rejects, content.records, PageInfo(), age_s
        )
        (line,) = self.stager.stage([mapped])
        assert line.rows + line.rejects == line.records == len(texts)
        return line

    def refused(self) -> list[tuple[str, str]]:
        """Return reason and text of what PostgreSQL itself refused."""
        query = "SELECT reason, original FROM carsync.rejects WHERE reason LIKE 'PostgreSQL%'"
        with self.conn.cursor() as cur:
            cur.execute(query)
            return cur.fetchall()

    def merge(self, action: DeactivationAction = "skip", **more: Any) -> MergeCounts:
        """Merge what is staged, and drop the staging tables as a sync does."""
        request = MergeRequest(
            run=self.run,
            columns=self.mapper.columns,
            constants=self.mapper.constants,
            pages=[range(1, self.pages + 1)],
            decision=Decision(action, max_deactivations=NO_CAP),
            **more,
        )
        counts = merge.merge(self.conn, request)
        staging.drop(self.conn, self.run.run_id)
        return counts


def revert(
    dsn: str,
    run_id: int,
    *only: RowAction,
    skip_changed: bool = False,
    look: bool = False,
    lock_timeout_s: float = 30.0,
) -> tuple[int, UndoCounts]:
    """Take a run back, or only look; return the reverting run's id and what came of it."""
    config = Config(database=Database(dsn=Secret(dsn), lock_timeout_s=lock_timeout_s))
    with closing(open_database(config, "carsync test")) as opened:
        work = Revert(config, opened, run_id, only or ROW_ACTIONS)
        if look:
            return 0, work.look()
        return work.carry_out(skip_changed=skip_changed, stop=StopSignal())
