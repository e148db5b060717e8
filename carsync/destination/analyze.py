"""What follows a merge that wrote much: new statistics, and an index that knows the new lines."""

from __future__ import annotations

from contextlib import suppress

from carsync.errors import DatabaseError
from carsync.model import MergeCounts, Target
from carsync.postgres import connection, errors, sql
from carsync.postgres.wait import Connection, patient

ANALYZE_SHARE = 0.05
"""Share of rows written from which on the planner needs new statistics."""

SUMMARIZE_LINES = 50_000
"""From this many new lines on, a reader of the feed of changes would scan them again and again."""


def analyze_after(conn: Connection, target: Target, counts: MergeCounts) -> bool:
    """Run ANALYZE on the target if the merge wrote a large share; return whether it ran.

    Only over the columns that carsync's own statements ask for, which takes a fifth of the time,
    where autovacuum does the others within minutes.
    """
    written = counts.inserted + counts.updated + counts.reactivated + counts.deactivated
    if written >= SUMMARIZE_LINES:
        _summarize_lines(conn)
    if written <= ANALYZE_SHARE * counts.seen:
        return False
    own = sql.load("merge/own_columns", key=sql.identifier(target.id_column))
    with patient(conn), errors.translating("analyzing the table"), conn.cursor() as cur:
        name = sql.literal(sql.table(target).as_string(cur))
        is_cared_for = sql.one(cur, sql.load("merge/has_autovacuum", target=name))[0]
        parts = {"target": sql.table(target), "columns": own if is_cared_for else sql.NOTHING}
        sql.run(cur, sql.load("merge/analyze_target", **parts))
    return True


def _summarize_lines(conn: Connection) -> None:
    """Bring the index of lines up to date; where this role may not, autovacuum does it later."""
    with suppress(DatabaseError), connection.transaction(conn, "indexing changes") as cur:
        sql.run(cur, "session/set_ddl")
        sql.rows(cur, "changes/summarize_lines")
