"""Held cars are asked for by id once more, before an operator approves their deactivation."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from carsync.config.dsn import place_of
from carsync.config.sections import Config
from carsync.deactivation import candidates
from carsync.deactivation.addresses import Addresses
from carsync.deactivation.by_id import Verdicts, verify
from carsync.deactivation.id_shapes import Shape
from carsync.engine.local.fleet import Fleet
from carsync.engine.local.semaphores import refuse_without_semaphores
from carsync.errors import CarsyncError, DatabaseError, LockedError
from carsync.model import ORDINARY, ProbeVerdict
from carsync.run.api_health import ApiHealth
from carsync.run.checkpoint_writer import CheckpointWriter, idle_since
from carsync.run.context import RunContext
from carsync.run.deactivate import with_addresses
from carsync.run.listener import RunListener
from carsync.run.probes import ProbeRunner
from carsync.run.signals import StopSignal
from carsync.run.supervisor import EngineSupervisor
from carsync.source.auth.token_store import TokenStore
from carsync.state import target_lock
from carsync.state.checkpoint import load_or_none
from carsync.state.clock import Moment
from carsync.state.file_lock import FileLock


class AskedAgain(Struct, frozen=True):
    """What the API says by id of held cars before they are approved.

    `alive` has the cars that it knows, each with its tell-tale fields. `gone` and `unclear` are
    counts. `objection` says in words why no answer was asked for, or believed.
    """

    alive: dict[str, str]
    gone: int
    unclear: int
    objection: str = ""


def why_not_asked(config: Config) -> str:
    """Say which key keeps held cars from being asked for by id; empty where none does."""
    rules = config.sync.deactivate
    if not config.api.base_url:
        return "api.base_url is not set"
    if config.api.record is None:
        return "api.record is null"
    if rules.second_proof != "by_id":
        return f"sync.deactivate.second_proof is {rules.second_proof}"
    return "" if rules.max_probes else "sync.deactivate.max_probes is 0"


def ask_again(
    config: Config, checkpoint_file: Path, ids: Sequence[str], stop: StopSignal
) -> AskedAgain:
    """Ask the API by id for held cars, with the limits, the budget and the controls of a run.

    No run may go on meanwhile. An API that cannot be asked is the answer's `objection`.
    Raises `LockedError` and `DatabaseError`.
    """
    if why := why_not_asked(config):
        return AskedAgain({}, 0, len(ids), why)
    context = RunContext(config, ORDINARY, RunListener(), stop)
    try:
        refuse_without_semaphores()
        with FileLock(checkpoint_file) as lock, context.connect() as connection:
            target_lock.acquire(connection, context.target)
            context.fit_ids()
            return _ask_again(context, checkpoint_file, lock, ids)
    except (LockedError, DatabaseError):
        raise
    except CarsyncError as exc:
        return AskedAgain({}, 0, len(ids), exc.problem)


def _ask_again(
    context: RunContext, checkpoint_file: Path, lock: FileLock, ids: Sequence[str]
) -> AskedAgain:
    answers: Verdicts = {}
    addresses = Addresses(context.mapper.places, context.addresses)
    limit = context.config.sync.deactivate.max_probes
    key = (context.connection, context.target, context.source)
    draw_listed = partial(candidates.list_listed, *key, addresses)
    asked = with_addresses(context, addresses, ids[:limit], draw_listed)
    controls: list[str] = []
    stranger = addresses.add_stranger(asked)
    probes, supervisor = _prepare_probes(context, checkpoint_file, lock)

    def draw(shape: Shape, count: int) -> list[tuple[str, int]]:
        found = draw_listed(shape, count)
        controls.extend(found)
        return [(i, 0) for i in found]

    def ask(record_ids: Sequence[str], pages: Mapping[str, int]) -> Verdicts:
        if pages:  # where a control was listed is not known any more: it may have left since
            return dict.fromkeys(record_ids, ProbeVerdict.GONE)
        if answers and not any(v is not ProbeVerdict.NOTHING for v in answers.values()):
            return {}  # the API is down: the first answers have shown it
        found = probes.ask(record_ids, {})
        answers.update(found or dict.fromkeys(record_ids, ProbeVerdict.NOTHING))
        return found

    try:
        supervisor.engine.start()
        found = verify(ask, asked, draw, stranger, addresses.keys(asked))
        if not controls:  # what is alive is told apart without them
            ask([*asked, stranger], {})
    finally:
        supervisor.end()
    said = context.said_by_id
    says_yes_to_all = answers.get(stranger) is ProbeVerdict.ALIVE
    is_alive = {i: answers.get(i) is ProbeVerdict.ALIVE and not says_yes_to_all for i in asked}
    alive = {i: said.get(i, "") for i in asked if is_alive[i]}
    gone = sum(found.verdicts.get(i) is ProbeVerdict.GONE for i in asked)
    problem = context.requests.problem
    objection = found.objection if problem is None else problem.problem
    return AskedAgain(alive, gone, len(ids) - len(alive) - gone, objection)


def _prepare_probes(
    context: RunContext, checkpoint_file: Path, lock: FileLock
) -> tuple[ProbeRunner, EngineSupervisor]:
    """Make an engine that stages nothing; the checkpoint remembers when it asked the API."""
    config, place = context.config, place_of(context.config)
    previous = load_or_none(checkpoint_file, place)
    context.checkpoint = CheckpointWriter(
        checkpoint_file,
        lock,
        source=context.source,
        target=str(context.target),
        place=place,
        fingerprints=context.fingerprints,
        previous=previous,
        dry_run=True,
    )
    idle_s = idle_since(previous, Moment.now())
    without_writers = replace(config, database=replace(config.database, writers=0))
    tokens = TokenStore(time.monotonic)

    def new_engine(used: bool) -> Fleet:
        return Fleet(without_writers, 0, "", (), idle_s=0.0 if used else idle_s, tokens=tokens)

    health = ApiHealth(config.limits, context.metrics, time.monotonic)
    supervisor = EngineSupervisor(context, new_engine, health)
    return ProbeRunner(context, supervisor, health), supervisor
