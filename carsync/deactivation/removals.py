"""What a run's tombstones would do, counted before the merge."""

from __future__ import annotations

from msgspec import Struct

from carsync import formatting
from carsync.config.sections import Deactivate
from carsync.deactivation.policy import cap_objections, most_deactivations
from carsync.destination.removals import FutureTombstones, RemovalRules, Tombstones
from carsync.postgres import connection, sql
from carsync.postgres.wait import Connection, patient
from carsync.state.runs import Run


class RemovalPlan(Struct, frozen=True):
    """What the staged tombstones would deactivate: `removed` of the source's `active` cars.

    Those from the `future` say nothing.
    """

    active: int = 0
    removed: int = 0
    future: FutureTombstones = FutureTombstones(0, None, None)

    def most(self, rules: Deactivate) -> int:
        """Return how many cars may go by tombstones; more are held, all of them."""
        return most_deactivations(self.active, rules) if rules.enabled else 0

    def objections(self, rules: Deactivate) -> tuple[str, ...]:
        """Say why so many cars may not go; empty where they may."""
        found = cap_objections(self.removed, self.active, rules)
        return tuple(f"by tombstones {words}" for words in found)

    @property
    def fault(self) -> str:
        """What is wrong with the times of tombstones, in words; empty where nothing is."""
        future = self.future
        if not future.count or future.at is None:
            return ""
        lie = formatting.plural(future.count, "tombstone", "lies", "lie")
        return (
            f"{lie} in the future and cannot be believed, e.g. of {future.record_id} at "
            f"{formatting.moment(future.at)}: check api.removals.at (its zone)"
        )


def plan_removals(conn: Connection, run: Run, *, moves: bool) -> RemovalPlan:
    """Count what the run's tombstones would deactivate; `moves` is as in `RemovalRules`."""
    with patient(conn), connection.transaction(conn, "counting tombstones") as cur:
        sql.run(cur, "session/set_merge")
        tombstones = Tombstones.find(cur, run, RemovalRules(moves=moves))
        if tombstones is None:
            return RemovalPlan()
        parts = {"target": sql.table(run.target), "source": sql.literal(run.source)}
        query = sql.load("removals/count_removed", **parts, removed=tombstones.removed())
        active, removed = sql.one(cur, query)
        return RemovalPlan(active, removed, tombstones.count_future())
