"""How a run begins: the tables made ready, an unfinished run resumed or a new one recorded."""

from __future__ import annotations

import logging
from functools import partial

from carsync import failpoints, formatting
from carsync.destination import migrations, staging
from carsync.errors import DatabaseError, DatabaseUnavailableError, LockedError
from carsync.mapping.mapper import target_columns, tombstone_columns
from carsync.model import PARENT_SESSIONS, RunMode
from carsync.postgres.connect import connect_as, try_opening
from carsync.run import resume
from carsync.run.context import RunContext
from carsync.run.fingerprints import find_other_feed
from carsync.state import changes, rejects, requests, runs, samples
from carsync.state.checkpoint import CheckpointState
from carsync.state.runs import Run

log = logging.getLogger(__name__)

_LEFT_ALONE: dict[RunMode, tuple[RunMode, ...]] = {
    "full": (),
    "incremental": ("full",),
    "refresh": ("full", "incremental"),
}
"""Unfinished runs of these modes are not abandoned for a run of this one."""

RETIRED_DAYS = 90
"""A source without a run for so long is retired: nobody resumes, replays or reverts its runs."""


def prepare_schema(context: RunContext) -> None:
    """Apply pending migrations, and announce a change of the hash scheme.

    A dry run applies none: it raises `DatabaseError` where some are pending.
    """
    connection, target, mapper = context.connection, context.target, context.mapper
    columns = target_columns(mapper)
    if context.options.dry_run:
        if waiting := migrations.pending(connection, target, columns):
            raise DatabaseError(
                "a dry run creates and changes no table, and some tables are not ready",
                detail="; ".join(waiting[:3]),
                hint="run `carsync migrate`, which writes no row, then run again",
            )
    elif context.config.database.auto_migrate:
        for sentence in migrations.migrate(connection, target, columns):
            context.say(sentence)
    else:
        migrations.check_target(connection, target, columns)
    context.fit_ids()
    scheme = runs.find_hash_scheme(connection, target, context.source)
    if scheme is not None and scheme != mapper.hash_scheme:
        context.note(
            f"the hash scheme changes from {scheme} to {mapper.hash_scheme}: "
            "every row is rewritten once"
        )


def check_origin(context: RunContext) -> None:
    """Refuse a feed that is not the one that wrote this source's cars; raise `ConfigError`."""
    last = runs.last_merged(context.connection, context.target, context.source)
    error = find_other_feed(context.config, last)
    if error is not None and not context.options.adopt_source:
        raise error


def resume_or_start(context: RunContext, previous: CheckpointState | None) -> Run:
    """Resume the unfinished run, or record a new one and clear up what others left.

    A dry run leaves an unfinished run and its pages alone, and starts afresh beside it. A
    sample would make the unfinished run's pages old: it raises `LockedError` where there is
    one, unless `options.fresh`. `previous` is the checkpoint as the run found it.
    """
    connection, target, source = context.connection, context.target, context.source
    options = context.options
    run = None
    if options.scope == "whole" and not options.fresh:
        run = resume.resume_unfinished(context, previous)
    elif options.scope == "sample" and not options.fresh:
        found, _ = resume.find(
            context.config, connection, target, context.fingerprints, context.mode
        )
        if found is not None:
            raise LockedError(
                f"run {found.run_id} is unfinished; a run with --max-pages would make its pages "
                "old",
                hint=f"finish it with `carsync sync --mode {context.mode}`, or discard it: --fresh",
            )
    for dead in runs.forget_trials(connection, target, source):
        staging.end_writers(connection, dead)
        staging.drop(connection, dead)
    if not options.dry_run:
        kept = set_aside(context)
        if run is not None:
            kept.append(run.run_id)
        runs.abandon_runs(connection, target, source, kept)
        staging.drop_stale(connection, target, source, kept)
        _prune(context)
    return run if run is not None else _start(context)


def set_aside(context: RunContext) -> list[int]:
    """Leave unfinished runs for later that read more than this one does; return them.

    A run of the whole feed reads what any other would have read, too.
    """
    age_h, modes = context.config.checkpoint.max_age_h, _LEFT_ALONE[context.mode]
    kept = runs.set_aside(context.connection, context.target, context.source, modes, age_h)
    for run_id in kept:
        staging.end_writers(context.connection, run_id)
        context.say(f"run {run_id} is not merged yet, and is left as it is")
    return kept


def _prune(context: RunContext) -> None:
    """Delete what is old of past runs, merged or not, and all details of retired sources.

    The run goes on where this fails; the next one tries again.
    """
    connection, target, source = context.connection, context.target, context.source
    keep = context.config.history
    try:
        rejects.prune(connection, target, source)
        samples.prune(connection, target, source, keep.details_keep_days)
        changes.prune(connection, target, source, keep.changes_keep_days)
        if requests.exist(connection):
            requests.prune(connection, requests.Feed(target, source), keep.details_keep_days)
        for retired in runs.list_retired(connection, RETIRED_DAYS):
            if retired != (target, source):
                staging.drop_stale(connection, *retired)
                rejects.prune(connection, *retired, is_retired=True)
                samples.prune(connection, *retired, 0)
                changes.prune(connection, *retired, 0)
    except DatabaseError as exc:
        log.warning("what is old could not be deleted: %s", exc.problem)


def fit_writers(context: RunContext) -> int:
    """Return how many writers the run starts with: `database.writers`, or as many as fit.

    A pooler, or a limit of the role, may give fewer sessions; one is left for the parent.
    Raises `DatabaseUnavailableError` where there is none for a writer, before the API is asked.
    """
    database = context.config.database
    wanted = database.writers + PARENT_SESSIONS - 1  # the parent's own is open
    connect = partial(connect_as, context.config, "carsync trial", context.should_cancel)
    opened, refused = try_opening(connect, wanted)
    if opened == wanted:
        return database.writers
    if not opened:
        raise DatabaseUnavailableError(
            "PostgreSQL gives this run one session, and it needs another one to write",
            detail=refused,
            hint="raise the limit of the role or of the pooler, or close other clients; "
            "database.writers: 1 is enough",
        )
    fitting = max(1, opened + 1 - PARENT_SESSIONS)
    context.note(
        f"PostgreSQL gives this run {formatting.plural(opened + 1, 'session')} at once, and "
        f"database.writers: {database.writers} needs {database.writers + PARENT_SESSIONS} "
        f"({refused}): it goes on with {formatting.plural(fitting, 'writer')}; set "
        f"database.writers: {fitting}, or raise the limit"
    )
    return fitting


def _start(context: RunContext) -> Run:
    run = runs.start_run(
        context.connection,
        context.target,
        context.source,
        fingerprints=context.fingerprints,
        hash_scheme=context.mapper.hash_scheme,
        scope=context.options.scope,
        mode=context.mode,
        lists=context.lists.names,
    )
    failpoints.reach("sync.run_started")
    tombstones = context.mapper.tombstones
    if tombstones is not None:  # first: a run that has its staging table is resumed
        made = (tombstone_columns(context.config), tombstones.constants)
        staging.create_tombstones(context.connection, run.run_id, *made, context.target)
    staging.create(context.connection, run.run_id, context.mapper.columns, context.target)
    failpoints.reach("sync.staging_created")
    return run
