"""How a run begins: the tables made ready, an unfinished run taken up or a new one recorded."""

from __future__ import annotations

from carsync import __version__, failpoints
from carsync.config.sections import Config
from carsync.destination import migrations, staging
from carsync.errors import DatabaseError, LockedError
from carsync.mapping.mapper import Mapper, target_columns
from carsync.model import RunOptions
from carsync.postgres.connect import target_of
from carsync.postgres.connection import Connection
from carsync.run import resume
from carsync.run.context import Monitor
from carsync.state import runs
from carsync.state.checkpoint import CheckpointState
from carsync.state.runs import Run


def prepare_schema(
    config: Config,
    connection: Connection,
    mapper: Mapper,
    options: RunOptions,
    monitor: Monitor,
) -> None:
    """Apply what migrations are pending, and announce a change of the hash scheme.

    A dry run applies none: it raises `DatabaseError` where some are.
    """
    target = target_of(config)
    columns = target_columns(mapper)
    if options.dry_run:
        if waiting := migrations.pending(connection, target, columns):
            raise DatabaseError(
                "a dry run makes or alters no table, and some are not ready",
                detail="; ".join(waiting[:3]),
                hint="run `carsync migrate`, which writes no row, then run again",
            )
    elif config.database.auto_migrate:
        for sentence in migrations.migrate(connection, target, columns):
            monitor.say(sentence)
    scheme = runs.find_hash_scheme(connection, target, config.sync.source)
    if scheme is not None and scheme != mapper.hash_scheme:
        monitor.note(
            f"the hash scheme changes from {scheme} to {mapper.hash_scheme}: "
            "every row is rewritten once"
        )


def resume_or_start(
    config: Config,
    connection: Connection,
    mapper: Mapper,
    prints: dict[str, str],
    previous: CheckpointState | None,
    options: RunOptions,
    monitor: Monitor,
) -> Run:
    """Resume the unfinished run, or record a new one and clear up what others left.

    A dry run leaves an unfinished run, and its pages, as they are: it starts afresh beside
    it. A sample would make its pages old: it raises `LockedError` where there is one,
    unless `options.fresh`.
    """
    target, source = target_of(config), config.sync.source
    run = None
    if options.scope == "whole" and not options.fresh:
        run = resume.resume_unfinished(config, connection, target, prints, previous, monitor)
    elif options.scope == "sample" and not options.fresh:
        _refuse_unfinished(config, connection, prints)
    for dead in runs.forget_trials(connection, target, source):
        staging.end_writers(connection, dead)
        staging.drop(connection, dead)
    if not options.dry_run:
        kept = run.run_id if run else None
        runs.abandon_runs(connection, target, source, kept)
        staging.drop_stale(connection, target, source, kept)
    if run is not None:
        return run
    run = runs.start_run(
        connection,
        target,
        source,
        version=__version__,
        fingerprints=prints,
        hash_scheme=mapper.hash_scheme,
        scope=options.scope,
    )
    failpoints.reach("sync.run_started")
    staging.create(connection, run.run_id, mapper.columns, target)
    failpoints.reach("sync.staging_created")
    return run


def _refuse_unfinished(config: Config, connection: Connection, prints: dict[str, str]) -> None:
    found, _ = resume.find(config, connection, target_of(config), prints)
    if found is not None:
        raise LockedError(
            f"run {found.run_id} is unfinished; a run with --max-pages would make its pages old",
            hint="finish it with `carsync sync`, or forget it: --fresh",
        )
