"""Deactivation of one run: decide by the evidence, and where it wants proof ask for the cars."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from msgspec.structs import replace

from carsync import formatting
from carsync.deactivation import candidates
from carsync.deactivation.addresses import Addresses
from carsync.deactivation.by_id import NO_ADDRESS, Ask, Verification, affordable, verify
from carsync.deactivation.id_shapes import Shape
from carsync.deactivation.policy import ByIdAnswers, probes_wanted
from carsync.deactivation.removals import plan_removals
from carsync.decision import Decision
from carsync.destination.removals import RemovalRules
from carsync.destination.stage_writer import StageWriter
from carsync.model import ProbeVerdict
from carsync.run.context import RunContext
from carsync.run.evidence import ByLists, WholeFeed
from carsync.run.window import find_unread_removals
from carsync.state import runs

_SAMPLE = 100
"""So many listed cars show in which of their values cars differ."""


def judge_removals(context: RunContext) -> None:
    """Count what the tombstones would do; tell why not all were read, or why none counts."""
    plan, connection = context.plan, context.connection
    if plan.removals is None:
        return
    moves = context.config.api.window.is_relative
    context.removal_plan = plan_removals(connection, context.run, moves=moves)
    if problem := find_unread_removals(context):
        plan.give_up_removals(problem)
    if words := problem or context.removal_plan.fault:
        context.note(words)
    if context.removal_plan.removed and not context.is_all_sure:
        cars = formatting.plural(context.removal_plan.removed, "tombstone", "counts", "count")
        context.note(
            f"{cars} for nothing yet: not all was read, and a car that was not may be listed "
            "again; the next run asks for them again"
        )


def removal_rules(context: RunContext) -> RemovalRules | None:
    """Return what the merge may do by tombstones; None where none were asked for, or count."""
    if context.plan.removals is None or not context.is_all_sure:
        return None
    most = context.removal_plan.most(context.config.sync.deactivate)
    moves = context.config.api.window.is_relative
    return RemovalRules(context.plan.removal_pages, most, moves)


def decide_and_prove(context: RunContext, probe: Ask) -> Decision:
    """Decide what becomes of the cars that the run did not see, before anything is merged.

    Where the policy wants it, `probe` asks the API for the candidates by id, longest unseen
    first. Only a car that the API itself calls gone is deactivated then.
    """
    rules, connection = context.config.sync.deactivate, context.connection
    case = ByLists(context) if context.lists.names else WholeFeed(context)
    decision = case.decide(None)
    limit = probes_wanted(decision, rules, has_path=context.config.api.record is not None)
    if not limit or not (unseen := case.list_ids(limit)):
        return decision
    listed, limited_by = _cut(context, unseen)
    addresses = Addresses(context.mapper.places, context.addresses)
    seen = partial(candidates.list_seen, connection, context.run.run_id, addresses)
    ids = with_addresses(context, addresses, listed, seen)
    controls: dict[str, int] = {}

    def draw(shape: Shape, count: int) -> list[tuple[str, int]]:
        found = seen(shape, count)
        controls.update(found)
        return found

    asked_s = time.monotonic()
    found = Verification(objection=NO_ADDRESS if listed else "")
    if ids:
        found = verify(probe, ids, draw, addresses.add_stranger(ids), addresses.keys(ids))
    _explain_answers(context, ids, controls, found.verdicts)
    key = (connection, context.target, context.source)
    answered_before = not found.has_path and runs.answered_by_id(*key)
    decision = case.decide(ByIdAnswers(found, len(listed), answered_before, limited_by))
    missed = [i for i in decision.proof.alive if not context.said_by_id.get(i)]
    if decision.action != "prove" or not missed:
        return decision
    return replace(decision, missed=_read_missed(context, missed, controls, asked_s))


def _cut(context: RunContext, ids: Sequence[str]) -> tuple[Sequence[str], str]:
    """Return the cars that `limits.budget` lets carsync ask for, and in words why no more."""
    left = context.requests.left()
    if left is None or (most := affordable(len(ids), left)) == len(ids):
        return ids, ""
    requests = formatting.plural(left, "request")
    return ids[:most], f"limits.budget leaves {requests} for them and their control samples"


def with_addresses(
    context: RunContext,
    addresses: Addresses,
    ids: Sequence[str],
    draw: Callable[[Shape, int], object],
) -> Sequence[str]:
    """Return those of the absent cars that can be asked for, and tell of the others."""
    if addresses.is_by_id:
        return ids
    key = (context.connection, context.target, context.source)
    found = candidates.find_addresses(*key, addresses, ids)
    draw(Shape(""), _SAMPLE)
    addresses.choose_main()
    record = context.config.api.record
    if len(found) < len(ids) and record is not None:
        cars = formatting.plural(len(ids) - len(found), "car", "was", "were")
        context.note(
            f"{cars} not asked for by id: in the table a value of {record.path} is missing"
        )
    return found


def _read_missed(
    context: RunContext, missed: Sequence[str], controls: Collection[str], asked_s: float
) -> int:
    """Stage the cars that slipped between pages as the API gave them by id.

    That is done where most of the `controls` are, by id, just what their pages say.
    Returns how many of the cars `missed` could not be read.
    """
    known = context.rows_by_id
    rows = [known[i] for i in missed if i in known]
    listed = [known[i] for i in controls if i in known]
    if not rows or not listed:
        return len(missed)
    run, config, columns = context.run, context.config, context.mapper.columns
    means = (config.database.load_method, config.api.auth.secrets)
    writer = StageWriter(context.connection, run.run_id, run.token, columns, *means)
    if 2 * writer.count_same(context.target, listed) <= len(listed):
        return len(missed)
    writer.stage_unlisted(rows, time.monotonic() - asked_s)
    cars = formatting.plural(len(rows), "car", "was", "were")
    context.note(f"{cars} on no page that was read, and could be read by id")
    return len(missed) - len(rows)


def _explain_answers(
    context: RunContext,
    ids: Sequence[str],
    controls: Mapping[str, int],
    verdicts: Mapping[str, ProbeVerdict],
) -> None:
    """Tell what the answers by id held in common that no rule reads, with the key that would."""
    said = context.said_by_id
    signs = Counter(
        sign
        for i in ids
        if verdicts.get(i) is ProbeVerdict.ALIVE
        for sign in said.get(i, "").split(", ")
        if sign
    )
    for control in controls:
        for sign in said.get(control, "").split(", "):
            signs.pop(sign, None)
    for sign, cars in signs.most_common(1):
        context.note(
            f"asked by id for {formatting.plural(cars, 'car')} that no page lists, the API answers "
            f"with {sign}, but not for listed cars: if this means that a car is gone, set "
            f"api.record.gone_when: {{{sign}}}"
        )
    silent = Counter(said[i] for i in ids if i not in verdicts and said.get(i))
    for words, cars in silent.most_common(1):
        unlisted = formatting.plural(cars, "car")
        context.note(f"asked by id for {unlisted} that no page lists, the API answers: {words}")
