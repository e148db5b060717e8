"""How a run begins: the tables made ready, an unfinished run resumed or a new one recorded."""

from __future__ import annotations

from carsync import failpoints
from carsync.destination import migrations, staging
from carsync.errors import ConfigError, DatabaseError, LockedError
from carsync.mapping.mapper import target_columns
from carsync.run import resume
from carsync.run.context import RunContext
from carsync.state import runs
from carsync.state.checkpoint import CheckpointState
from carsync.state.runs import Run


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
    scheme = runs.find_hash_scheme(connection, target, context.source)
    if scheme is not None and scheme != mapper.hash_scheme:
        context.note(
            f"the hash scheme changes from {scheme} to {mapper.hash_scheme}: "
            "every row is rewritten once"
        )


def check_origin(context: RunContext) -> None:
    """Refuse a feed that is not the one that wrote this source's cars; raise `ConfigError`.

    What the first feed lists, the second one does not: its cars would be deactivated.
    """
    last = runs.last_merged(context.connection, context.target, context.source)
    before = last.fingerprints.get("origin") if last else None
    if before in {None, context.fingerprints["origin"]} or context.options.adopt_source:
        return
    raise ConfigError(
        f"another feed wrote the cars of the source {context.source}: api.base_url, path or params "
        f"are not those of run {last.run_id if last else 0}",
        hint="give this feed a name of its own (sync.source); where it is the same feed at a new "
        "address, run `carsync sync --adopt-source` once",
    )


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
        found, _ = resume.find(context.config, connection, target, context.fingerprints)
        if found is not None:
            raise LockedError(
                f"run {found.run_id} is unfinished; a run with --max-pages would make its pages "
                "old",
                hint="finish it with `carsync sync`, or discard it: --fresh",
            )
    for dead in runs.forget_trials(connection, target, source):
        staging.end_writers(connection, dead)
        staging.drop(connection, dead)
    if not options.dry_run:
        kept = run.run_id if run else None
        runs.abandon_runs(connection, target, source, kept)
        staging.drop_stale(connection, target, source, kept)
    return run if run is not None else _start(context)


def _start(context: RunContext) -> Run:
    run = runs.start_run(
        context.connection,
        context.target,
        context.source,
        fingerprints=context.fingerprints,
        hash_scheme=context.mapper.hash_scheme,
        scope=context.options.scope,
    )
    failpoints.reach("sync.run_started")
    staging.create(context.connection, run.run_id, context.mapper.columns, context.target)
    failpoints.reach("sync.staging_created")
    return run
