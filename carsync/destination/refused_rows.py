"""Rows that only the target itself refuses, in the merge: each costs itself.

A unique or functional index, a generated column, a trigger: staging cannot have them, so that
what they refuse is known only once it is written. Then the merge writes by halves; a record
that is refused alone becomes a reject, and an absent car that is refused stays as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from carsync import formatting
from carsync.errors import UnmergeableError
from carsync.model import MAX_ORIGINAL_CHARS, Column, Reject, Target
from carsync.postgres import connection, errors, sql, sqlstate
from carsync.postgres.halving import by_halves
from carsync.postgres.sql import Composable, Cursor
from carsync.redaction import Secret

log = logging.getLogger(__name__)

_SAMPLE = 100
_SURE = 10
"""Where so many are refused that the share of all would be so many times what is allowed, the
rest is not tried: the places are a sample, for they are in no order of the feed's."""
_TOLD = 3
"""So many refusals of a merge are logged one by one; all records are in `carsync.rejects`."""


class RefusedRows:
    """Writes a merge's delta piece by piece, and deals with what the target refuses of it.

    `parts` are the merge's, `rows` is the length of its delta; if it `is_small`, the planner may
    look its rows up in the target. Of `records` a share of `max_share` may be rejected, `rejects`
    of them being so already; none keeps anything of the API's `secrets`.
    """

    def __init__(
        self,
        cur: Cursor,
        run_id: int,
        target: Target,
        columns: Sequence[Column],
        parts: Mapping[str, Composable],
        *,
        rows: int,
        is_small: bool,
        records: int,
        rejects: int,
        max_share: float,
        secrets: Sequence[Secret],
    ) -> None:
        self.refused = 0
        self._cur = cur
        self._run_id = run_id
        self._target = target
        mapped = sql.comma_separated(map(_as_json, columns))
        self._parts = {**parts, "mapped": mapped}
        self._places = range(rows)
        self._is_small = is_small
        self._left = max_share * records - rejects
        self._before = 0
        self._max_share = max_share
        self._secrets = secrets
        self._is_numbered = False

    def write(
        self,
        load: Callable[[Composable], Composable],
        parameters: Mapping[str, Any],
        refuse: Callable[[int, Exception], None] | None = None,
    ) -> list[int]:
        """Execute a statement for all rows, or all but the refused ones; return its counts summed.

        `load` composes the statement for the rows that a condition chooses. `refuse` deals with
        a refused row; without it the row's record becomes a reject. Where all are refused there
        are no counts.
        Raises `UnmergeableError` where too many are refused.
        """
        everything = load(sql.literal(True))
        pieces = sql.rendered(self._cur, load(sql.load("merge/chosen")))
        sums: list[int] = []
        self._before = self.refused
        if self._is_small:
            sql.run(self._cur, "session/set_look_up")

        def attempt(places: range) -> None:
            query = everything if len(places) == len(self._places) else pieces
            bounds = {"first": places.start, "end": places.stop}
            with connection.role_path(self._cur):
                counts = sql.one(self._cur, query, {**parameters, **bounds})
            sums[:] = [a + b for a, b in zip(sums or [0] * len(counts), counts, strict=True)]

        by_halves(self._cur, self._places, attempt, refuse or self._reject, self._number)
        sql.run(self._cur, "session/set_merge")
        return sums

    def keep(self, place: int, exc: Exception) -> None:
        """Leave an absent car as it is."""
        self._count(place, self._keep(place, exc), exc)

    def keep_any(self, place: int, exc: Exception) -> None:
        """Leave the car of a tombstone as it is, however many the table refuses to let go."""
        record_id = self._keep(place, exc)
        _, reason = sqlstate.explain_refusal(exc)
        log.debug("%s refuses to let car %s go: %s", self._target, record_id, reason)

    def _keep(self, place: int, exc: Exception) -> str:
        self._number()
        found = self._rows("keep_refused", place)
        if not found:  # a trigger that refuses the statement, whatever its rows
            raise exc
        [(record_id,)] = found
        return str(record_id)

    def _reject(self, place: int, exc: Exception) -> None:
        self._number()
        found = self._rows("find_refused", place)
        if not found:
            raise exc
        [(page, ordinal, record_id, text)] = found
        reject = refused_row(ordinal, record_id, text, exc, self._secrets)
        self._count(place, record_id, exc)
        self._run("drop_refused", {"place": place})
        insert_rejects(self._cur, self._run_id, [(page, reject)], self._parts["ledger"])
        query = sql.load("staging/correct_ledger", ledger=self._parts["ledger"])
        sql.run(self._cur, query, {"page": page, "refused": 1})

    def _count(self, place: int, record_id: str, exc: Exception) -> None:
        self.refused += 1
        now = self.refused - self._before
        projected = now * len(self._places) / (place + 1) if now >= _SAMPLE else 0
        _, reason = sqlstate.explain_refusal(exc)
        if self.refused <= _TOLD:
            log.warning("%s refuses car %s: %s", self._target, record_id, reason)
        if self.refused > self._left or projected > _SURE * self._left:
            _, most = formatting.shares(self._max_share, self._max_share)
            raise UnmergeableError(
                f"{self._target} refuses more records than sync.max_reject_share allows ({most}); "
                "nothing was merged",
                detail=f"e.g. car {record_id}: {reason}",
                hint=errors.hint(exc),
            ) from exc

    def _number(self) -> None:
        """Give each row of the delta its place; the statements look rows up from now on."""
        if not self._is_numbered:
            self._run("number_delta")
            self._is_numbered = True
        sql.run(self._cur, "session/set_piecemeal")

    def _rows(self, name: str, place: int) -> list[tuple[Any, ...]]:
        return sql.rows(self._cur, sql.load(f"merge/{name}", **self._parts), {"place": place})

    def _run(self, name: str, parameters: Mapping[str, Any] | None = None) -> None:
        sql.run(self._cur, sql.load(f"merge/{name}", **self._parts), parameters)


