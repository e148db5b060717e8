"""Past runs on the terminal: legible at 80 and 200 columns, whatever is known of them."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from carsync.reporting.views.run_details import (
    PastRun,
    read_report,
)
from carsync.reporting.views.run_details_view import render_details
from carsync.run.report import summary_data
from carsync.state.rejects import ReasonCount
from carsync.state.samples import FailedPage, FailureCount
from tests.support import snapshots
from tests.support.folders import ROOT
from tests.support.past_runs import a_past, a_sample, some_details
from tests.support.snapshots import NOW

ESC = "\x1b"


def test_a_summary_that_the_carsync_before_stored_is_still_shown() -> None:
    stored = msgspec.json.decode((ROOT / "tests/data/older/summary.json").read_bytes())
    report = read_report(stored)
    assert report is not None
    assert report.figures == snapshots.snapshot(
        pages_given_up=1,
        pages_resumed=400,
        rss_by_process={"parent": 60_000_000, "fetcher-1": 50_000_000},
    )
    told = stored | {
        "snapshot": stored["snapshot"]
        | {"allowed_per_s_mean": None, "slowed": None, "lists_planned": 0, "lists_done": 0}
        | {"requests": {}, "api_use": None, "quotas": []}
        | {"tombstones": 0},
        "meaning": "held: a person must look",
        "next_step": "look; or do nothing: the next run decides again",
        "counts": stored["counts"] | {"kept": 0, "removed": 0},
        "data_at": None,
        "columns": None,
        "fields": [],
        "lists": [],
        "mode": "full",
        "window_from": None,
        "window_overlap_s": None,
        "api_clock": None,
        "usual_mode": "full",
    }
    assert msgspec.json.decode(msgspec.json.encode(summary_data(report))) == told
    past = a_past("held", report=report, exit_code=6)
    text = render_details(some_details(past), NOW, 80)
    assert "1,212 of 2,000 (60.6 %) · 400 staged before the interruption · 1 failed" in text


@pytest.mark.parametrize("width", [80, 200])
def test_the_details_of_a_resumed_run_with_failures_and_rejects(width: int) -> None:
    taken = [a_sample(n, errors={"rate_limited": n}) for n in range(40)]
    taken += [a_sample(n, 2, phase="ended" if n == 9 else "fetching") for n in range(10)]
    problem = f"the API answered {ESC}[2J " + "something long " * 12
    details = some_details(
        a_past(report=snapshots.report(), resumed_at=NOW),
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
        "  and 11 more pages (--json has them)",
        "  only 20 of these attempts are listed here",
        "open rejects: 3",
        "  3         year: … is no integer",
    ):
        assert line in lines, line
    assert "  page 17   3 × 5xx, 1 × timeout, given up · the API answered" in text
    (pages,) = (line for line in lines if line.startswith("  pages/s "))
    assert pages.endswith("█  peak 20.0")


@pytest.mark.parametrize(
    ("past", "words"),
    [
        (
            a_past("running", counts=None, finished_at=None, exit_code=None),
            "the run is in progress",
        ),
        (
            replace(
                a_past("running", counts=None, finished_at=None, exit_code=None),
                state="interrupted",
            ),
            "its process ended unexpectedly",
        ),
        (a_past("abandoned", counts=None, exit_code=None), "a later run did not resume this run"),
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


def test_what_became_of_a_run_after_its_last_word_is_said_beside_it() -> None:
    past = a_past(
        "abandoned", report=snapshots.report(state="failed", exit_code=4, problem="it broke")
    )
    text = render_details(some_details(past), NOW, 80)
    assert "problem: it broke" in text
    assert "  since then  abandoned" in text.splitlines()
