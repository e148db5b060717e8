"""The target in statements: its name, its column of ids, and that column's type.

carsync's own tables hold ids as texts. A statement that looks rows of the target up by such a
text casts the text, never the target's column, so that the column's index is used.
"""

from __future__ import annotations

from msgspec.structs import asdict

from carsync.model import Target
from carsync.postgres import sql
from carsync.postgres.sql import Composable, Cursor


def find_id_type(cur: Cursor, target: Target) -> str | None:
    """Return the type of the column of ids; None where the table or the column is missing."""
    found = sql.rows(cur, "schema/find_id_type", asdict(target))
    return str(found[0][0]) if found else None


def parts(cur: Cursor, target: Target) -> dict[str, Composable]:
    """Compose the parts `target`, `key` (its column of ids) and `id_type` of a statement."""
    id_type = find_id_type(cur, target) or "text"
    return {
        "target": sql.table(target),
        "key": sql.identifier(target.id_column),
        "id_type": sql.expression(id_type),
    }
