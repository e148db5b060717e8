"""The target's constraints, laid upon the staging table.

A text too long for `varchar(10)`, a number too large for `numeric(6,2)`, a NULL in a
NOT NULL column, a CHECK constraint: each would fail the whole merge, night after night.
With the same limits on staging they cost the one row that they refuse.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import asdict

from carsync.model import MATCH, Column, Target
from carsync.postgres import sql
from carsync.postgres.sql import Composable, Cursor

_SAME_TYPES = {
    "text": frozenset({"text", "character varying"}),
    "integer": frozenset({"integer", "numeric"}),
    "numeric": frozenset({"numeric"}),
    "boolean": frozenset({"boolean"}),
    "timestamptz": frozenset({"timestamp with time zone"}),
    "double precision": frozenset({"double precision"}),
    "jsonb": frozenset({"jsonb"}),
}
"""Column type of the mapping → types of the target on which a CHECK means the same."""
_AS_IN_TARGET = frozenset(
    {"smallint", "integer", "bigint", "date", "uuid", "text[]", "enum", "domain"}
)
"""Types of the target that staging has too, whatever the mapping's are: they refuse what does not
fit, row by row, and hold what does without loss."""


def definitions(
    cur: Cursor, target: Target, columns: Sequence[Column], *, is_row: bool = True
) -> Composable:
    """Compose the definitions of the staging columns, with the constraints of the target.

    A CHECK on columns that staging has not, or has with another type, is left out: what it
    refuses still fails the merge. Unless `is_row`, only the types are the target's: what is staged
    is no row of it.
    """
    place = asdict(target)
    found = {column: limits for column, *limits in sql.rows(cur, "schema/list_limits", place)}
    limits_of = {column: found.get(_bare(column), ["", None, False]) for column in columns}
    if not is_row:
        return sql.comma_separated(
            _definition(column, type_, limited, False)
            if column.name == "id"
            else sql.definition(column.name, limited or type_ or column.type)
            for column, (type_, limited, _) in limits_of.items()
        )
    parts = [_definition(column, *limits) for column, limits in limits_of.items()]
    checkable = {
        c.name
        for c, (type_, *_) in limits_of.items()
        if type_ in _AS_IN_TARGET or type_ in _SAME_TYPES.get(c.type, ())
    }
    for constraint, condition, looked_at in sql.rows(cur, "schema/list_checks", place):
        if checkable.issuperset(looked_at):
            check = {"constraint": sql.identifier(constraint), "test": sql.expression(condition)}
            parts.append(sql.load("staging/column_check", **check))
    return sql.comma_separated(parts)


def _bare(column: Column) -> str:
    """Return the name of the target's column that a staged one is of."""
    return column.name.removeprefix(MATCH)


def _definition(column: Column, type_: str, limited: str | None, is_required: bool) -> Composable:
    wanted = column.type
    if limited is not None and type_.startswith("character"):
        # As varchar, for char would fill ids up with blanks.
        wanted = f"character varying{limited[limited.index('(') :]}"
    elif type_ in _AS_IN_TARGET or type_ == "numeric":
        wanted = limited or type_
    definition = sql.definition(column.name, wanted)
    return sql.load("staging/required_column", column=definition) if is_required else definition
