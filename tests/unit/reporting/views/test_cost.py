"""What requests have cost, in every view: the run's, today's, what is left, what the API tells."""

from __future__ import annotations

from datetime import timedelta

from carsync.reporting.answers.status import StatusAnswer, tell_status
from carsync.reporting.live.live_view import LiveState, live_lines
from carsync.reporting.views.cost import cost_rows
from carsync.reporting.views.summary import render_summary
from tests.support.folders import ROOT
from tests.support.snapshots import COST, NOW, checkpoint, render_status, report, snapshot

LEFT = "63 of 1,000 requests a day left · renews 2026-01-03 00:00:00 UTC"
LINES = (
    "845: 814 pages, 30 by id, 1 token",
    "937: 900 pages, 30 by id, 2 token, 5 reserved · all runs, UTC",
    LEFT,
    "X-RateLimit: 50 of 100 left · renews 2026-01-02 03:05:51 UTC",
    "Quota: 7 left · told 2026-01-02 03:05:21 UTC",
)


def test_status_and_summary_say_all_of_it() -> None:
    shown = str(render_status(checkpoint(**COST), NOW, lock_held=True, width=130))
    summary = str(render_summary(report(figures=snapshot(**COST))))
    for line in LINES:
        assert line in " ".join(shown.split())
        assert line in " ".join(summary.split())
    assert max(map(len, summary.splitlines())) <= 80


def test_without_requests_nothing_is_said() -> None:
    assert cost_rows({}, None, (), NOW) == []


def test_a_later_status_counts_from_what_has_renewed() -> None:
    tomorrow = NOW + timedelta(days=1)
    rows = dict(cost_rows(COST["requests"], COST["api_use"], COST["quotas"][:1], tomorrow))
    assert rows["today"] == "none · all runs, UTC"
    assert rows["budget"].startswith("1,000 of 1,000 requests a day left · renews 2026-01-0")
    assert rows["API tells"] == "X-RateLimit: 50 of 100 left · told 2026-01-02 03:05:21 UTC"
    told = tell_status(ROOT, checkpoint(**COST), tomorrow, False, 24.0)
    assert isinstance(told, StatusAnswer)
    assert told.api_use is not None
    assert told.api_use.budget is not None
    assert (told.api_use.today, told.api_use.budget.left) == ({}, 1000)


def test_the_live_view_shows_what_is_left() -> None:
    state = LiveState(snapshot(**COST), "fetching", NOW, 1.0)
    assert "63 of 1,000 requests a day left" in " ".join(" ".join(live_lines(state, 200)).split())
