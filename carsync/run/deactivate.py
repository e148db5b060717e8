"""Deactivation of one run: gather the evidence, and where it asks for proof ask for the cars."""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from carsync import formatting
from carsync.deactivation import candidates
from carsync.deactivation.by_id import Ask, controls_wanted, verify
from carsync.deactivation.policy import ByIdAnswers, Evidence, decide, probes_wanted
from carsync.model import Decision, ProbeVerdict
from carsync.run.context import RunContext
from carsync.state import runs


def decide_and_prove(context: RunContext, probe: Ask) -> Decision:
    """Decide what becomes of the cars that the run did not see, before anything is merged.

    Where the policy wants it, `probe` asks the API for the candidates by id, longest unseen
    first. Only a car that the API itself calls gone is deactivated then.
    """
    rules, connection = context.config.sync.deactivate, context.connection
    plan = candidates.plan_deactivation(connection, context.run)
    if plan.duplicates >= plan.seen > 0:
        context.note(
            f"{formatting.plural(plan.duplicates, 'record', 'was', 'were')} listed more than once, "
            f"and only {plan.seen:,} differ from each other: {context.paginator.repeat_hint}"
        )
    pages = context.plan
    signs = pages.drift
    if context.resumed_pages:
        signs += ("the run was resumed: its pages were read at different times",)
    cut = pages.cut if pages.has_totals or _as_long_as_before(context) else ""
    reported, failed = pages.reported_records, len(pages.failed)
    evidence = Evidence(plan, reported, signs, failed, pages.is_truncated, cut)
    decision = decide(evidence, rules)
    limit = probes_wanted(decision, rules, has_path=context.config.api.record is not None)
    if not limit:
        return decision
    ids = candidates.list_candidates(connection, context.run, limit)
    controls = candidates.list_seen(connection, context.run.run_id, controls_wanted(len(ids)))
    found = verify(probe, ids, controls, _impossible_id(controls))
    _explain_answers(context, ids, dict(controls), found.verdicts)
    key = (connection, context.target, context.source)
    answered_before = not found.has_path and runs.answered_by_id(*key)
    answers = ByIdAnswers(found, len(ids), answered_before)
    return decide(replace(evidence, answers=answers), rules)


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


def _as_long_as_before(context: RunContext) -> bool:
    """Say whether the feed has as many pages as in the last run that was merged."""
    before = runs.last_merged(context.connection, context.target, context.source)
    summary = (before.summary or {}) if before else {}
    return bool(summary.get("snapshot", {}).get("pages_planned") == context.plan.planned)


def _impossible_id(controls: Sequence[tuple[str, int]]) -> str:
    """Return the id of no car, looking like the others: a number where they are numbers."""
    if all(i.isascii() and i.isdigit() for i, _ in controls):
        return str(random.randrange(10**17, 10**18))
    return str(uuid.uuid4())
