"""Whose carsync's own schema is: who owns a table there can have its triggers run by us."""

from __future__ import annotations

from msgspec.structs import asdict

from carsync.errors import DatabasePermissionError
from carsync.model import Target
from carsync.postgres import sql
from carsync.postgres.sql import Cursor


def refuse_foreign_owners(cur: Cursor, target: Target) -> None:
    """Raise `DatabasePermissionError` where the schema `carsync`, or a part of it, is foreign.

    Its tables are read and written with all rights of our role, and so are their triggers and
    views. Nothing of them may have been touched before.
    """
    found = sql.rows(cur, "schema/list_foreign_owners", asdict(target))
    if not found:
        return
    what, owner, role, is_superuser = found[0]
    join = "" if is_superuser else f", or GRANT {owner} TO {role}"
    raise DatabasePermissionError(
        f"the schema carsync, or a part of it, belongs to {owner}, not to this role ({role})",
        detail=f"{'; '.join(line[0] for line in found)}: whoever owns it can have its functions "
        f"run with the rights of {role}",
        hint=f"if you trust {owner}: connect as {owner}{join}; to take it over: ALTER … OWNER TO "
        f"{role}, once you have looked at its triggers; if nobody knows it, rename {what} away",
    )
