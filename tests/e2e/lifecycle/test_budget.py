"""`limits.budget` over real HTTP and PostgreSQL: never overspent, by whoever and however ended."""

from __future__ import annotations

from functools import partial

import pytest

from tests.e2e.conftest import Fill
from tests.support.site import SimulatedSite, ask, await_that

BUDGET = 1000
_SPEND = """
    INSERT INTO carsync.requests
    VALUES ('public', 'cars', 'external', date_trunc('hour', now()), 'before', %(count)s)
"""


def leave(site: SimulatedSite, requests_left: int) -> None:
    """Leave so many of a budget; a month is the least likely to end during the test."""
    site.settings |= {"limits.budget.requests": BUDGET, "limits.budget.per": "month"}
    site.settings["checkpoint.max_age_h"] = 2000
    used = sum(site.counted().values())
    ask(site.dsn, _SPEND, {"count": BUDGET - used - requests_left})


def is_above(site: SimulatedSite, requests: int) -> bool:
    """Say whether more requests came."""
    return len(site.api.log) > requests


def test_without_a_budget_requests_are_counted(site: SimulatedSite) -> None:
    site.sync()
    assert site.counted() == {"pages": len(site.api.log)}
    told = site.status()
    assert told["requests"] == told["api_use"]["today"] == {"pages": len(site.api.log)}


def test_a_used_up_budget_ends_the_run_which_goes_on_later(site: SimulatedSite) -> None:
    leave(site, 20)
    ended = site.sync(expect=3)
    assert len(site.api.log) == 20
    assert "limits.budget is used up: 1,000 of 1,000 requests a month" in ended.said
    assert "run again after" in ended.said
    assert site.counted() == {"before": 980, "pages": 20}
    assert site.status()["api_use"]["budget"]["left"] == 0
    site.settings["limits.budget.requests"] = 1020
    site.sync()
    site.assert_exact()
    assert len(site.api.log) == len(site.api.pages_asked()) <= 40
    assert site.counted() == {"before": 980, "pages": len(site.api.log)}
    assert site.status()["requests"] == {"pages": len(site.api.log)}, "both sessions count"


@pytest.mark.long
def test_a_run_that_cannot_be_finished_is_refused_before_its_first_page(
    site: SimulatedSite, fill: Fill
) -> None:
    fill(site)
    before = len(site.api.log)
    leave(site, 12)
    site.settings["checkpoint.max_age_h"] = 0
    ended = site.sync(expect=3)
    assert (
        "needs about 30 more requests, and limits.budget leaves 12 of 1,000 a month" in ended.said
    )
    assert "no page is asked for" in ended.said
    assert len(site.api.log) == before
    site.settings["checkpoint.max_age_h"] = 2000
    ended = site.sync(expect=3)
    assert "reads what is left, and goes on when `carsync sync` runs again after" in ended.said
    assert len(site.api.log) == before + 12


def test_killed_runs_never_overspend_it(site: SimulatedSite) -> None:
    leave(site, 30)  # a run that is killed loses at most 18: 8 that it sent, 10 that it reserved
    for after in (4, 7):
        site.api.hold(after)
        most = len(site.api.log) + after
        running = site.start("sync")
        await_that(partial(is_above, site, most), "requests are kept back")
        running.process.kill()
        running.end()
        site.api.release()
        site.await_no_process()
    site.sync(expect=3)
    assert len(site.api.log) <= 30
    assert sum(site.counted().values()) == BUDGET
