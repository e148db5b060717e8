"""Judges how the API answers by id: which path or rule would read what came."""

from __future__ import annotations

from carsync.doctor.findings import Findings
from carsync.doctor.record_facts import RecordFacts
from carsync.engine.reader import BY_RULE
from carsync.model import ProbeVerdict

NAME = "by id"
_ELSE = "set api.record.path to where the API has one car, or api.record: null if it has none"


def judge(found: Findings, facts: RecordFacts) -> None:
    """Judge the answers for a car of the first page and for one that cannot exist."""
    listed, readable = facts.listed, facts.readable_path
    if readable is None:
        seen, fix = f"{facts.path} with id {facts.record_id}, which the first page lists", _ELSE
        if listed.detail == BY_RULE:
            seen, fix = f"{seen}, is gone: {BY_RULE}", "correct api.record.gone_when"
        else:
            seen = f"{seen}: {listed.detail}"
        found.warn(NAME, seen, fix)
    elif readable != facts.path:
        seen = f"{facts.path}: {listed.detail}; {readable} gives the car {facts.record_id}"
        found.warn(NAME, seen, f'set api.record.path: "{readable}"')
    else:
        _judge_impossible(found, facts)


def _judge_impossible(found: Findings, facts: RecordFacts) -> None:
    answer = facts.impossible
    if answer is None:
        found.ok(NAME, f"{facts.path} gives the car {facts.record_id}")
    elif answer.verdict is ProbeVerdict.GONE:
        seen = f"{facts.path} gives the car {facts.record_id}; an id that cannot exist: "
        found.ok(NAME, seen + answer.detail)
    elif answer.verdict is ProbeVerdict.ALIVE:
        seen = "the API answers 200 with a record for an id that cannot exist: no 200 counts"
        found.warn(NAME, seen, _ELSE)
    else:
        seen = f"for an id that cannot exist: {answer.detail}, which proves nothing"
        found.warn(NAME, seen, answer.cure or f"no rule reads that: {_ELSE}")
