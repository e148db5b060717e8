"""What is read of the feed in one transaction: few lines where they are large, no hidden rows."""

from __future__ import annotations

from msgspec.structs import asdict

from carsync.errors import DatabasePermissionError
from carsync.model import Target
from carsync.postgres import sql
from carsync.postgres.sql import Composable, Cursor
from carsync.postgres.target import parts as target_parts

WINDOW_BYTES = 8_000_000
_FIRST = 200
_FASTER = 8


class WindowSize:
    """Lines, or rows, that are read next: at most `most`, and about `WINDOW_BYTES` of them.

    >>> size = WindowSize(5_000)
    >>> size.lines
    200
    >>> size.note(200, 100_000)
    >>> size.lines
    1600
    >>> size.note(1_600, 800_000_000)
    >>> size.lines
    16
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.lines = min(_FIRST, most)

    def note(self, lines: int, size: int) -> None:
        """Fit the next window to one that had so many lines of so many bytes, or none."""
        fitting = WINDOW_BYTES * lines // size if size else self._most
        self.lines = max(1, min(self._most, fitting, self.lines * _FASTER))


def visible_rows(cur: Cursor, target: Target) -> dict[str, Composable]:
    """Compose the parts by which rows of the target are read, all of them.

    Raises `DatabasePermissionError` where a row policy may hide some: they would look deleted.
    """
    if sql.one(cur, "changes/find_hidden", asdict(target))[0]:
        raise DatabasePermissionError(
            f"row-level security hides rows of {target} from this role",
            detail="cars that are hidden would look as if they were deleted",
            hint="connect as the table's owner (on Supabase: postgres) or a role with BYPASSRLS",
        )
    return target_parts(cur, target)
