"""The target's constraints, laid upon the staging table.

A text too long for `varchar(10)`, a number too large for `numeric(6,2)`, a NULL in a
NOT NULL column, a CHECK constraint: each would fail the whole merge, night after night.
With the same limits on staging they cost the one row that they refuse.
"""

from __future__ import annotations

from collections.abc import Sequence

from carsync.model import Column, Target
from carsync.postgres import sql
from carsync.postgres.sql import Composable, Cursor

_SAME_TYPES = {
    "text": frozenset({"text", "character varying"}),
    "integer": frozenset({"integer", "bigint", "numeric"}),
    "numeric": frozenset({"numeric"}),
    "boolean": frozenset({"boolean"}),
    "timestamptz": frozenset({"timestamp with time zone"}),
    "jsonb": frozenset({"jsonb"}),
}
"""Column type of the mapping → types of the target on which a CHECK means the same."""


def definitions(cur: Cursor, target: Target, columns: Sequence[Column]) -> Composable:
    """Compose the definitions of the staging columns, with the constraints of the target.

    A CHECK on columns that staging has not, or has with another type, is left out: what it
    refuses still fails the merge.
    """
    name = {"schema": target.schema, "table": target.table}
    found = {
        column: (type_, limited, is_required)
        for column, type_, limited, is_required in sql.rows(cur, "schema/list_limits", name)
    }
    parts = [_definition(column, *found.get(column.name, ("", None, False))) for column in columns]
    checkable = {
        column.name
        for column in columns
        if found.get(column.name, ("",))[0] in _SAME_TYPES[column.type]
    }
    for constraint, condition, looked_at in sql.rows(cur, "schema/list_checks", name):
        if checkable.issuperset(looked_at):
            check = {"constraint": sql.identifier(constraint), "test": sql.expression(condition)}
            parts.append(sql.load("staging/column_check", **check))
    return sql.comma_separated(parts)


def _definition(column: Column, type_: str, limited: str | None, is_required: bool) -> Composable:
    wanted = column.type
    if limited is not None and type_.startswith("character"):
        # As varchar, for char would fill ids up with blanks.
        wanted = f"character varying{limited[limited.index('(') :]}"
    elif type_ in {"bigint", "numeric"}:
        wanted = limited or type_
    definition = sql.definition(column.name, wanted)
    return sql.load("staging/required_column", column=definition) if is_required else definition
