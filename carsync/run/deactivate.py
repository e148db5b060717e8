"""Deactivation of one run: gather the evidence, and where it asks for proof ask for the cars.

Held cars are asked for once more before an operator approves their deactivation.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from carsync import formatting
from carsync.config.dsn import place_of
from carsync.config.sections import Config
from carsync.deactivation import candidates
from carsync.deactivation.addresses import Addresses
from carsync.deactivation.by_id import NO_ADDRESS, Ask, Verdicts, Verification, verify
from carsync.deactivation.by_list import ListEvidence, decide_by_lists, judge_lists
from carsync.deactivation.cars_by_list import CarsByList
from carsync.deactivation.id_shapes import Shape
from carsync.deactivation.policy import (
    ByIdAnswers,
    DeactivationPlan,
    Evidence,
    decide,
    decide_by_answers,
    probes_wanted,
)
from carsync.destination.stage_writer import StageWriter
from carsync.engine.local.fleet import Fleet
from carsync.engine.local.semaphores import refuse_without_semaphores
from carsync.errors import CarsyncError, DatabaseError, LockedError
from carsync.model import ORDINARY, Decision, ListRank, ListRanks, ProbeVerdict
from carsync.run.api_health import ApiHealth
from carsync.run.checkpoint_writer import CheckpointWriter, idle_since
from carsync.run.context import RunContext
from carsync.run.listener import RunListener
from carsync.run.probes import ProbeRunner
from carsync.run.signals import StopSignal
from carsync.run.supervisor import EngineSupervisor
from carsync.source.auth.token_store import TokenStore
from carsync.source.pagination import doubts
from carsync.source.pagination.feed_plan import ListPlan
from carsync.state import runs, target_lock
from carsync.state.checkpoint import load_or_none
from carsync.state.clock import Moment
from carsync.state.file_lock import FileLock

_SAMPLE = 100
"""So many listed cars show in which of their values cars differ."""


def decide_and_prove(context: RunContext, probe: Ask) -> Decision:
    """Decide what becomes of the cars that the run did not see, before anything is merged.

    Where the policy wants it, `probe` asks the API for the candidates by id, longest unseen
    first. Only a car that the API itself calls gone is deactivated then.
    """
    rules, connection = context.config.sync.deactivate, context.connection
    case = _ByLists(context) if context.lists.names else _WholeFeed(context)
    decision = case.decide(None)
    limit = probes_wanted(decision, rules, has_path=context.config.api.record is not None)
    if not limit or (listed := case.list_ids(limit)) is None:
        return decision
    addresses = Addresses(context.mapper.places, context.addresses)
    seen = partial(candidates.list_seen, connection, context.run.run_id, addresses)
    ids = _with_addresses(context, addresses, listed, seen)
    controls: dict[str, int] = {}

    def draw(shape: Shape, count: int) -> list[tuple[str, int]]:
        found = seen(shape, count)
        controls.update(found)
        return found

    asked_s = time.monotonic()
    found = Verification(objection=NO_ADDRESS)
    if ids:
        found = verify(probe, ids, draw, addresses.add_stranger(ids), addresses.keys(ids))
    _explain_answers(context, ids, controls, found.verdicts)
    key = (connection, context.target, context.source)
    answered_before = not found.has_path and runs.answered_by_id(*key)
    decision = case.decide(ByIdAnswers(found, len(listed), answered_before))
    missed = [i for i in decision.proof.alive if not context.said_by_id.get(i)]
    if decision.action != "prove" or not missed:
        return decision
    return replace(decision, missed=_read_missed(context, missed, controls, asked_s))


class _WholeFeed:
    """The candidates of a feed that is read as one."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        plan = candidates.plan_deactivation(context.connection, context.run)
        (of,) = context.plan.begun
        _tell_repeats(context, of, plan)
        is_as_long = _lengths_before(context).get("") == of.plan.planned
        self._evidence = _gather(context, of, plan, is_as_long, is_next_proved=False)

    def decide(self, answers: ByIdAnswers | None) -> Decision:
        """Decide, with what the API said by id."""
        rules = self._context.config.sync.deactivate
        return decide(replace(self._evidence, answers=answers), rules)

    def list_ids(self, limit: int) -> list[str] | None:
        """Return the ids of at most `limit` candidates."""
        return candidates.list_candidates(self._context.connection, self._context.run, limit)


