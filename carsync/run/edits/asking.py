"""Asking for single records outside of a run that reads the feed, with its locks and its limits."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec.structs import replace

from carsync.config.dsn import place_of
from carsync.deactivation.by_id import Verdicts
from carsync.engine.base import Engine
from carsync.engine.choice import check_engine, new_engine
from carsync.model import ProbeVerdict
from carsync.run.api_health import ApiHealth
from carsync.run.checkpoint_writer import idle_since
from carsync.run.context import RunContext
from carsync.run.probes import ProbeRunner
from carsync.run.supervisor import EngineSupervisor
from carsync.source.auth.token_store import TokenStore
from carsync.source.certificates import check_certificates
from carsync.state.checkpoint import load_or_none
from carsync.state.clock import Moment


@contextmanager
def locked(context: RunContext, checkpoint_file: Path) -> Iterator[float]:
    """Hold the target's locks until the block ends; no run may go on meanwhile.

    Gives for how many seconds nobody has asked the API. The checkpoint, which may be that of an
    unfinished run, stays as it is; it only remembers when the API was asked.
    Raises `LockedError` where another process keeps a lock for longer than
    `options.wait_s`.
    """
    check_engine(context.config)
    check_certificates(context.config.api)
    turn = context.turn(checkpoint_file)
    with turn.file_lock() as lock, context.connect() as connection:
        turn.take_target(connection, context.target)
        previous = load_or_none(checkpoint_file, place_of(context.config))
        context.open_checkpoint(checkpoint_file, lock, previous, dry_run=True)
        context.measure()
        yield 0.0 if turn.has_waited else idle_since(previous, Moment.now())


@contextmanager
def asking(context: RunContext, idle_s: float) -> Iterator[ProbeRunner]:
    """Give who asks for records, over an engine that stages nothing and ends with the block."""
    config = context.config
    without_writers = replace(config, database=replace(config.database, writers=0))
    tokens = TokenStore(time.monotonic)

    def build(used: bool) -> Engine:
        job = (without_writers, 0, "", ())
        since_s = 0.0 if used else idle_s
        return new_engine(context.given_feed, *job, idle_s=since_s, tokens=tokens)

    health = ApiHealth(config.limits, context.metrics, time.monotonic)
    supervisor = EngineSupervisor(context, build, health)
    try:
        supervisor.engine.start()
        yield ProbeRunner(context, supervisor, health)
    finally:
        supervisor.end()


def ask_for(probes: ProbeRunner, record_ids: Sequence[str], pages: Mapping[str, int]) -> Verdicts:
    """Ask for records as `by_id.Ask` does, where no page is known on which a car was listed.

    A control sample that is gone counts as one that has left its page since.
    """
    if pages:
        return dict.fromkeys(record_ids, ProbeVerdict.GONE)
    return probes.ask(record_ids, {})
