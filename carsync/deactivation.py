"""Deactivation of one run: judge the evidence, and where it is doubtful ask for the cars."""

from __future__ import annotations

from carsync import merge
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
    longest unseen first. Candidates without an answer fall back to `next_run`.
    """
    plan = monitor.plan
    rules = config.sync.deactivate
    source = config.sync.source
    drift = list(plan.drift)
    if plan.is_truncated:
        drift.append("the feed's end was not seen before api.pagination.max_pages")
    found = merge.plan_deactivation(connection, run_id, target, source)
    decision = judge(found, plan.reported_records, drift, len(plan.failed), rules)
    asks = rules.second_proof == "by_id" and config.api.record_path and rules.max_probes
    if decision.action != "prove" or not asks:
        return decision, merge.Proof()
    ids = merge.list_candidates(connection, run_id, target, source, rules.max_probes)
    controls = merge.list_seen(connection, run_id, 1)
    verdicts = intake.probe(ids, controls[0]) if controls else {}
    if not verdicts:
        monitor.note(
            "the API gave no usable answer to by-id requests; cars that are absent wait "
            "for the next complete run"
        )
    return decision, merge.Proof(
        gone=[i for i, verdict in verdicts.items() if verdict is ProbeVerdict.GONE],
        alive=[i for i, verdict in verdicts.items() if verdict is ProbeVerdict.ALIVE],
    )
