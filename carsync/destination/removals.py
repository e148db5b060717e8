"""The tombstones of a run in its merge: which cars go by them, and what they write.

A tombstone is evidence for its own car alone. It counts unless the car was listed after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from carsync.columns import DEACTIVATED
from carsync.config.lists import REMOVALS_FROM
from carsync.destination import conditions, superseded, verify
from carsync.destination.refused_rows import RefusedRows
from carsync.destination.staging import find_tombstones, list_types, tables
from carsync.model import MATCH, is_set
from carsync.postgres import sql
from carsync.postgres.sql import Composable, Cursor
from carsync.postgres.target import parts as target_parts
from carsync.state.runs import Run

_SLACK = timedelta(minutes=10)
"""A tombstone from the future may be so far ahead: the clocks of two servers differ."""


class RemovalRules(Struct, frozen=True):
    """What a merge does with tombstones; `pages` are those that are staged, by number.

    More than `max_deactivations` cars are held. `moves`: the window of an incremental run is one
    before now, so that it moved on while the pages were read.
    """

    pages: Sequence[range] = ()
    max_deactivations: int = 0
    moves: bool = True


class FutureTombstones(Struct, frozen=True):
    """Tombstones from the future, which say nothing; `record_id` is of the furthest, at `at`."""

    count: int
    record_id: str | None
    at: datetime | None


class Tombstones:
    """The tombstones of a run, as they are staged; made by `find`, inside a transaction.

    `columns` are the target's that they write. `is_held`: more cars would go than may.
    """

    def __init__(
        self, cur: Cursor, run: Run, own: Mapping[str, Composable], rules: RemovalRules
    ) -> None:
        self._cur = cur
        self._run = run
        self._own = own
        self._rules = rules
        key = {"run_id": run.run_id, "moves": rules.moves}
        query = sql.load("removals/find_times", ledger=tables(run.run_id)["ledger"])
        offset, window_from, whole_at = sql.one(cur, query, key)
        names = [n for n in list_types(cur, own["staging"]) if n not in {"page", "ordinal"}]
        self.columns = [name for name in names if is_set(name)]
        self._matched = [name.removeprefix(MATCH) for name in names if name.startswith(MATCH)]
        each = sql.identifiers(["id", *(f"{MATCH}{name}" for name in self._matched)], "ts")
        self._dated = {
            "tombstones": own["staging"],
            "tombstone_pages": own["ledger"],
            "offset": sql.literal(offset),
            "slack": sql.literal(_SLACK),
        }
        self._parts: dict[str, Composable] = {
            "seen": tables(run.run_id)["seen"],
            **target_parts(cur, run.target),
            "newest": sql.load("removals/newest", **self._dated, each=each),
            "offset": self._dated["offset"],
            "window_from": sql.literal(window_from),
            "whole_at": sql.literal(whole_at),
            "touched_at": conditions.touched_at(),
            "run_id": sql.literal(run.run_id),
            "schema_name": sql.literal(run.schema_name),
            "table_name": sql.literal(run.table_name),
            "source": sql.literal(run.source),
            "removals_from": sql.literal(REMOVALS_FROM),
        }
        self.is_held = False
        self._removed = sql.identifier("carsync", f"removed_{run.run_id:d}")

    @classmethod
    def find(cls, cur: Cursor, run: Run, rules: RemovalRules) -> Tombstones | None:
        """Return the run's tombstones; None where it reads none."""
        own = find_tombstones(cur, run.run_id)
        return None if own is None else cls(cur, run, own, rules)

    def check(self) -> None:
        """Check that their pages are staged; raise what `verify.check` raises."""
        query = sql.load("staging/lock_staging", **self._own)
        sql.run(self._cur, query)
        verify.check(self._cur, self._run.run_id, self._rules.pages, of=self._own)

    def judged(self) -> Composable:
        """Compose the query of the cars that tombstones deactivate, or only tell of."""
        tests = [sql.load("removals/is_news", column=sql.identifier(name)) for name in self.columns]
        return sql.load(
            "removals/judge",
            **self._parts,
            is_news=sql.comma_separated(tests),
            is_equal=self._equal("t", self._matched),
        )

    def _equal(self, row: str, names: Iterable[str]) -> Composable:
        """Compose the tests that a row's columns hold what the tombstone says."""
        return sql.comma_separated(
            sql.load(
                "removals/is_equal",
                said=sql.identifier("newest", f"{MATCH}{name}"),
                column=sql.identifier(row, name),
            )
            for name in names
        )

    def removed(self) -> Composable:
        """Compose the query of the ids of the cars that tombstones deactivate."""
        return sql.load("removals/list_removed", judged=self.judged())

    def count_future(self) -> FutureTombstones:
        """Count the tombstones from the future."""
        return FutureTombstones(
            *sql.one(self._cur, sql.load("removals/count_future", **self._dated))
        )

    # ── in the merge ─────────────────────────────────────────────────────────

    def add(self, delta: Composable) -> None:
        """Let the delta of the merge hold the cars of tombstones: deactivated, held, or written."""
        parts = {"delta": delta, "removed": self._removed}
        query = sql.load("removals/create_removed", removed=self._removed, judged=self.judged())
        sql.run(self._cur, query)
        sql.run(self._cur, sql.load("removals/add_removed", **parts))
        found = dict(sql.rows(self._cur, sql.load("merge/count_delta", delta=delta)))
        self.is_held = found.get("removed", 0) > self._rules.max_deactivations
        if self.is_held:
            sql.run(self._cur, sql.load("removals/hold_removed", delta=delta))

    def write(
        self,
        refusals: RefusedRows,
        parts: Mapping[str, Composable],
        recording: Callable[[Sequence[str]], Mapping[str, Composable]],
        *,
        has_triggers: bool,
    ) -> tuple[int, int]:
        """Write the delta's cars of tombstones; return how many were deactivated, and told of.

        `parts` are the merge's; `recording` composes those that record the change of columns.
        """
        kept = (
            sql.load("removals/kept_value", column=sql.identifier(name)) for name in self.columns
        )
        own: dict[str, Composable] = {
            **parts,
            **recording([*DEACTIVATED, *self.columns]),
            "touched_at": conditions.touched_at(),
            "removed": self._removed,
            "columns": sql.identifiers(["is_active", *self.columns]),
            "values": sql.comma_separated([sql.literal(False), *kept]),
        }
        done = refusals.write(
            lambda chosen: sql.load("removals/write_removed", **own, is_chosen=chosen),
            {},
            refusals.keep_any,
        )
        if has_triggers:
            sql.run(self._cur, sql.load("removals/keep_active", **parts))
        deactivated, told = done or [0, 0]
        return deactivated, told

    def supersede(self, unfinished: Sequence[int]) -> None:
        """Let no unfinished run bring a car that it read before the car's tombstone."""
        for other in unfinished:
            theirs = tables(other)
            staged = list_types(self._cur, theirs["staging"])
            parts = {
                **self._parts,
                "other": sql.literal(other),
                "their_staging": theirs["staging"],
                "their_ledger": theirs["ledger"],
                "latest_run": superseded.latest_run(self._run.run_id),
                "is_equal": self._equal("s", [n for n in self._matched if n in staged]),
            }
            sql.run(self._cur, sql.load("removals/supersede", **parts))

    def settle_rejects(self) -> None:
        """Let no replay bring a car that went since its record was read and rejected."""
        if not self._matched:  # else the tombstone may be of another lot
            sql.run(self._cur, sql.load("removals/settle_rejects", **self._parts))

    def drop(self) -> None:
        """Drop what `add` created."""
        sql.run(self._cur, sql.load("merge/drop_delta", delta=self._removed))
