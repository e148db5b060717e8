"""Details of past runs as data: what a stored summary, samples and the record say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from carsync.reporting.views.run_details import (
    PastRun,
    RelationKind,
    errors_since,
    fate,
    kind_of,
    read_report,
    sessions_of,
)
from carsync.run.report import summary_data
from tests.support import snapshots
from tests.support.past_runs import a_past, a_run, a_sample, some_details
from tests.support.snapshots import NOW


def test_a_stored_summary_is_read_back_whole() -> None:
    report = snapshots.report(notes=("one",), problem="p", detail="d", hint="h")
    stored = msgspec.json.decode(msgspec.json.encode(summary_data(report)))
    assert read_report({**stored, "of a later carsync": 1}) == report
    for odd in (None, {}, {"snapshot": 1}, {"alive_by_id": True}):
        assert read_report(odd) is None
    older = {n: v for n, v in stored["snapshot"].items() if not n.startswith("recent_")}
    assert read_report({**stored, "snapshot": older}) is not None


def test_sessions_are_told_apart() -> None:
    first, second = sessions_of([a_sample(0), a_sample(5), a_sample(0, 2)])
    assert (first.samples, first.worked_s, second.number) == (2, 5.0, 2)


def test_errors_are_counted_since_the_sample_before_and_anew_in_each_session() -> None:
    counts: list[tuple[int, dict[str, int]]] = [
        (1, {"timeout": 1}),
        (1, {"timeout": 1}),
        (1, {"timeout": 4, "server": 2}),
        (2, {"timeout": 2}),
    ]
    samples = [replace(a_sample(5, session), errors=errors) for session, errors in counts]
    grown = [{"timeout": 1}, {}, {"timeout": 3, "server": 2}, {"timeout": 2}]
    assert errors_since(samples) == grown


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"scope": "whole"}, "sync"),
        ({"scope": "sample"}, "sample"),
        ({"scope": "dry"}, "dry run"),
        ({"scope": "whole", "replay_of": 3}, "replay"),
        ({"scope": "whole", "reverts": 3}, "revert"),
        ({"scope": "whole", "mode": "refresh"}, "refresh"),
        ({"scope": "of a later carsync"}, "sync"),
        ({"scope": "whole", "mode": "incremental"}, "incremental"),
        ({"scope": "dry", "mode": "incremental"}, "dry run"),
    ],
)
def test_every_run_has_its_kind(changes: dict[str, Any], kind: str) -> None:
    assert kind_of(a_run(**changes)) == kind


def test_how_runs_bear_on_each_other_is_known_from_both_sides() -> None:
    assert some_details(a_past()).relations == []
    later = some_details(a_past(replay_of=41)).relations
    assert later == [("replays", "41")]
    assert some_details(a_past(reverts=40)).relations == [("reverts", "40")]
    earlier = some_details(a_past(), replayed_by=(43,), reverted_by=(44, 45)).relations
    expected: list[tuple[RelationKind, str]] = [("replayed by", "43"), ("reverted by", "44, 45")]
    assert earlier == expected


@pytest.mark.parametrize(
    ("past", "why", "step"),
    [
        (a_past("running", counts=None), "", "the run is in progress"),
        (a_past("abandoned", counts=None), "did not resume this run", "the table was not changed"),
        (a_past("partial"), "", "it was merged"),
        (replace(a_past("running", counts=None), state="interrupted"), "unexpectedly", "sync`"),
        (a_past("failed", counts=None), "", "run `carsync sync` again"),
        (replace(a_past("failed", counts=None, reverts=40), kind="revert"), "", "revert 40` again"),
        (replace(a_past("failed", counts=None, replay_of=4), kind="replay"), "", "replay` again"),
        (replace(a_past("failed", counts=None), kind="refresh"), "", "carsync refresh` again"),
    ],
)
def test_the_fate_of_a_run_and_what_to_do(past: PastRun, why: str, step: str) -> None:
    words, next_step = fate(past)
    assert why in words
    assert bool(why) is bool(words)
    assert step in next_step


def test_how_long_a_run_took_is_its_last_session_s_time() -> None:
    assert a_past(report=snapshots.report(duration_s=7.0)).duration_s == 7.0
    resumed = a_past(resumed_at=NOW - timedelta(seconds=5))
    assert (a_past().duration_s, resumed.duration_s) == (103.0, 5.0)
    assert a_past("abandoned").duration_s is None
    assert a_past(finished_at=None).duration_s is None
