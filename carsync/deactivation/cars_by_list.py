"""Cars that a run should have seen and did not, by the lists that they were on before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from carsync.config.lists import PAGES_EACH
from carsync.deactivation.candidates import absent_cars, removed_cars
from carsync.deactivation.policy import DeactivationPlan
from carsync.decision import ListRank, ListRanks
from carsync.destination import car_lists, privileges, verify
from carsync.postgres import connection, sql
from carsync.postgres.sql import Composable
from carsync.postgres.target import parts as target_parts
from carsync.postgres.wait import Connection, patient
from carsync.state.runs import Run

_REMOVED = -1


class CarsByList:
    """What a run staged and missed, list by list. Nothing may be left to fetch.

    `active` counts the source's active cars, `gone` those that tombstones prove to be gone,
    `removed` those of a list that the feed had, but has
    no more. `move`: cars were found on another list than before, or too few merges have compared
    the lists to say that none was. `by_tombstones` and errors are those of `plan_deactivation`.
    """

    def __init__(
        self, conn: Connection, run: Run, names: Sequence[str], *, by_tombstones: bool
    ) -> None:
        self._conn = conn
        self._run = run
        verify.check_exists(conn, run.run_id)
        key: dict[str, Any] = {**run.target.key(run.source), "names": list(names)}
        with patient(conn), connection.transaction(conn, "counting deactivations") as cur:
            sql.run(cur, "session/set_merge")
            parts: dict[str, Composable] = {
                **target_parts(cur, run.target),
                "source": sql.literal(run.source),
                "known": sql.load("lists/known"),
            }
            privileges.check(run.target, privileges.describe(cur, run.target))
            removed = removed_cars(cur, run, by_tombstones)
            oldest_fetch = verify.find_oldest_fetch(cur, run.run_id)
            self._absent = absent_cars(cur, run, oldest_fetch, removed)
            query = sql.load("lists/count_by_list", absent=self._absent, **parts)
            found = {place: counts for place, *counts in sql.rows(cur, query, key)}
            staged = {"run_id": run.run_id, "each": PAGES_EACH}
            query = sql.load("lists/count_staged", listed=car_lists.listed(run.run_id))
            self._staged = {place: counts for place, *counts in sql.rows(cur, query, staged)}
            ((self.move,),) = sql.rows(cur, "lists/find_moves", key)
            query = sql.load("removals/count_removed", **parts, removed=removed)
            ((self.active, self.gone),) = sql.rows(cur, query)
        self._known = found
        self.removed: int = found.get(_REMOVED, [0, 0])[0]

    def plan(self, index: int) -> DeactivationPlan:
        """Return what a list would deactivate."""
        active, absent = self._known.get(index, (0, 0))
        seen, duplicates, without_id = self._staged.get(index, (0, 0, 0))
        return DeactivationPlan(absent, active, seen, without_id, duplicates)

    def count_by_rank(self, ranks: ListRanks) -> dict[int, int]:
        """Count the candidates by what becomes of them."""
        return dict(self._read("counting", "lists/count_by_rank", ranks))

    def list_ids(self, ranks: ListRanks, limit: int) -> list[str]:
        """Return at most `limit` candidates of lists that were read, longest unseen first."""
        which = {"limit": limit, "unread": ListRank.UNREAD}
        found = self._read("listing", "lists/list_candidates", ranks, **which)
        return [record_id for (record_id,) in found]

    def _read(self, doing: str, name: str, ranks: ListRanks, **which: int) -> list[tuple[Any, ...]]:
        """Run a statement about the candidates and the ranks of their lists."""
        key = car_lists.parameters(self._run, ranks)
        with patient(self._conn), connection.transaction(self._conn, doing) as cur:
            sql.run(cur, "session/set_merge")
            query = sql.load(name, absent=self._absent, ranked=car_lists.ranked())
            return sql.rows(cur, query, {**key, **which})
