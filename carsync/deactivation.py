"""Deactivation of one run: judge the evidence, and where it is doubtful ask for the cars."""

from __future__ import annotations

from carsync import absences, merge
from carsync.config import Config
from carsync.database import Connection, Target
from carsync.evidence import Decision, judge
from carsync.intake import Intake
from carsync.model import ProbeVerdict
from carsync.monitor import Monitor


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
    as go while the pages are read, cars slip between them and all totals add up. One
    that is not gone is such a sign. Then, those without an answer fall back to `next_run`.
    """
    plan = monitor.plan
    rules = config.sync.deactivate
    source = config.sync.source
    found = absences.plan_deactivation(connection, run_id, target, source)
    decision = judge(found, plan.reported_records, plan.drift, len(plan.failed), rules)
    if plan.is_truncated and decision.action in {"prove", "deactivate"}:
        unseen = "the feed still held records at api.pagination.max_pages: its end was not seen"
        return Decision("hold", (*decision.reasons, unseen)), merge.Proof()
    asks = rules.second_proof == "by_id" and config.api.record_path and rules.max_probes
    if decision.action not in {"prove", "deactivate"} or not asks:
        return decision, merge.Proof()
    ids = absences.list_candidates(connection, run_id, target, source, rules.max_probes)
    controls = absences.list_seen(connection, run_id, 1)
    verdicts = intake.probe(ids, controls[0]) if controls else {}
    not_gone = sum(verdicts.get(i) is not ProbeVerdict.GONE for i in ids)
    if verdicts and not_gone and decision.action == "deactivate":
        slipped = f"{not_gone:,} of {len(ids):,} cars that no page listed are not gone, asked by id"
        decision = Decision("prove", (*decision.reasons, slipped))
    if not verdicts and decision.action == "prove":
        monitor.note(
            "the API gave no usable answer to by-id requests; cars that are absent wait "
            "for the next complete run"
        )
    return decision, merge.Proof(
        gone=[i for i, verdict in verdicts.items() if verdict is ProbeVerdict.GONE],
        alive=[i for i, verdict in verdicts.items() if verdict is ProbeVerdict.ALIVE],
    )