class _ByLists:
    """The candidates of a feed that is read list by list."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._cars = CarsByList(context.connection, context.run, context.lists.names)
        before = _lengths_before(context)
        self._lists = []
        is_next_proved = any(of.plan.names_next for of in context.plan.begun)
        for of in context.plan.begun:
            name, plan = of.feed_list.name, self._cars.plan(of.feed_list.index)
            _tell_repeats(context, of, plan)
            is_as_long = before.get(name) == of.plan.planned
            evidence = _gather(context, of, plan, is_as_long, is_next_proved)
            self._lists.append(ListEvidence(name, evidence))
        if removed := self._cars.removed:
            context.note(
                f"{formatting.plural(removed, 'active car', 'was', 'were')} on a list that is not "
                "in api.lists any more: carsync holds those that no other list has"
            )
        self._candidates: dict[int, int] = {}
        self._ranks: ListRanks | None = None

    def decide(self, answers: ByIdAnswers | None) -> Decision:
        """Decide, with what the API said by id."""
        rules = self._context.config.sync.deactivate
        if not rules.enabled:
            return decide(self._lists[0].evidence, rules)
        by_id = answers is not None and answers.verification.has_path
        verdicts = judge_lists(self._lists, rules, by_id=by_id, cars_move=self._cars.move)
        self._ranks = verdicts.ranks
        self._candidates = self._cars.count_by_rank(self._ranks)
        decision = decide_by_lists(verdicts, self._candidates, self._cars.active, rules)
        if answers is None:
            return decision
        return decide_by_answers(decision, self._open_candidates, answers)

    def list_ids(self, limit: int) -> list[str] | None:
        """Return the ids of at most `limit` candidates; None where there is none."""
        assert self._ranks is not None
        return self._cars.list_ids(self._ranks, limit) if self._open_candidates else None

    @property
    def _open_candidates(self) -> int:
        return sum(n for rank, n in self._candidates.items() if rank < ListRank.UNREAD)


def _tell_repeats(context: RunContext, of: ListPlan, plan: DeactivationPlan) -> None:
    if plan.duplicates >= plan.seen > 0:
        words = of.named(
            f"{formatting.plural(plan.duplicates, 'record', 'was', 'were')} listed more than once, "
            f"and only {plan.seen:,} differ from each other"
        )
        context.note(f"{words}: {context.paginator.repeat_hint}")


def _gather(
    context: RunContext,
    of: ListPlan,
    plan: DeactivationPlan,
    is_as_long: bool,
    is_next_proved: bool,
) -> Evidence:
    """Gather what is known of a list.

    `is_as_long`: it has as many pages as in the run before. `is_next_proved`: a list of the
    feed names its next pages.
    """
    pages = of.plan
    signs = pages.drift
    if context.resumed_pages:
        signs += ("the run was resumed: its pages were read at different times",)
    cut = doubts.gaps(pages)
    if pages.has_totals or is_as_long:
        cut = cut or doubts.cut(pages)
    return Evidence(
        plan,
        pages.reported_records,
        signs,
        len(pages.failed),
        pages.is_truncated,
        cut,
        doubts.holes(pages),
        doubts.open_end(pages, is_next_proved=is_next_proved),
    )


def _lengths_before(context: RunContext) -> dict[str, int]:
    """Return how many pages each list had in the last run that was merged."""
    before = runs.last_merged(context.connection, context.target, context.source)
    summary = (before.summary or {}) if before else {}
    if not context.lists.names:
        planned = summary.get("snapshot", {}).get("pages_planned")
        return {} if planned is None else {"": planned}
    return {known["name"]: known["pages"] for known in summary.get("lists", ())}


def _with_addresses(
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
    means = (config.database.load_method, config.api.auth.key)
    writer = StageWriter(context.connection, run.run_id, run.token, columns, *means)
    if 2 * writer.count_same(listed) <= len(listed):
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


# ── before an approval ───────────────────────────────────────────────────────


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
    asked = _with_addresses(context, addresses, ids[:limit], draw_listed)
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
        supervisor.engine.kill()
    said = context.said_by_id
    says_yes_to_all = answers.get(stranger) is ProbeVerdict.ALIVE
    is_alive = {i: answers.get(i) is ProbeVerdict.ALIVE and not says_yes_to_all for i in asked}
    alive = {i: said.get(i, "") for i in asked if is_alive[i]}
    gone = sum(found.verdicts.get(i) is ProbeVerdict.GONE for i in asked)
    return AskedAgain(alive, gone, len(ids) - len(alive) - gone, found.objection)


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
