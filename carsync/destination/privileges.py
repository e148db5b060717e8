"""The role's privileges on the target table, and what other roles may read of carsync's own."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import asdict

from carsync.errors import ConfigError, DatabasePermissionError
from carsync.model import Target
from carsync.postgres import connection, sql
from carsync.postgres.sql import Cursor
from carsync.postgres.wait import Connection


class Relation(Struct, frozen=True):
    """A relation as the role sees it; `kind` is pg_class.relkind.

    `has_own_ids`: it makes its ids itself, and keeps the feed's in a unique `external_id`.
    """

    kind: str
    row_security: bool
    may_select: bool
    may_insert: bool
    may_update: bool
    id_is_unique: bool
    has_own_ids: bool
    rows_estimate: int


def describe(cur: Cursor, target: Target) -> Relation | None:
    """Return the relation of the target's name; None where there is none."""
    found = sql.rows(cur, "schema/describe_relation", asdict(target))
    return Relation(*found[0]) if found else None


def list_open_writers(cur: Cursor, target: Target) -> list[str]:
    """Return the roles that may write to the target without anybody having named it for them."""
    return [role for (role,) in sql.rows(cur, "schema/list_open_writers", asdict(target))]


def check(target: Target, relation: Relation | None) -> None:
    """Raise `DatabasePermissionError` where the role cannot see or write all rows.

    A row policy does not fail a query, it hides rows: carsync would take hidden cars for new
    or absent ones.
    """
    if relation is None:
        return
    if relation.row_security:
        raise DatabasePermissionError(
            f"row-level security hides rows of {target} from this role",
            detail="carsync would take hidden cars for new or absent ones",
            hint="connect as the table's owner (on Supabase: postgres) or a role with BYPASSRLS",
        )
    grants = {
        "SELECT": relation.may_select,
        "INSERT": relation.may_insert,
        "UPDATE": relation.may_update,
    }
    lacking = ", ".join(name for name, may in grants.items() if not may)
    if lacking:
        raise DatabasePermissionError(
            f"this role lacks {lacking} on {target}",
            hint=f"as the table's owner: GRANT {lacking} ON {target} TO the role",
        )


def grant_history(conn: Connection, role: str) -> list[str]:
    """Let `role` read the views `carsync.car_history` and `carsync.price_history`, nothing else.

    Returns a sentence; none where the role may read them already.
    Raises `ConfigError` where there is no such role; PUBLIC is none.
    """
    with connection.transaction(conn, f"granting the histories to {role}") as cur:
        found = sql.rows(cur, "schema/find_reader", {"role": role})
        if not found:
            raise ConfigError(
                f"there is no role {role!r}, so nothing was granted to it",
                detail="--grant takes the name of one role as PostgreSQL has it; the schema "
                "carsync stays closed to PUBLIC",
                hint="list the roles: SELECT rolname FROM pg_roles",
            )
        if found[0][0]:
            return []
        sql.run(cur, sql.load("schema/grant_history", role=sql.identifier(role)))
    return [f"granted {role} to read carsync.car_history and carsync.price_history"]