def _as_json(column: Column) -> Composable:
    """Compose a staged value as the mapper gave it: ids, JSON and arrays are texts."""
    value = sql.identifier("s", column.name)
    if column.name == "id" or column.type in {"jsonb", "text[]"}:
        return sql.load("merge/as_text", value=value, name=sql.identifier(column.name))
    return value


def refused_row(
    ordinal: int,
    record_id: str | None,
    text: str,
    exc: BaseException,
    secrets: Iterable[Secret],
) -> Reject:
    """Return the reject for a mapped row, `text` being its JSON, that PostgreSQL refused.

    It keeps nothing of the API's `secrets`.
    """
    column, reason = sqlstate.explain_refusal(exc)
    reason = f"PostgreSQL refused it: {reason}"
    reject = Reject(ordinal, record_id, column, reason, text, "row")
    for secret in secrets:
        reject = reject.without(secret)
    if len(reject.original) > MAX_ORIGINAL_CHARS:
        original = reject.original[:MAX_ORIGINAL_CHARS]
        return replace(reject, original=original, original_kind="altered")
    return reject


def insert_rejects(
    cur: Cursor, run_id: int, rejects: Iterable[tuple[int, Reject]], ledger: Composable
) -> None:
    """Store rejects of a run, each with its page, which the ledger has."""
    lines = []
    for page, r in rejects:
        texts = (r.record_id, r.column, r.reason, r.original)
        *told, original = (sql.storable(cur, text) for text in texts)
        kind = r.original_kind if original == r.original else "altered"
        lines.append((page, r.ordinal, *told, original, kind))
    if lines:
        parts = {"ledger": ledger, "run_id": sql.literal(run_id)}
        sql.insert_values(cur, sql.load("staging/insert_rejects", **parts), lines)
