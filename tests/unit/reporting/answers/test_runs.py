"""Past runs as JSON: a run says the same in the list, in full and in the report."""

from __future__ import annotations

import msgspec

from carsync.reporting.answers.runs import tell_car, tell_run, tell_runs, tell_summary
from carsync.state.changes import CarChange
from carsync.state.rejects import ReasonCount
from tests.support import snapshots
from tests.support.past_runs import a_past, a_sample, some_details


def test_data_hold_the_line_of_the_list_and_every_sample() -> None:
    past = a_past("partial", report=snapshots.report(problem="p"), replay_of=41)
    samples = [a_sample(0), a_sample(5)]
    reasons = [ReasonCount("year", "… is no integer", 3)]
    details = some_details(past, samples=samples, replayed_by=(43,), reasons=reasons)
    data = msgspec.to_builtins(tell_run(details))
    (line,) = msgspec.to_builtins(tell_runs([past]))["runs"]
    assert data.items() >= line.items()
    assert (data["kind"], data["problem"], data["pages_per_s_mean"]) == ("replay", "p", 19.9)
    assert data["started_at"].endswith("Z")
    assert [sample["pages_done"] for sample in data["samples"]] == [0, 100]
    (session,) = data["sessions"]
    assert (session["session"], session["pages_done"], session["samples"]) == (1, 100, 2)
    assert session["started_at"] < session["seen_until"]
    assert data["replayed_by"] == (43,)
    assert (data["open_rejects"], data["reject_reasons"][0]["count"]) == (3, 3)


def test_an_incremental_run_has_its_mode_and_its_window() -> None:
    past = a_past(mode="incremental", scope="whole", window_from=snapshots.NOW)
    (line,) = msgspec.to_builtins(tell_runs([past]))["runs"]
    assert (line["kind"], line["mode"]) == ("incremental", "incremental")
    assert line["window_from"] == "2026-01-02T03:05:21Z"


def test_older_names_say_what_the_names_of_today_say() -> None:
    report = snapshots.report()
    summary = msgspec.to_builtins(tell_summary(report))
    assert summary["snapshot"] == summary["figures"]
    assert summary["figures"]["pages_done"] == report.figures.pages_done
    assert summary["figures"]["pages_failed"] == summary["figures"]["pages_given_up"]
    data = msgspec.to_builtins(tell_run(some_details(a_past(), samples=[a_sample(5)])))
    (sample,) = data["samples"]
    assert sample["pages_staged"] == sample["pages_done"] == 100
    assert sample["rows_per_s"] == sample["recent_rows_per_s"]
    assert data["errors"]["by_class"] == data["failed_attempts"]
    assert data["rejects"]["open"] == data["open_rejects"]
    assert data["pages_per_s"] == data["pages_per_s_mean"]


def test_the_changes_of_a_car_are_told_under_its_id() -> None:
    change = CarChange(7, None, "updated", {"price": "1"}, {"price": "2"})
    data = msgspec.to_builtins(tell_car("A-1", [change]))
    assert data["id"] == data["car"] == "A-1"
    assert data["changes"] == [msgspec.to_builtins(change)]
