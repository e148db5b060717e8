"""`limits.budget` over real HTTP and PostgreSQL: never overspent, by whoever and however ended."""

from __future__ import annotations

from functools import partial

from tests.e2e.conftest import Fill
from tests.support.site import SimulatedSite, ask, await_that

KINDS = "SELECT kind, sum(requests)::int FROM carsync.requests GROUP BY kind ORDER BY kind"


def requests(site: SimulatedSite) -> dict[str, int]:
    """Return what is counted in the database, by kind, the zeros aside."""
    return {kind: count for kind, count in ask(site.dsn, KINDS) if count}


def allow(site: SimulatedSite, requests: int) -> None:
    """Set a budget; a month is the least likely to end during the test."""
    site.settings |= {"limits.budget.requests": requests, "limits.budget.per": "month"}
    site.settings["checkpoint.max_age_h"] = 2000


def is_above(site: SimulatedSite, requests: int) -> bool:
    """Say whether more requests came."""
    return len(site.api.log) > requests


def test_without_a_budget_requests_are_counted(site: SimulatedSite) -> None:
    site.sync()
    assert requests(site) == {"pages": len(site.api.log)}


def test_a_used_up_budget_ends_the_run_which_goes_on_later(site: SimulatedSite) -> None:
    allow(site, 20)
    ended = site.sync(expect=3)
    assert len(site.api.log) == 20
    assert "limits.budget is used up: 20 of 20 requests a month" in ended.said
    assert "run again after" in ended.said
    assert requests(site) == {"pages": 20}
    assert site.sync(expect=3).report["snapshot"]["attempts"] == 0
    allow(site, 40)
    site.sync()
    site.assert_exact()
    assert len(site.api.log) == len(site.api.pages_asked()) <= 40
    assert requests(site) == {"pages": len(site.api.log)}


def test_a_run_that_cannot_be_finished_is_refused_before_its_first_page(
    site: SimulatedSite, fill: Fill
) -> None:
    fill(site)
    budget = sum(requests(site).values()) + 12
    allow(site, budget)
    site.settings["checkpoint.max_age_h"] = 0
    ended = site.sync(expect=3)
    words = f"needs about 30 more requests, and limits.budget leaves 12 of {budget} a month"
    assert words in ended.said
    assert "no page is asked for" in ended.said
    assert site.api.log == []
    allow(site, budget)
    ended = site.sync(expect=3)
    assert "reads what is left, and goes on when `carsync sync` runs again after" in ended.said
    assert len(site.api.log) == 12


def test_killed_runs_never_overspend_it(site: SimulatedSite) -> None:
    allow(site, 25)
    for after in (4, 8):
        site.api.hold(after)
        most = len(site.api.log) + after
        running = site.start("sync")
        await_that(partial(is_above, site, most), "requests are kept back")
        running.process.kill()
        running.end()
        site.api.release()
        site.await_no_process()
    site.sync(expect=3)
    assert len(site.api.log) <= 25
    assert sum(requests(site).values()) == 25
