"""A run reduced to staging, tombstones and merging; the API's clock is an hour ahead."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from carsync.config.lists import REMOVALS_FROM
from carsync.destination import staging
from carsync.destination.removals import RemovalRules
from carsync.destination.stage_writer import StageWriter
from carsync.model import Column, MappedPage, MergeCounts, PageInfo, Reject, RunMode
from carsync.state import runs
from carsync.state.runs import Run
from tests.conftest import ask
from tests.support.merge_rig import COLUMNS, NO_CAP, Rig, page

AHEAD = timedelta(hours=1)
SET = (Column("= make", "text"), Column("price", "numeric"), Column("images", "jsonb"))
CONSTANTS = ((Column("status", "text"), "sold"),)


class TombstoneRig(Rig):
    """Tombstones are given as (id, time by the API's clock, price).

    `matches`: they say of which make the car was, too.
    """

    matches = True

    def now(self) -> datetime:
        """Return the API's time."""
        found: datetime = ask(self.conn, "SELECT clock_timestamp()")[0][0]
        return found + AHEAD

    def open(self, mode: RunMode = "incremental", window: timedelta = timedelta(days=1)) -> Run:
        """Begin a run whose first request is now, with tables for tombstones."""
        key = (self.conn, self.target, self.source)
        self.run = runs.start_run(*key, hash_scheme="h:v1", mode=mode)
        run_id = self.run.run_id
        staging.create(self.conn, run_id, COLUMNS, self.target)
        columns: tuple[Column, ...] = (Column("id", "text"),)
        columns += (Column("carsync removed_at", "timestamptz"),)
        columns += SET if self.matches else SET[1:]
        staging.create_tombstones(self.conn, run_id, columns, CONSTANTS, self.target)
        self._stager = StageWriter(
            self.conn, run_id, self.run.token, columns, "execute_values", is_removals=True
        )
        ask(
            self.conn,
            f"UPDATE carsync.runs SET api_clock_at = clock_timestamp(), "
            f"api_clock = clock_timestamp() + '1 h' WHERE run_id = {run_id}",
        )
        if mode == "incremental":
            runs.note_window(self.conn, self.run, self.now() - window)
        return self.run

    def bury(
        self,
        *tombstones: tuple[str, datetime, float | None],
        make: str | None = "Kia",
        rejects: Iterable[Reject] = (),
        number: int = 1,
    ) -> None:
        """Stage a page of tombstones."""
        rows = tuple(
            (n, i, at.isoformat(), *([make] * self.matches), price, None)
            for n, (i, at, price) in enumerate(tombstones)
        )
        refused = tuple(rejects)
        records = len(rows) + len(refused)
        mapped = MappedPage(REMOVALS_FROM + number, rows, refused, records, PageInfo(), 0.0)
        self._stager.stage([mapped])

    def settle(self, rows: Iterable[Any] = (), most: int = NO_CAP, **more: Any) -> MergeCounts:
        """Stage one page of the feed and merge; at most so many cars go by tombstones."""
        self.stage(page(1, rows, more.pop("rejects", ())))
        pages = more.pop("pages", [range(REMOVALS_FROM + 1, REMOVALS_FROM + 2)])
        rules = RemovalRules(pages, most)
        action = more.pop("action", "skip")
        counts = self.merge_staged(1, action, removals=rules, **more)
        staging.drop(self.conn, self.run.run_id)
        return counts

    def fill(self, *ids: str, mode: RunMode = "incremental", **more: Any) -> datetime:
        """Let a run write these cars; return the API's time when it began."""
        self.open(mode)
        self.bury()
        began = self.now()
        self.settle([(i, "Kia", 2019, 5, True, None, "[]", f"{i}:a") for i in ids], **more)
        return began

    def row(self, record_id: str) -> tuple[Any, ...]:
        """Return whether the car is active, its status and its price."""
        query = "SELECT is_active, status, price::int FROM cars WHERE id = %s"
        return ask(self.conn, query, record_id)[0]
