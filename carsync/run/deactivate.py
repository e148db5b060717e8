"""Deactivation of one run: judge the evidence, and where it is doubtful ask for the cars."""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence

from carsync.deactivation import candidates
from carsync.deactivation.by_id import Ask, Verification, controls_wanted, verify
from carsync.deactivation.policy import decide
from carsync.model import Decision, ProbeVerdict, Proof
from carsync.run.context import RunContext
from carsync.state import runs

NO_PATH = "the API does not answer by-id requests (if it has none, set api.record_path: null)"


def decide_and_prove(context: RunContext, probe: Ask) -> tuple[Decision, Proof]:
    """Decide what becomes of the cars that the run did not see, before anything is merged.

    With `second_proof: by_id` the fleet asks the API for up to `max_probes` of them,
    longest unseen first, also where there is no sign of drift: where as many cars come
    as go while the pages are read, cars slip between them and all totals add up. Only a
    car that the API itself calls gone is deactivated then; the others wait for the next
    run. An API without such a path (404 for all cars just seen, and in earlier runs too)
    leaves it at the signs; one that is caught lying (`testimony.py`) is not believed.
    """
    config, plan, connection = context.config, context.plan, context.connection
    run_id, target, source = context.run.run_id, context.target, context.source
    rules = config.sync.deactivate
    signs = list(plan.drift)
    if context.resumed_pages:
        signs.append("the run was resumed: its pages were read at different times")
    found = candidates.plan_deactivation(connection, run_id, target, source)
    if found.duplicates >= found.seen > 0:
        context.note(
            f"{found.duplicates:,} records were listed more than once, {found.seen:,} are "
            f"different: {context.paginator.repeat_hint}"
        )
    decision = decide(found, plan.reported_records, signs, len(plan.failed), rules)
    if plan.is_truncated and rules.enabled and not plan.failed:
        unseen = "the feed still held records at api.pagination.max_pages: its end was not seen"
        return Decision("hold", (*decision.reasons, unseen)), Proof()
    nameless = found.rejected_without_id > 0  # any of these may be one of the candidates
    asks = rules.second_proof == "by_id" and config.api.record_path and rules.max_probes
    if decision.action not in {"prove", "deactivate"} or not asks:
        return decision, Proof(next_run=() if nameless else None)
    ids = candidates.list_candidates(connection, run_id, target, source, rules.max_probes)
    controls = candidates.list_seen(connection, run_id, controls_wanted(len(ids)))
    heard = verify(probe, ids, controls, _stranger(controls))
    if not heard.has_path and runs.answered_by_id(connection, target, source):
        heard = Verification(
            objection="the API answers 404 by id for every car; it knew them before"
        )
    if not heard.has_path:
        reasons = (*decision.reasons, *([NO_PATH] if decision.action == "prove" else []))
        return Decision(decision.action, reasons), Proof(next_run=() if nameless else None)
    doubts = _doubts(heard, found.candidates, len(ids))
    return Decision("prove", (*decision.reasons, *doubts)), Proof(
        gone=[i for i, verdict in heard.verdicts.items() if verdict is ProbeVerdict.GONE],
        alive=[i for i, verdict in heard.verdicts.items() if verdict is ProbeVerdict.ALIVE],
        next_run=(),
    )


def _stranger(controls: Sequence[tuple[str, int]]) -> str:
    """Return the id of no car, looking like the others: a number where they are numbers."""
    if all(i.isascii() and i.isdigit() for i, _ in controls):
        return str(random.randrange(10**17, 10**18))
    return str(uuid.uuid4())


def _doubts(heard: Verification, absent: int, asked: int) -> list[str]:
    """Say, in words, what by-id requests leave in doubt; none where each absent car is gone."""
    doubts = [heard.objection] if heard.objection else []
    alive = sum(verdict is ProbeVerdict.ALIVE for verdict in heard.verdicts.values())
    silent = asked - len(heard.verdicts)
    if not doubts and (alive or silent):
        doubts.append(
            f"of {asked:,} cars that no page listed, asked for by id, {alive:,} are alive and "
            f"{silent:,} got no clear answer"
        )
    if absent > asked:
        doubts.append(
            f"{absent - asked:,} cars were not asked for by id and wait for the next run; "
            f"sync.deactivate.max_probes is {asked:,}"
        )
    return doubts
