"""New statistics for the planner, after a merge that wrote much."""

from __future__ import annotations

from carsync.model import MergeCounts, Target
from carsync.postgres import errors, sql
from carsync.postgres.wait import Connection, patient

ANALYZE_SHARE = 0.05
"""Share of rows written from which on the planner needs new statistics."""


def analyze_after(conn: Connection, target: Target, counts: MergeCounts) -> bool:
    """Run ANALYZE on the target if the merge wrote a large share; return whether it ran."""
    written = counts.inserted + counts.updated + counts.reactivated + counts.deactivated
    if written <= ANALYZE_SHARE * counts.seen:
        return False
    query = sql.load("merge/analyze_target", target=sql.table(target))
    with patient(conn), errors.translating("analyzing the table"), conn.cursor() as cur:
        sql.run(cur, query)
    return True
