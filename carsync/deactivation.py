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
    An API without such a path (404 for a car just seen) leaves it at the signs.
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
    certain_only = found.rejected_without_id > 0  # any of these may be one of the candidates
    asks = rules.second_proof == "by_id" and config.api.record_path and rules.max_probes
    if decision.action not in {"prove", "deactivate"} or not asks:
        return decision, merge.Proof(certain_only=certain_only)
    ids = absences.list_candidates(connection, run_id, target, source, rules.max_probes)
    controls = absences.list_seen(connection, run_id, 1)
    control = ProbeVerdict.GONE
    verdicts: dict[str, ProbeVerdict] = {}
    if controls:
        control, verdicts = intake.probe(ids, controls[0])
    doubt = _doubt(control, ids, verdicts)
    if doubt and (decision.action == "prove" or control is not ProbeVerdict.GONE):
        decision = Decision("prove", (*decision.reasons, doubt))
    return decision, merge.Proof(
        gone=[i for i, verdict in verdicts.items() if verdict is ProbeVerdict.GONE],
        alive=[i for i, verdict in verdicts.items() if verdict is ProbeVerdict.ALIVE],
        certain_only=certain_only,
    )


def _doubt(control: ProbeVerdict, ids: list[str], verdicts: dict[str, ProbeVerdict]) -> str:
    """Say, in words, what by-id requests leave in doubt; empty where each car is gone."""
    if control is ProbeVerdict.GONE:
        return "the API does not answer by-id requests (api.record_path)"
    if control is ProbeVerdict.NOTHING:
        return "the API gave no usable answer to by-id requests"
    alive = sum(verdicts.get(i) is ProbeVerdict.ALIVE for i in ids)
    silent = sum(verdicts.get(i) not in {ProbeVerdict.ALIVE, ProbeVerdict.GONE} for i in ids)
    if not alive and not silent:
        return ""
    return (
        f"of {len(ids):,} cars that no page listed, asked for by id, {alive:,} are alive and "
        f"{silent:,} got no clear answer"
    )
