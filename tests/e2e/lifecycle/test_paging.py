"""Feeds of every kind of paging: exact, resumed behind the last staged page, read anew."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from carsync import failpoints
from carsync.demo.feed import FeedOptions
from tests.e2e.conftest import OpenSite
from tests.support.fake_api import Arrival, Reply, ScriptedApi
from tests.support.site import PAGE_SIZE, SimulatedSite, Site, await_that
from tests.support.small_feed import car

pytestmark = pytest.mark.quick

CARS = 245
PAGES = 13
FEED = FeedOptions(cars=CARS, seed=3, changed_share=0.05, added_share=0.03, removed_share=0.02)
KINDS: dict[str, dict[str, Any]] = {
    "offset": {"size_param": "limit"},
    "cursor": {},
    "next_link": {},
    "link_header": {"records": ""},
    "none": {},
}
LINKED = [
    "cursor",
    *(pytest.param(kind, marks=pytest.mark.long) for kind in ("next_link", "link_header")),
]
"""Kinds that know the next page from the one before; the last two go on in the same way."""


def open_kind(open_site: OpenSite, kind: str, **options: Any) -> SimulatedSite:
    site = open_site(FEED, paging=kind, **options)
    pagination = {"type": kind, "total_pages": None, **KINDS[kind]}
    site.settings.update({f"api.pagination.{key}": value for key, value in pagination.items()})
    return site


def requests(site: SimulatedSite) -> list[str]:
    """Return what was asked of the feed itself, in order."""
    return [path for _, path, _ in list(site.api.log) if path.partition("?")[0].endswith("/cars")]


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_reads_the_feed_exactly_and_then_writes_what_changed(
    open_site: OpenSite, kind: str
) -> None:
    site = open_kind(open_site, kind)
    assert site.sync().counts == {"seen": CARS, "inserted": CARS}
    site.assert_exact()
    asked = requests(site)
    assert len(asked) == {"none": 1, "offset": PAGES + 1}.get(kind, PAGES)
    site.api.show(1)
    site.sync()
    site.assert_exact(1)
    assert site.writes() == site.writes_of_a_move()


@pytest.mark.parametrize(("kind", "form"), [("offset", True), ("cursor", False)])
def test_paging_in_a_body_reads_the_same(open_site: OpenSite, kind: str, form: bool) -> None:
    site = open_kind(open_site, kind)
    site.settings.update({"api.method": "POST", "api.form": form, "api.body": {"filter": "all"}})
    site.sync()
    site.assert_exact()
    assert {path for _, path, _ in site.api.log if "/cars" in path} >= {"/api/cars"}
    assert not any("?" in path for path in requests(site))


@pytest.mark.parametrize("kind", LINKED)
@pytest.mark.long
def test_a_killed_run_goes_on_behind_the_last_staged_page(open_site: OpenSite, kind: str) -> None:
    site = open_kind(open_site, kind)
    site.api.hold(6)
    running = site.start("sync", "--json")
    site.await_staged(6)
    await_that(lambda: len(requests(site)) == 7, "the request for the seventh page")
    running.signal(signal.SIGKILL)
    running.end()
    site.api.release()
    ended = site.sync()
    assert "6 pages are staged already" in ended.said
    site.assert_exact()
    asked = requests(site)
    assert len(asked) == PAGES + 1  # the seventh twice
    assert len(set(asked)) == PAGES


@pytest.mark.parametrize("kind", LINKED)
def test_a_token_that_expired_meanwhile_begins_the_feed_anew(
    open_site: OpenSite, kind: str
) -> None:
    site = open_kind(open_site, kind, token_life_s=3600)
    site.settings["acceptance.max_error_rate"] = 0.2
    site.api.hold(6)
    running = site.start("sync", "--json")
    site.await_staged(6)
    running.signal(signal.SIGKILL)
    running.end()
    site.api.show(1)
    site.api.change(token_life_s=-1.0)
    site.api.release()
    resumed = site.start("sync", "--json")
    await_that(lambda: any(status == 410 for *_, status in site.api.log), "the refusal")
    site.api.change(token_life_s=3600)
    ended = site.check(resumed)
    assert "reads the feed from its first page" in ended.said
    site.assert_exact(1)
    assert ended.report["figures"]["pages_staged"] == PAGES


def test_tokens_that_never_live_long_enough_end_the_run_without_a_goodbye(
    open_site: OpenSite,
) -> None:
    site = open_kind(open_site, "cursor")
    site.sync()
    site.api.change(token_life_s=-1.0)
    ended = site.sync(expect=5)
    assert "deactivated" not in ended.counts
    assert ended.counts["seen"] == 20


@pytest.mark.parametrize(
    "point", ["fetch.mapped", pytest.param("stage.begun", marks=pytest.mark.long)]
)
def test_nobody_waits_for_a_page_to_be_mapped_or_staged(open_site: OpenSite, point: str) -> None:
    site = open_kind(open_site, "next_link")
    mark = site.folder / "mark"
    site.variables[failpoints.VARIABLE] = f"{point}:2=pause@{mark}"
    running = site.start("sync", "--json")
    await_that(mark.exists, "the pause")
    await_that(lambda: len(requests(site)) >= 3, "the request for the page after it")
    mark.unlink()
    site.check(running)
    site.assert_exact()


def serve_numbered(api: ScriptedApi, pages: int, behind: Reply) -> None:
    """Serve pages by number as Laravel's simplePaginate does: no total, but `links.next`."""

    def answer(arrival: Arrival) -> Reply:
        api.arrivals.append(arrival)
        page = arrival.page or 0
        if not 1 <= page <= pages:
            return behind
        listed = [car(page * PAGE_SIZE + i) for i in range(PAGE_SIZE)]
        following = f"http://other.example/cars?page={page + 1}" if page < pages else None
        delay_s = 0.1 if page == pages else 0.0
        return Reply(body={"data": listed, "links": {"next": following}}, delay_s=delay_s)

    api.answer = answer  # type: ignore[method-assign]


@pytest.mark.parametrize("rate", ["1", "0"])
def test_has_more_is_the_end_whatever_stands_behind_it(
    scripted_site: Site, scripted_api: ScriptedApi, rate: str
) -> None:
    serve_numbered(scripted_api, 4, Reply(400, {"message": "no such page"}))
    scripted_site.variables["RPS"] = rate
    scripted_site.settings.update({"api.pagination.has_more": "links.next", "api.record": None})
    scripted_site.settings["acceptance.max_error_rate"] = 1
    scripted_site.settings["acceptance.min_pages_per_second"] = None
    ended = scripted_site.sync()
    assert ended.counts["inserted"] == 4 * PAGE_SIZE
    behind = [a.page for a in scripted_api.arrivals if (a.page or 0) > 4]
    assert behind == [] or rate == "0"
    assert ended.report["figures"]["pages_given_up"] == 0
