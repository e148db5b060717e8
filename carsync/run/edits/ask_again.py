"""Held cars are asked for by id once more, before an operator approves their deactivation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from msgspec import Struct

from carsync.config.sections import Config
from carsync.deactivation import candidates
from carsync.deactivation.addresses import Addresses
from carsync.deactivation.by_id import Verdicts, verify
from carsync.deactivation.id_shapes import Shape
from carsync.errors import CarsyncError, DatabaseError, LockedError
from carsync.model import ORDINARY, ProbeVerdict
from carsync.run.context import RunContext
from carsync.run.deactivate import with_addresses
from carsync.run.edits.asking import ask_for, asking, locked
from carsync.run.listener import RunListener
from carsync.run.signals import StopSignal


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
        with locked(context, checkpoint_file) as idle_s:
            context.fit_ids()
            return _ask_again(context, idle_s, ids)
    except (LockedError, DatabaseError):
        raise
    except CarsyncError as exc:
        return AskedAgain({}, 0, len(ids), exc.problem)


def _ask_again(context: RunContext, idle_s: float, ids: Sequence[str]) -> AskedAgain:
    answers: Verdicts = {}
    addresses = Addresses(context.mapper.places, context.addresses)
    limit = context.config.sync.deactivate.max_probes
    key = (context.connection, context.target, context.source)
    draw_listed = partial(candidates.list_listed, *key, addresses)
    asked = with_addresses(context, addresses, ids[:limit], draw_listed)
    controls: list[str] = []
    stranger = addresses.add_stranger(asked)

    def draw(shape: Shape, count: int) -> list[tuple[str, int]]:
        found = draw_listed(shape, count)
        controls.extend(found)
        return [(i, 0) for i in found]

    with asking(context, idle_s) as probes:

        def ask(record_ids: Sequence[str], pages: Mapping[str, int]) -> Verdicts:
            if answers and not any(v is not ProbeVerdict.NOTHING for v in answers.values()):
                return {}  # the API is down: the first answers have shown it
            found = ask_for(probes, record_ids, pages)
            if not pages:
                answers.update(found or dict.fromkeys(record_ids, ProbeVerdict.NOTHING))
            return found

        found = verify(ask, asked, draw, stranger, addresses.keys(asked))
        if not controls:  # what is alive is told apart without them
            ask([*asked, stranger], {})
    said = context.said_by_id
    says_yes_to_all = answers.get(stranger) is ProbeVerdict.ALIVE
    is_alive = {i: answers.get(i) is ProbeVerdict.ALIVE and not says_yes_to_all for i in asked}
    alive = {i: said.get(i, "") for i in asked if is_alive[i]}
    gone = sum(found.verdicts.get(i) is ProbeVerdict.GONE for i in asked)
    problem = context.requests.problem
    objection = found.objection if problem is None else problem.problem
    return AskedAgain(alive, gone, len(ids) - len(alive) - gone, objection)
