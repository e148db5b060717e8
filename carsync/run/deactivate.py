"""Deactivation of one run: gather the evidence, and where it asks for proof ask for the cars."""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence

from msgspec.structs import replace

from carsync.deactivation import candidates
from carsync.deactivation.by_id import Ask, controls_wanted, verify
from carsync.deactivation.policy import ByIdAnswers, Evidence, decide, probes_wanted
from carsync.model import Decision
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
            f"{plan.duplicates:,} records were listed more than once, {plan.seen:,} are "
            f"different: {context.paginator.repeat_hint}"
        )
    pages = context.plan
    signs = pages.drift
    if context.resumed_pages:
        signs += ("the run was resumed: its pages were read at different times",)
    reported, failed = pages.reported_records, len(pages.failed)
    evidence = Evidence(plan, reported, signs, failed, pages.is_truncated)
    decision = decide(evidence, rules)
    limit = probes_wanted(decision, rules, has_path=bool(context.config.api.record_path))
    if not limit:
        return decision
    ids = candidates.list_candidates(connection, context.run, limit)
    controls = candidates.list_seen(connection, context.run.run_id, controls_wanted(len(ids)))
    found = verify(probe, ids, controls, _impossible_id(controls))
    key = (connection, context.target, context.source)
    answered_before = not found.has_path and runs.answered_by_id(*key)
    answers = ByIdAnswers(found, len(ids), answered_before)
    return decide(replace(evidence, answers=answers), rules)


def _impossible_id(controls: Sequence[tuple[str, int]]) -> str:
    """Return the id of no car, looking like the others: a number where they are numbers."""
    if all(i.isascii() and i.isdigit() for i, _ in controls):
        return str(random.randrange(10**17, 10**18))
    return str(uuid.uuid4())
