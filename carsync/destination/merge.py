"""The merge: from staging into the target table, in one transaction.

Everything the run did becomes visible at once, with its line in `carsync.runs`, or
not at all. Readers of the table are never blocked: only rows are locked, and only
those that are written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict, replace

from carsync import failpoints, formatting
from carsync.columns import DEACTIVATED, MANAGED
from carsync.config.lists import REMOVALS_FROM
from carsync.destination import (
    car_lists,
    change_log,
    conditions,
    privileges,
    superseded,
    verify,
)
from carsync.destination.refused_rows import RefusedRows
from carsync.destination.removals import RemovalRules, Tombstones
from carsync.destination.staging import tables
from carsync.destination.target_table import list_triggers
from carsync.destination.verify import Staged
from carsync.errors import DatabaseError
from carsync.model import SKIP, Column, Decision, MergeCounts, RunState, judged_records
from carsync.postgres import connection, errors, sql
from carsync.postgres.sql import Composable, Cursor
from carsync.postgres.target import parts as target_parts
from carsync.postgres.wait import Connection, patient
from carsync.redaction import Secret
from carsync.state import runs
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

    @property
    def is_replay(self) -> bool:
        """Rejects are staged, not pages of the feed."""
        return self.run.replay_of is not None

    @property
    def is_of_all(self) -> bool:
        """The whole feed was read: what is staged says something of every other car, too."""
        return self.run.mode == "full" and not self.is_replay


def merge(conn: Connection, request: MergeRequest) -> MergeCounts:
    """Bring the target in step with what is staged, and record the run; roll a dry run back.

    A failed merge left nothing behind and may be repeated. Where the connection broke
    (`DatabaseUnavailableError`), call `lookup_outcome` on a new one first.
    Returns the counts.
    Raises `StagingLostError` where pages must be fetched again, `LockedError` where the run is
    not this process's any more, and `DatabaseError`.
    """
    run = request.run
    keep = run.scope != "dry"
    verify.check_exists(conn, run.run_id)
    with patient(conn), connection.transaction(conn, "merging", keep=keep) as cur:
        failpoints.reach("merge.begun")
        sql.run(cur, "session/set_merge")
        sql.run(cur, "session/set_constraints")
        runs.fence_run(cur, run)
        failpoints.reach("merge.fenced")
        privileges.check(run.target, privileges.describe(cur, run.target))
        sql.run(cur, sql.load("staging/lock_staging", **tables(run.run_id)))
        staged = verify.check(cur, run.run_id, request.pages, request.failed_pages)
        failpoints.reach("merge.verified")
        counts = _Merge(cur, request, staged).carry_out()
        failpoints.reach("merge.recorded")
    failpoints.reach("merge.committed")
    return counts


def lookup_outcome(conn: Connection, run_id: int) -> MergeCounts | None:
    """Return the counts of the run's merge; None where no merge was committed.

    This waits, up to the lock timeout, for a merge whose connection broke and that the server
    may still be working on.
    """
    with connection.transaction(conn, "looking up the merge's outcome") as cur:
        found = sql.rows(cur, "merge/find_outcome", {"run_id": run_id})
    if not found or found[0][0] is None:
        return None
    return MergeCounts(**found[0][0])


class _Merge:
    """The steps of one merge, inside its transaction."""

    def __init__(self, cur: Cursor, request: MergeRequest, staged: Staged) -> None:
        run, proof = request.run, request.decision.proof
        self._cur = cur
        self._request = request
        self._staged = staged
        self._since = sql.literal(staged.oldest_fetch)
        self._tombstones: Tombstones | None = None
        if (rules := request.removals) is not None:
            self._tombstones = Tombstones.find(cur, run, moves=rules.moves)
        self._has_triggers = bool(list_triggers(cur, run.target))
        self._is_outrun = superseded.has_any(cur, run.run_id)
        self._parameters = {
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
        mapped = {
            **{column.name: sql.literal(value) for column, value in request.constants},
            **{column.name: sql.identifier("s", column.name) for column in request.columns},
        }
        # The statements themselves name the id and what the merge sets.
        own = [name for name in MANAGED if name != "data_hash"]
        left_out = {"id", run.target.id_column, *own}
        mapped = {name: value for name, value in mapped.items() if name not in left_out}
        self._written = [*mapped, *(name for name in own if name != "created_at")]
        self._parts: dict[str, Composable] = {
            **tables(run.run_id),
            "delta": sql.identifier("carsync", f"delta_{run.run_id:d}"),
            **target_parts(cur, run.target),
            "source": sql.literal(run.source),
            "columns": sql.identifiers(mapped),
            "values": sql.comma_separated(mapped.values()),
            "record": change_log.record_written(run.run_id, records=request.records),
        }

    def carry_out(self) -> MergeCounts:
        """Write the cars that were seen, deactivate or hold the others, and record it."""
        if self._tombstones is not None and self._request.removals is not None:
            self._tombstones.check(self._request.removals.pages)
        is_reading = not self._request.is_replay and self._request.run.mode != "refresh"
        if is_reading and self._request.run.scope != "sample":
            self._record_lists()
        duplicates = 0
        if self._staged.rows > self._staged.ids:
            duplicates = self._run("staging/delete_duplicates")
        planned = self._compare()
        failpoints.reach("merge.compared")
        refusals = self._expect_refusals(planned)
        counts = replace(self._write_seen(planned, refusals), duplicate=duplicates)
        self._settle_rejects()
        if not self._request.is_replay:
            counts = self._settle_absent(planned, counts, refusals)
            failpoints.reach("merge.deactivated")
            run_id, gone = self._request.run.run_id, self._request.decision.proof.gone
            older = superseded.record(self._cur, run_id, gone, self._parts)
            if self._tombstones is not None:
                self._tombstones.supersede(older)
        self._record(counts)
        self._run("merge/drop_delta")
        if self._tombstones is not None:
            self._tombstones.drop()
        if self._is_outrun:
            self._run("superseded/forget_superseded")
        run, records = self._request.run, self._request.records
        which = (run.run_id, run.target, run.source)
        change_log.end_batch(self._cur, *which, asdict(counts), records=records)
        return counts

    def _record_lists(self) -> None:
        request, is_newest = self._request, self._is_read_newest()
        if request.lists or request.is_of_all:
            lists, ranks = request.lists, request.decision.lists
            car_lists.record(self._cur, request.run, lists, ranks, is_newest)

    def _settle_rejects(self) -> None:
        """Settle the rejects that are none any more: replayed, or read well on another page."""
        if self._request.is_replay:
            for name in ("settle_replayed", "return_refused", "forget_replayed"):
                self._run(f"merge/{name}")
        if self._request.is_replay or self._staged.rejects:
            self._run("merge/settle_seen")
        if self._is_outrun:
            latest = sql.identifier("l", "latest_run")
            is_newest = self._is_newest(sql.identifier("j", "record_id"), latest)
            self._run("superseded/settle_rejects", is_newest=is_newest)
        if self._is_outrun or not (self._request.is_of_all or self._request.is_replay):
            self._run("superseded/settle_others", is_newest=self._is_read_newest())

    def _compare(self) -> dict[str, int]:
        """Create the delta; return how many cars it holds of each action."""
        touched = sql.identifier("t", "touched_at")
        is_replay = self._request.is_replay
        fetched_at = sql.identifier("s", "fetched_at")
        self._run(
            "merge/create_delta",
            touched_at=conditions.touched_at(),
            is_untouched=conditions.untouched_since(fetched_at, touched),
            is_expected=self._is_expected(touched),
            is_newest=self._is_newest(
                sql.identifier("staged", "id"), sql.identifier("l", "latest_run")
            ),
            # Records that are replayed were read before the last merge, surely.
            last_merge=sql.literal(None if is_replay else self._staged.last_merge),
        )
        if not is_replay and self._staged.rejects:
            first = sql.literal(REMOVALS_FROM)
            self._run("deactivation/discard_rejected", removals_from=first)
        if self._parameters["alive"]:
            self._run("deactivation/discard_alive")
        if self._tombstones is not None and self._request.removals is not None:
            most = self._request.removals.max_deactivations
            self._tombstones.add(self._parts["delta"], most)
        if (lists := self._request.decision.lists) is not None:
            key = car_lists.parameters(self._request.run, lists)
            query = self._load("lists/settle_absent", ranked=car_lists.ranked())
            sql.run(self._cur, query, key)
        return self._count()

    def _count(self) -> dict[str, int]:
        return dict(sql.rows(self._cur, self._load("merge/count_delta")))

    def _is_expected(self, touched: Composable | None = None) -> Composable:
        """Compose the test that a car, where it is not staged, is absent or proved gone."""
        run, gone = self._request.run, self._request.decision.proof.gone
        is_expected = conditions.expected(run.source, self._since, touched)
        record_id = sql.identifier("t", "id" if touched else run.target.id_column)
        if self._request.is_of_all:
            return superseded.expected(is_expected, run.run_id, record_id)
        return conditions.named(is_expected, record_id, gone)

    def _is_newest(self, record_id: Composable, latest: Composable) -> Composable:
        """Compose the test that no later run has read the car of a record; see `superseded`."""
        if not self._is_outrun:
            return sql.literal(True)
        return superseded.is_newest(self._request.run.run_id, record_id, latest)

    def _is_read_newest(self) -> Composable:
        return self._is_newest(sql.identifier("read", "id"), sql.identifier("read", "latest_run"))

    def _expect_refusals(self, planned: dict[str, int]) -> RefusedRows:
        request, staged = self._request, self._staged
        return RefusedRows(
            self._cur,
            request.run.run_id,
            request.run.target,
            request.columns,
            self._parts,
            rows=sum(planned.values()),
            records=judged_records(staged.rows + staged.rejects, request.run.mode),
            rejects=staged.rejects,
            max_share=request.max_reject_share,
            secrets=request.secrets,
        )

    def _write_seen(self, planned: dict[str, int], refusals: RefusedRows) -> MergeCounts:
        """Update the changed, bring back the returned, insert the new."""
        staged = self._staged
        if planned.get("foreign"):
            self._refuse_foreign(planned["foreign"])
        done = dict.fromkeys(("update", "reactivate", "insert"), 0)
        kept = 0
        if planned.get("update") or planned.get("reactivate"):
            done["update"], done["reactivate"] = self._update_changed(refusals)
            failpoints.reach("merge.updated")
        if planned.get("insert"):
            done["insert"] = self._insert_new(refusals)
            failpoints.reach("merge.inserted")
        if self._has_triggers and any(planned.get(action) for action in done):
            for action, as_asked, otherwise in self._count_as_asked():
                done[action] = as_asked
                kept += otherwise
        to_write = sum(planned.get(action, 0) for action in (*done, "stale"))
        return MergeCounts(
            seen=staged.seen,
            inserted=done["insert"],
            updated=done["update"],
            reactivated=done["reactivate"],
            unchanged=staged.ids - to_write,
            stale=to_write - sum(done.values()) - refusals.refused - kept,
            rejected=staged.rejects + refusals.refused,
            kept=kept,
        )

    def _count_as_asked(self) -> list[tuple[Any, ...]]:
        """Count, by action, the cars as they are now: what a trigger made of what was written."""
        touched = {"touched_at": conditions.touched_at()}
        is_untouched = conditions.untouched_since(sql.identifier("d", "fetched_at"))
        query = self._load("merge/count_as_asked", is_untouched=is_untouched, **touched)
        return sql.rows(self._cur, query)

    def _update_changed(self, refusals: RefusedRows) -> list[int]:
        fetched_at = sql.identifier("d", "fetched_at")
        parts = {
            **self._recording(self._written),
            "is_untouched": conditions.untouched_since(fetched_at),
        }
        done = refusals.write(
            lambda chosen: self._load("merge/update_changed", **parts, is_chosen=chosen), {}
        )
        return done or [0, 0]

    def _insert_new(self, refusals: RefusedRows) -> int:
        """Insert the new cars and count them.

        ON CONFLICT costs a quarter more and a WAL record a row, so it is used only where
        another session did insert one of them in the meantime.
        """

        def load(is_chosen: Composable, on_conflict: Composable) -> Composable:
            return self._load("merge/insert_new", on_conflict=on_conflict, is_chosen=is_chosen)

        try:
            with connection.savepoint(self._cur), connection.role_path(self._cur):
                return int(sql.one(self._cur, load(sql.literal(True), sql.NOTHING))[0])
        except Exception as exc:
            if not errors.is_refusal(exc):
                raise
        keep_rivals = self._load("merge/keep_rivals")
        return sum(refusals.write(lambda chosen: load(chosen, keep_rivals), {}))

    def _refuse_foreign(self, number: int) -> None:
        run = self._request.run
        examples = sql.rows(self._cur, self._load("merge/list_foreign"))
        owner = examples[0][1]
        raise DatabaseError(
            f"{formatting.plural(number, 'car', 'belongs', 'belong')} to another source in "
            f"{run.target}, although this feed lists {'it' if number == 1 else 'them'}",
            detail=f"e.g. id {examples[0][0]} has source_api {owner!r}; this run's source is "
            f"{run.source!r}",
            hint=f"if it is the same feed, set sync.source: {owner}; "
            "else use another table for this feed",
        )

    def _settle_absent(
        self, planned: dict[str, int], counts: MergeCounts, refusals: RefusedRows
    ) -> MergeCounts:
        """Deactivate, or hold and remember, the cars that were not seen or have a tombstone.

        All are held where more are absent than were decided over: somebody else's rows, say.
        """
        removed = told = 0
        if self._tombstones is not None and (planned.get("removed") or planned.get("told")):
            parts, has = self._parts, self._has_triggers
            work = (refusals, parts, self._recording)
            removed, told = self._tombstones.write(*work, has_triggers=has)
        decision = self._request.decision
        action, absent = decision.action, planned.get("absent", 0) + planned.get("sure", 0)
        if action in {"deactivate", "prove"} and absent > decision.max_deactivations:
            action = "hold"
            self._parameters["needs_proof"] = False
        if absent and action in {"deactivate", "prove"}:
            self._deactivate(refusals)
        found = self._count() if absent or removed or planned.get("removed") else {}
        if decision.lists is not None and found.get("gone"):
            self._run("lists/forget_gone")
        is_of_all = self._request.is_of_all
        self._run("deactivation/forget_absences" if is_of_all else "deactivation/forget_seen")
        held = 0
        misses = is_of_all and action in {"prove", "hold"}
        if misses or planned.get("held"):
            self._parameters["recorded"] = ["absent", "sure", "held"] if misses else ["held"]
            held = self._run("deactivation/record_absences")
        return replace(
            counts,
            updated=counts.updated + told,
            deactivated=found.get("gone", 0),
            removed=removed,
            held=held,
            kept=counts.kept + found.get("kept", 0),
        )

    def _deactivate(self, refusals: RefusedRows) -> None:
        """Deactivate the absent cars that may go.

        The table refuses some, or a trigger takes it back: these are kept.
        """
        is_going = sql.load("deactivation/going", is_expected=self._is_expected())
        parts = {**self._recording(DEACTIVATED), "is_going": is_going}
        refusals.write(
            lambda chosen: self._load("deactivation/deactivate_absent", **parts, is_chosen=chosen),
            self._parameters,
            refusals.keep,
        )
        if self._has_triggers:
            self._run("deactivation/keep_active", is_going=is_going)

    def _record(self, counts: MergeCounts) -> None:
        request = self._request
        state: RunState = "complete"
        if request.failed_pages or request.is_replay or request.run.scope == "sample":
            state = "partial"
        elif counts.held or request.decision.is_held:
            state = "held"
        origin = change_log.origin(self._cur) if request.records else None
        # A car that another program wrote meanwhile was left as it is: it is asked for again.
        is_watermark = request.is_watermark and (request.is_of_all or not counts.stale)
        if self._tombstones is not None and self._tombstones.is_held:
            is_watermark = False  # the next run reads the tombstones again
        marks = {"is_watermark": is_watermark, "read_all": request.read_all}
        runs.record_merge(self._cur, request.run, state, counts, origin, **marks)
        self._run("merge/record_hash_scheme")

    def _recording(self, written: Iterable[str]) -> dict[str, Composable]:
        run, records = self._request.run, self._request.records
        return change_log.recording(self._cur, run.target, run.run_id, written, records=records)

    def _load(self, name: str, **parts: Composable) -> Composable:
        return sql.load(name, **{**self._parts, **parts})

    def _run(self, name: str, **parts: Composable) -> int:
        return sql.run(self._cur, self._load(name, **parts), self._parameters)
