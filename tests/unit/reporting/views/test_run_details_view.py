"""Past runs on the terminal: legible at 80 and 200 columns, whatever is known of them."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from carsync.reporting.views.run_details import (
    PastRun,
    RunDetails,
    as_data,
    as_line,
    kind_of,
    read_report,
    sessions_of,
)
from carsync.reporting.views.run_details_view import render_details
from carsync.reporting.views.run_list import render_list
from carsync.run.report import RunReport, summary_data
from carsync.state.rejects import ReasonCount
from carsync.state.runs import Run
from carsync.state.samples import FailedPage, FailureCount, Sample
from tests.support import snapshots
from tests.support.folders import ROOT
from tests.support.snapshots import COUNTS, NOW

ESC = "\x1b"


def a_run(**changes: Any) -> Run:
    """Give the record of a run that ended well."""
    usual: dict[str, Any] = {
        "run_id": 42,
        "schema_name": "public",
        "table_name": "cars",
        "source": "external",
        "state": "complete",
        "started_at": NOW - timedelta(seconds=103),
        "merged_at": NOW,
        "finished_at": NOW,
        "exit_code": 0,
        "version": "0.1.0",
        "fingerprints": {},
        "hash_scheme": "xxh3_128:v1",
        "counts": asdict(COUNTS),
    }
    values = dict.fromkeys(field.name for field in fields(Run))
    return Run(**{**values, **usual, **changes})


def a_report(**changes: Any) -> RunReport:
    """Give the last word of that run."""
    usual: dict[str, Any] = {
        "run_id": 42,
        "state": "complete",
        "exit_code": 0,
        "source": "external",
        "target": "public.cars",
        "started_at": NOW - timedelta(seconds=103),
        "finished_at": NOW,
        "duration_s": 103.4,
        "figures": snapshots.snapshot(),
        "counts": COUNTS,
    }
    return RunReport(**{**usual, **changes})


def a_past(state: Any = "complete", *, report: RunReport | None = None, **changes: Any) -> PastRun:
    """Give a past run."""
    run = a_run(**{"state": state, **changes})
    return PastRun(run, kind_of(run), state, report)


def a_sample(second: int, session: int = 1, **changes: Any) -> Sample:
    """Give the figures of a second."""
    usual: dict[str, Any] = dict.fromkeys(Sample.__struct_fields__, 0)
    usual |= {"session": session, "at": NOW + timedelta(seconds=second), "phase": "fetching"}
    usual |= {"elapsed_s": float(second), "pages_planned": 2000, "pages_done": 20 * second}
    usual |= {"pages_per_s": 20.0, "rss_by_kind": {}, "errors": {}, "rss_bytes": 312_000_000}
    return Sample(**{**usual, **changes})


def some_details(past: PastRun, **changes: Any) -> RunDetails:
    """Give the details of a past run of which nothing else is known."""
    details = RunDetails(past, (), {}, FailureCount(), (), (), (), ())
    return replace(details, **changes)


RUNS = [
    a_past("running", run_id=1043, counts=None, finished_at=None, exit_code=None),
    a_past("held", report=a_report(), run_id=1042, exit_code=6),
    a_past("interrupted", run_id=1041, counts=None, exit_code=143),
    a_past("abandoned", run_id=998, counts=None, exit_code=None),
    a_past("partial", run_id=997, replay_of=996),
]


@pytest.mark.parametrize("width", [80, 200])
def test_the_list_fits_and_every_number_is_under_its_name(width: int) -> None:
    text = render_list(RUNS, NOW, width)
    head, *lines = text.splitlines()
    assert len(lines) == len(RUNS)
    assert max(map(len, [head, *lines])) <= width
    for name, number in (("updated", "1,999"), ("gone", "40"), ("held", "0"), ("exit", "6")):
        end = head.index(name) + len(name)
        assert lines[1][:end].endswith(number), name
        assert lines[1][end : end + 1] in {"", " "}
    assert "running" in lines[0]
    assert "1m 43s" in lines[0]
    assert lines[3].split()[-1] == "–"
    assert "replay" in lines[4]
    assert ("pages/s" in head, "rejected" in head) == (width == 200,) * 2
    assert ("2026-01-02 03:03" in text) is (width == 200)
    assert "01-02 03:03" in text


def test_without_replays_the_list_has_room_for_what_was_seen_at_80_columns() -> None:
    head = render_list(RUNS[:4], NOW, 80).splitlines()[0]
    assert "seen" in head
    assert "kind" not in head


def test_colours_change_no_place() -> None:
    plain = render_list(RUNS, NOW, 80)
    colored = render_list(RUNS, NOW, 80, color=True)
    assert ESC not in plain
    for code in ("\x1b[32m", "\x1b[33m", "\x1b[1m", "\x1b[0m"):
        assert code in colored
        colored = colored.replace(code, "")
    assert colored == plain


def test_a_stored_summary_is_read_back_whole() -> None:
    report = a_report(notes=("one",), problem="p", detail="d", hint="h")
    stored = msgspec.json.decode(msgspec.json.encode(summary_data(report)))
    assert read_report({**stored, "of a later carsync": 1}) == report
    for odd in (None, {}, {"snapshot": 1}, {"alive_by_id": True}):
        assert read_report(odd) is None
    older = {n: v for n, v in stored["snapshot"].items() if not n.startswith("recent_")}
    assert read_report({**stored, "snapshot": older}) is not None


def test_a_summary_that_the_carsync_before_stored_is_still_shown() -> None:
    stored = msgspec.json.decode((ROOT / "tests/data/older/summary.json").read_bytes())
    report = read_report(stored)
    assert report is not None
    assert report.figures == snapshots.snapshot(
        pages_given_up=1,
        pages_resumed=400,
        rss_by_process={"parent": 60_000_000, "fetcher-1": 50_000_000},
    )
    assert msgspec.json.decode(msgspec.json.encode(summary_data(report))) == stored
    past = a_past("held", report=report, exit_code=6)
    text = render_details(some_details(past), NOW, 80)
    assert "1,212 of 2,000 (60.6 %) · 400 kept from the interrupted run · 1 failed" in text


@pytest.mark.parametrize("width", [80, 200])
def test_the_details_of_a_resumed_run_with_failures_and_rejects(width: int) -> None:
    taken = [a_sample(n, errors={"rate_limited": n}) for n in range(40)]
    taken += [a_sample(n, 2, phase="ended" if n == 9 else "fetching") for n in range(10)]
    problem = f"the API answered {ESC}[2J " + "something long " * 12
    details = some_details(
        a_past(report=a_report(), resumed_at=NOW),
        samples=taken,
        failed_attempts={"rate_limited": 39},
        failures_kept=FailureCount(20, 12, 1),
        failed_pages=[
            FailedPage(
                17, 4, {"timeout": 1, "server_error": 3}, 6, "timeout", None, problem, True, NOW
            ),
        ],
        reasons=[ReasonCount("year", f"… is no integer{ESC}", 3)],
        replayed_by=(43,),
        reverted_by=(44, 45),
    )
    text = render_details(details, NOW, width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    assert ESC not in text
    for line in (
        "  outcome  complete (exit 0)",
        "  replayed  by run 43",
        "  reverted  by run 44, 45",
        "  1  2026-01-02 03:05:21 UTC · 39 s · 780 pages staged · cut off while fetching",
        "  2  2026-01-02 03:05:21 UTC · 9 s · 180 pages staged",
        "failed attempts: 39 (429: 39) on 12 pages, 1 given up",
        "  and 11 pages more (--json has them)",
        "  of these attempts 20 are kept by page",
        "open rejects: 3",
        "  3         year: … is no integer",
    ):
        assert line in lines, line
    assert "  page 17   3 × 5xx, 1 × timeout, given up · the API answered" in text
    (pages,) = (line for line in lines if line.startswith("  pages/s "))
    assert pages.endswith("█  peak 20.0")
    data = as_data(details)
    assert len(data["samples"]) == 50
    assert data["rejects"] == {
        "open": 3,
        "reasons": [{"column": "year", "reason": f"… is no integer{ESC}", "count": 3}],
    }


@pytest.mark.parametrize(
    ("past", "words"),
    [
        (a_past("running", counts=None, finished_at=None, exit_code=None), "it is at work"),
        (
            replace(
                a_past("running", counts=None, finished_at=None, exit_code=None),
                state="interrupted",
            ),
            "its process ended without a word",
        ),
        (a_past("abandoned", counts=None, exit_code=None), "a later run did not resume it"),
        (a_past("partial", replay_of=41), "the rejects of run 41"),
        (a_past("failed", counts=None, exit_code=4), "the database failed (exit 4)"),
    ],
)
def test_a_run_without_a_last_word_is_told_from_its_record(past: PastRun, words: str) -> None:
    text = render_details(some_details(past), NOW, 80)
    assert words in text
    assert max(map(len, text.splitlines())) <= 80
    assert past.state in text.splitlines()[0]
    assert ("seen            200,000" in text) is (past.run.counts is not None)
    assert as_line(past)["recorded_state"] == past.run.state


def test_what_became_of_a_run_after_its_last_word_is_said_beside_it() -> None:
    past = a_past("abandoned", report=a_report(state="failed", exit_code=4, problem="it broke"))
    text = render_details(some_details(past), NOW, 80)
    assert "problem: it broke" in text
    assert "  since then  abandoned" in text.splitlines()


def test_sessions_are_told_apart() -> None:
    first, second = sessions_of([a_sample(0), a_sample(5), a_sample(0, 2)])
    assert (first.samples, first.worked_s, second.number) == (2, 5.0, 2)
