"""Records that are just as the target has them: staged without their values.

Most records of a night are. Looking their rows up costs less than to write, to read and to drop
what nobody will need. The merge compares them again, as it does all that is staged: a row that is
not as it was any more has been written after its page was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from carsync.destination import staging, superseded
from carsync.destination.staging import list_types, tables
from carsync.model import MappedPage
from carsync.packed_rows import keys_of
from carsync.postgres import connection, sql
from carsync.postgres.sql import Composable, Cursor
from carsync.postgres.target import parts as target_parts
from carsync.postgres.wait import Connection, patient
from carsync.state import runs
from carsync.state.runs import Run

_UNTRIED = 9
"""After a batch of which nothing is known so many are staged as they are: in a first load, say."""
_MOST_OUTDATED = 0.01
"""Of the records that were unchanged: more are not merged from what lacks their values."""


class UnchangedRows:
    """Stages the records of one run that the target has already; made inside no transaction."""

    def __init__(self, conn: Connection, run_id: int) -> None:
        self._conn = conn
        self._run_id = run_id
        self._query: Composable | None = None
        self._untried = 0

    def pause(self) -> None:
        """Stage the next batches as they are: whoever has locked the target may take long."""
        self._untried = _UNTRIED

    def stage(self, cur: Cursor, pages: Sequence[MappedPage]) -> list[MappedPage]:
        """Stage the records of the pages that are unchanged; return the pages with the others."""
        if self._untried or not any(page.rows for page in pages):
            self._untried = max(0, self._untried - 1)
            return list(pages)
        keys = [(str(page.page), *key) for page in pages for key in keys_of(page.rows)]
        values = {
            "pages": _array([page for page, *_ in keys]),
            "ordinals": _array([str(ordinal) for _, ordinal, *_ in keys]),
            "ids": _array([record_id for _, _, record_id, _ in keys]),
            "hashes": _array([data_hash for *_, data_hash in keys]),
        }
        if self._query is None:
            self._query = self._compose(cur)
        with connection.role_path(cur):
            found = {page: set(ordinals) for page, ordinals in sql.rows(cur, self._query, values)}
        if not found:
            self.pause()
            return list(pages)
        return [_without(page, found.get(page.page, set())) for page in pages]

    def _compose(self, cur: Cursor) -> Composable:
        run = runs.find_run(self._conn, self._run_id)
        assert run is not None  # its pages are claimed
        own = tables(self._run_id)
        query = sql.load(
            "staging/record_unchanged",
            **own,
            **target_parts(cur, run.target),
            staged_type=sql.expression(list_types(cur, own["staging"])["id"]),
            source=sql.literal(run.source),
        )
        return sql.rendered(cur, query)


def are_outdated(conn: Connection, run: Run) -> bool:
    """Say whether the table has changed under an unfinished run, by a revert or another program.

    What was unchanged is staged without values, so that the run could not bring them back.
    """
    if not staging.has_seen(conn, run.run_id):
        return False
    with patient(conn), connection.transaction(conn, "comparing unchanged records") as cur:
        sql.run(cur, "session/set_merge")
        place = (sql.identifier("s", "id"), sql.identifier("l", "latest_run"))
        query = sql.load(
            "staging/count_outdated",
            **tables(run.run_id),
            **target_parts(cur, run.target),
            source=sql.literal(run.source),
            is_newest=superseded.is_newest(run.run_id, *place),
        )
        unchanged, outdated = sql.one(cur, query)
    return bool(outdated > _MOST_OUTDATED * unchanged)


def _array(texts: Sequence[str]) -> str:
    r"""Write an array as PostgreSQL reads it: one literal is parsed faster than many.

    >>> _array(["a", 'b"'])
    '{"a","b\\""}'
    """
    whole = "".join(texts)
    if '"' in whole or "\\" in whole:
        texts = [text.replace("\\", r"\\").replace('"', r"\"") for text in texts]
    return '{"' + '","'.join(texts) + '"}'


def _without(page: MappedPage, ordinals: set[int]) -> MappedPage:
    if len(ordinals) == len(page.rows):
        return replace(page, rows=())
    return replace(page, rows=tuple(row for row in page.rows if row[0] not in ordinals))
