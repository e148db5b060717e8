"""Replay: the rejects of a run are mapped anew and merged.

That is the newest merged run of the whole feed, or an incremental one since. After a fix of the
mapping, or of the table, the stored records that map now are staged and merged like those of any
run. They are as old as their page: a newer row of the table
stays as it is, and nobody is deactivated.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import get_args

from msgspec import Struct
from msgspec.structs import replace

from carsync.config.api_sections import Value
from carsync.config.lists import combine, name_of
from carsync.config.sections import Config
from carsync.destination import migrations, staging
from carsync.destination.commit import merge_once
from carsync.destination.merge_work import MergeRequest
from carsync.destination.stage_writer import StageWriter
from carsync.errors import CarsyncError, ConfigError, DatabaseError, LockedError, PageError
from carsync.exit_codes import ExitCode
from carsync.mapping.mapper import Mapper, target_columns
from carsync.model import MappedPage, MergeCounts, Mode, PageInfo, Reject, Row, RunState
from carsync.postgres.wait import Connection
from carsync.run import resume
from carsync.run.context import fit_to_table
from carsync.run.fingerprints import fingerprints
from carsync.source.pagination.lists import split
from carsync.state import rejects, runs, target_lock
from carsync.state.rejects import StoredReject
from carsync.state.runs import Run

ALTERED = "their stored text was cut short or altered, so it is not the whole record"
OTHER_ROW = "PostgreSQL refused their row, the mapping has changed since, and the text was not kept"


class ReplayPreview(Struct, frozen=True):
    """What a replay of `run_id`'s open rejects would find.

    `mapped` of the `rejects` map now, `rejected` still do not. The others cannot be replayed:
    `left_out` counts them by reason.
    """

    run_id: int
    rejects: int = 0
    mapped: int = 0
    rejected: int = 0
    left_out: tuple[tuple[str, int], ...] = ()


class Replayed(Struct, frozen=True):
    """What a replay did: `replay_run_id` and `counts` are None where it merged nothing.

    PostgreSQL refused `refused` of the mapped rows: these stay rejects as well.
    """

    outlook: ReplayPreview
    replay_run_id: int | None = None
    refused: int = 0
    counts: MergeCounts | None = None


class _Page(Struct, frozen=True):
    """The open rejects of a page: those that map now, those that do not, and those left out."""

    number: int
    rows: tuple[Row, ...]
    rejects: list[Reject]
    left_out: Counter[str]


class Replay:
    """The replay of one run over one connection, whose session holds the target's lock.

    Raises `LockedError` while another run is running or unfinished, `ConfigError` where this
    run's rejects cannot be replayed, and `DatabaseError`.
    """

    def __init__(self, config: Config, connection: Connection, run_id: int | None) -> None:
        self._config = config
        self._connection = connection
        self._source = config.sync.source
        self._target = config.target
        self._mapper = Mapper.load(config)
        self._prints = fingerprints(config, self._mapper)
        target_lock.acquire(connection, self._target)
        self._refuse_old_schema()
        self._config = fit_to_table(config, connection)
        self._mapper = Mapper.load(self._config)
        self._refuse_unfinished()
        self._run = self._choose_run(run_id)
        self._lists = {name_of(values): values for values in combine(config.api.lists)}
        self._names = runs.find_lists(connection, self._run.run_id)

    def look(self) -> ReplayPreview:
        """Map all open rejects and count them; changes nothing."""
        mapped = rejected = 0
        left_out: Counter[str] = Counter()
        for page in self._pages():
            mapped += len(page.rows)
            rejected += len(page.rejects)
            left_out += page.left_out
        total = mapped + rejected + left_out.total()
        return ReplayPreview(
            self._run.run_id, total, mapped, rejected, tuple(sorted(left_out.items()))
        )

    def carry_out(self, outlook: ReplayPreview) -> Replayed:
        """Merge the rejects that map now; the others stay, each with its new reason."""
        if not outlook.mapped:
            for page in self._pages():
                rejects.update(self._connection, self._run.run_id, page.number, page.rejects)
            return Replayed(outlook)
        run = runs.start_run(
            self._connection,
            self._target,
            self._source,
            hash_scheme=self._mapper.hash_scheme,
            replay_of=self._run.run_id,
        )
        try:
            pages = self._stage(run)
            request = MergeRequest(
                run=run,
                columns=self._mapper.columns,
                constants=self._mapper.constants,
                pages=[range(page, page + 1) for page in pages],
                records=self._config.history.changes_keep_days > 0,
                secrets=self._config.api.auth.secrets,
            )
            counts = merge_once(self._config, self._connection, request, lambda: False)
        except CarsyncError as exc:
            with suppress(DatabaseError):
                self._finish(run, exc.exit_code)
            raise
        with suppress(DatabaseError):  # it is done all the same
            self._finish(run, ExitCode.OK)
        return Replayed(outlook, run.run_id, counts.rejected, counts)

    # ── what may be replayed ─────────────────────────────────────────────────

    def _refuse_old_schema(self) -> None:
        columns = target_columns(self._mapper)
        if waiting := migrations.pending(self._connection, self._target, columns):
            raise DatabaseError(
                "the tables do not fit this carsync and mapping",
                detail=waiting[0],
                hint="run `carsync migrate`, then replay again",
            )
        scheme = runs.find_hash_scheme(self._connection, self._target, self._source)
        if scheme is not None and scheme != self._mapper.hash_scheme:
            raise ConfigError(
                "the hash scheme changed since the table was written",
                detail=f"from {scheme} to {self._mapper.hash_scheme}",
                hint="run `carsync sync`: it rewrites every row once, the rejected ones too",
            )

    def _refuse_unfinished(self) -> None:
        key = (self._config, self._connection, self._target, self._prints)
        for mode in get_args(Mode):
            found, _ = resume.find(*key, mode)
            if found is not None:
                raise LockedError(
                    f"run {found.run_id} is unfinished, and newer than all rejects that could be "
                    "replayed",
                    hint=f"finish it with `carsync sync --mode {mode}`; then its rejects can be "
                    "replayed",
                )

    def _choose_run(self, run_id: int | None) -> Run:
        key = (self._connection, self._target, self._source)
        merged = runs.last_full(*key)
        if merged is None:
            raise ConfigError(
                f"no run of {self._target} was merged yet: there is nothing to replay",
                hint="run `carsync sync`",
            )
        since = rejects.find_replayable(*key, merged.run_id)
        if run_id is None:
            run_id = since[0] if since else merged.run_id
        if run_id != merged.run_id and run_id not in since:
            detail = f"run {merged.run_id} read the feed last; no run since has such rejects"
            if run_id < merged.run_id:
                detail = f"run {merged.run_id} read the feed since, so its rejects replace them"
            raise ConfigError(
                f"the rejects of run {run_id} cannot be replayed",
                detail=detail,
                hint=f"replay those of run {merged.run_id}, or read the feed again with "
                "`carsync sync`",
            )
        return runs.require_run(*key, run_id, ConfigError)

    # ── mapping anew ─────────────────────────────────────────────────────────

    def _pages(self) -> Iterator[_Page]:
        run_id = self._run.run_id
        for number in rejects.list_pages(self._connection, run_id):
            rows: list[Row] = []
            still: list[Reject] = []
            left_out: Counter[str] = Counter()
            for stored in rejects.read_page(self._connection, run_id, number):
                found = self._read(stored)
                if isinstance(found, str):
                    left_out[found] += 1
                elif isinstance(found, Reject):
                    still.append(found)
                else:
                    rows.append(found)
            yield _Page(number, tuple(rows), still, left_out)

    def _read(self, stored: StoredReject) -> Row | Reject | str:
        """Return the row of a stored reject, its new reject, or the reason to leave it out."""
        if stored.original_kind == "altered":
            return ALTERED
        if stored.original_kind == "row":
            return self._read_row(stored)
        try:
            content = self._mapper.map_record(stored.original.encode(), listed=self._listed(stored))
        except PageError:
            return ALTERED
        if content.rejects:
            return replace(content.rejects[0], ordinal=stored.ordinal)
        return (stored.ordinal, *content.rows[0][1:])

    def _listed(self, stored: StoredReject) -> dict[str, Value]:
        """Return the parameters of the list that a record was on; none where it is no list now."""
        index, _ = split(stored.page, self._names)
        return self._lists.get(self._names[index] if self._names else "", {})

    def _read_row(self, stored: StoredReject) -> Row | str:
        if self._run.fingerprints.get("mapping") != self._prints["mapping"]:
            return OTHER_ROW
        values = json.loads(stored.original)
        return (stored.ordinal, *(values[column.name] for column in self._mapper.columns))

    # ── staging and merging ──────────────────────────────────────────────────

    def _stage(self, run: Run) -> list[int]:
        """Stage the rows that map now under their own page numbers; return the pages."""
        columns = self._mapper.columns
        staging.create(self._connection, run.run_id, columns, self._target)
        means = (self._config.database.load_method, self._config.api.auth.secrets)
        writer = StageWriter(self._connection, run.run_id, run.token, columns, *means)
        pages = []
        for page in self._pages():
            rejects.update(self._connection, self._run.run_id, page.number, page.rejects)
            if page.rows:
                mapped = MappedPage(page.number, page.rows, (), len(page.rows), PageInfo(), 0.0)
                writer.stage([mapped])
                pages.append(page.number)
        staging.date_replayed(self._connection, run.run_id, self._run.run_id)
        return pages

    def _finish(self, run: Run, exit_code: ExitCode) -> None:
        """Record the end and drop the staging tables, which the next sync drops otherwise."""
        state: RunState = "failed" if exit_code else "partial"
        runs.finish_run(self._connection, run, state, exit_code, {})
        staging.drop(self._connection, run.run_id)
