"""Deactivation of one run: judge the evidence, and where it is doubtful ask for the cars."""

from __future__ import annotations

from collections.abc import Mapping

from carsync import absences, merge
from carsync.config import Config
from carsync.database import Connection, Target
from carsync.evidence import Decision, judge
from carsync.intake import Intake
from carsync.model import ProbeVerdict
from carsync.monitor import Monitor

CONTROLS = 5
"""How many cars just seen may have left the feed before by-id requests count as unknown to it."""


def decide(
    config: Config,
    connection: Connection,
    run_id: int,
    target: Target,
    intake: Intake,
    monitor: Monitor,
) -> tuple[Decision, merge.Proof]:
    """Decide what becomes of the cars that the run did not see, before anything is merged.

    With `second_proof: by_id` the fleet asks the API for up to `max_probes` of them,
    longest unseen first, also where there is no sign of drift: where as many cars come
    as go while the pages are read, cars slip between them and all totals add up. Only a
    car that the API itself calls gone is deactivated then; the others wait for the next
    run. An API without such a path says so of every car, those just seen included: then
    signs of drift need `next_run` besides.
    """
    plan = monitor.plan
    rules = config.sync.deactivate
    source = config.sync.source
    signs = list(plan.drift)
    if monitor.resumed_pages:
        signs.append("the run was resumed: its pages were read at different times")
    found = absences.plan_deactivation(connection, run_id, target, source)
    decision = judge(found, plan.reported_records, signs, len(plan.failed), rules)
    if plan.is_truncated and decision.action in {"prove", "deactivate"}:
        unseen = "the feed still held records at api.pagination.max_pages: its end was not seen"
        return Decision("hold", (*decision.reasons, unseen)), merge.Proof()
    nameless = found.rejected_without_id > 0  # any of these may be one of the candidates
    asks = rules.second_proof == "by_id" and config.api.record_path and rules.max_probes
    if decision.action not in {"prove", "deactivate"} or not asks:
        return decision, merge.Proof(next_run=() if nameless else None)
    ids = absences.list_candidates(connection, run_id, target, source, rules.max_probes)
    controls = absences.list_seen(connection, run_id, CONTROLS)
    control, verdicts = intake.probe(ids, controls)
    gone = [i for i, verdict in verdicts.items() if verdict is ProbeVerdict.GONE]
    alive = [i for i, verdict in verdicts.items() if verdict is ProbeVerdict.ALIVE]
    doubts = _doubts(control, verdicts, ids, found.candidates)
    reasons = (*decision.reasons, *doubts)
    if control is ProbeVerdict.GONE and not alive:
        # Without a path each car seems gone. With one, the car itself would have answered.
        if nameless:
            gone = []
        elif decision.action == "prove":
            return Decision("prove", reasons), merge.Proof(next_run=gone)
    return Decision("prove", reasons), merge.Proof(gone, alive, next_run=())


def _doubts(
    control: ProbeVerdict, verdicts: Mapping[str, ProbeVerdict], ids: list[str], candidates: int
) -> list[str]:
    """Say, in words, what by-id requests leave in doubt; empty where each car is gone."""
    if control is ProbeVerdict.NOTHING:
        return [
            "the API gave no usable answer to by-id requests (where it has none, set "
            "api.record_path: null)"
        ]
    doubts = []
    alive = sum(verdicts.get(i) is ProbeVerdict.ALIVE for i in ids)
    silent = sum(verdicts.get(i) not in {ProbeVerdict.ALIVE, ProbeVerdict.GONE} for i in ids)
    if control is ProbeVerdict.GONE and not alive:
        doubts.append(
            "the API does not answer by-id requests (if it has none, set api.record_path: null)"
        )
    if alive or silent:
        doubts.append(
            f"of {len(ids):,} cars that no page listed, asked for by id, {alive:,} are alive and "
            f"{silent:,} got no clear answer"
        )
    if candidates > len(ids):
        doubts.append(
            f"{candidates - len(ids):,} cars were not asked for by id and wait for the next run; "
            f"sync.deactivate.max_probes is {len(ids):,}"
        )
    return doubts
