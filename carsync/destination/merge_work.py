"""What the steps of one merge share: what is asked for, the statements' parts, the tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

from carsync.columns import MANAGED
from carsync.decision import SKIP, Decision
from carsync.destination import change_log, conditions, superseded
from carsync.destination.refused_rows import RefusedRows
from carsync.destination.removals import RemovalRules, Tombstones
from carsync.destination.staging import tables
from carsync.destination.target_table import list_triggers
from carsync.destination.verify import Staged
from carsync.model import Column, judged_records
from carsync.postgres import sql
from carsync.postgres.sql import Composable, Cursor
from carsync.postgres.target import parts as target_parts
from carsync.redaction import Secret
from carsync.state.runs import Run


class MergeRequest(Struct, frozen=True):
    """All that one merge needs.

    `run` is the run's line, with the token of this process. `columns` and `constants` are the
    mapper's. `pages` are all planned pages, by list, of which `failed_pages` were given up.
    `decision` is over the absent cars. `lists` names the lists of the feed. `records`: changes are
    recorded in `carsync.changes`. The merge fails where the table refuses more than
    `max_reject_share` of the records, earlier rejects included; a reject keeps nothing of the
    API's `secrets`. `is_watermark`: all that was asked for was read, so that the next incremental
    run may go on from here. `read_all`: that was the whole feed. `removals`: tombstones are staged.
    `counted` are staged rows and distinct ids, where this process has counted them.
    """

    run: Run
    columns: tuple[Column, ...]
    constants: tuple[tuple[Column, Any], ...]
    pages: Sequence[range]
    failed_pages: frozenset[int] = frozenset()
    decision: Decision = SKIP
    lists: tuple[str, ...] = ()
    records: bool = True
    max_reject_share: float = 1.0
    secrets: tuple[Secret, ...] = ()
    is_watermark: bool = False
    read_all: bool = False
    removals: RemovalRules | None = None
    counted: tuple[int, int] | None = None

    @property
    def is_replay(self) -> bool:
        """Rejects are staged, not pages of the feed."""
        return self.run.replay_of is not None

    @property
    def is_of_all(self) -> bool:
        """The whole feed was read: what is staged says something of every other car, too."""
        return self.run.mode == "full" and not self.is_replay


class MergeWork:
    """One merge inside its transaction: what was asked for, what is staged, and its statements.

    `parts` and `parameters` are those that its statements share. `tombstones` are None where the
    run reads none. `is_outrun`: later runs have read what is newer than some of its pages.
    """

    def __init__(self, cur: Cursor, request: MergeRequest, staged: Staged) -> None:
        run, proof = request.run, request.decision.proof
        self.cur = cur
        self.request = request
        self.staged = staged
        self.tombstones: Tombstones | None = None
        if request.removals is not None:
            self.tombstones = Tombstones.find(cur, run, request.removals)
        self.has_triggers = bool(list_triggers(cur, run.target))
        self.is_outrun = superseded.has_any(cur, run.run_id)
        self.parameters: dict[str, Any] = {
            **run.target.key(run.source),
            "run_id": run.run_id,
            "replay_of": run.replay_of,
            "is_of_all": request.is_of_all,
            "hash_scheme": run.hash_scheme,
            "gone": list(proof.gone),
            "alive": list(proof.alive),
            "next_run": proof.next_run,
            "needs_proof": request.decision.action == "prove",
        }
        mapped = _mapped(request)
        self.written = [*mapped, *(name for name in _SET_BY_MERGE if name != "created_at")]
        self.parts: dict[str, Composable] = {
            **tables(run.run_id),
            "delta": sql.identifier("carsync", f"delta_{run.run_id:d}"),
            **target_parts(cur, run.target),
            "source": sql.literal(run.source),
            "columns": sql.identifiers(mapped),
            "values": sql.comma_separated(mapped.values()),
            "record": change_log.record_written(run.run_id, records=request.records),
        }

    # ── statements ───────────────────────────────────────────────────────────

    def load(self, name: str, **parts: Composable) -> Composable:
        """Return a statement of the merge."""
        return sql.load(name, **{**self.parts, **parts})

    def run(self, name: str, **parts: Composable) -> int:
        """Execute a statement of the merge; return how many rows it wrote."""
        return sql.run(self.cur, self.load(name, **parts), self.parameters)

    def count(self) -> dict[str, int]:
        """Return how many cars the delta holds of each action."""
        return dict(sql.rows(self.cur, self.load("merge/count_delta")))

    def recording(self, written: Iterable[str]) -> dict[str, Composable]:
        """Compose the parts by which an UPDATE of these columns records its changes."""
        run, records = self.request.run, self.request.records
        return change_log.recording(self.cur, run.target, run.run_id, written, records=records)

    def expect_refusals(self, rows: int, *, is_small: bool) -> RefusedRows:
        """Return what deals with rows of the delta, `rows` long, that the table refuses.

        `is_small`: the planner may look its rows up, whose statistics are there.
        """
        request, staged = self.request, self.staged
        return RefusedRows(
            self.cur,
            request.run.run_id,
            request.run.target,
            request.columns,
            self.parts,
            rows=rows,
            is_small=is_small,
            records=judged_records(staged.rows + staged.rejects, request.run.mode),
            rejects=staged.rejects,
            max_share=request.max_reject_share,
            secrets=request.secrets,
        )

    # ── tests ────────────────────────────────────────────────────────────────

    def is_expected(self, touched: Composable | None = None) -> Composable:
        """Compose the test that a car, where it is not staged, is absent or proved gone."""
        run, gone = self.request.run, self.request.decision.proof.gone
        since = sql.literal(self.staged.oldest_fetch)
        is_expected = conditions.expected(run.source, since, touched)
        record_id = sql.identifier("t", "id" if touched else run.target.id_column)
        if self.request.is_of_all:
            return superseded.expected(is_expected, run.run_id, record_id)
        return conditions.named(is_expected, record_id, gone)

    def is_newest(self, *record_id: str, latest: str) -> Composable:
        """Compose the test that no later run has read the car of a record; see `superseded`.

        `record_id` is the column of the record's id, `latest` the table with its `latest_run`.
        """
        if not self.is_outrun:
            return sql.literal(True)
        column = sql.identifier(latest, "latest_run")
        return superseded.is_newest(self.request.run.run_id, sql.identifier(*record_id), column)


_SET_BY_MERGE = tuple(name for name in MANAGED if name != "data_hash")
"""Columns that the statements themselves name and set."""


def _mapped(request: MergeRequest) -> dict[str, Composable]:
    """Return the value of each column that the feed or a constant sets."""
    mapped = {
        **{column.name: sql.literal(value) for column, value in request.constants},
        **{column.name: sql.identifier("s", column.name) for column in request.columns},
    }
    left_out = {"id", request.run.target.id_column, *_SET_BY_MERGE}
    return {name: value for name, value in mapped.items() if name not in left_out}
