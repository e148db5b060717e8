"""Evidence of absence against an API that is scripted: what deactivates, and what never does."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Fill
from tests.support.fake_api import Reply, ScriptedApi, page_reply
from tests.support.quick_site import QuickSync
from tests.support.site import Site, ask, await_that

PER_PAGE = 20


def car(number: int) -> dict[str, Any]:
    return {"id": number, "manufacturer": {"name": "Kia"}, "model": {"name": f"K{number}"}}


def list_cars(api: ScriptedApi, cars: list[dict[str, Any]]) -> None:
    """Let the API list `cars`, page by page, with sound totals."""
    last = -(-len(cars) // PER_PAGE)
    for page in range(1, last + 1):
        records = cars[(page - 1) * PER_PAGE : page * PER_PAGE]
        api.on("/cars", page_reply(records, page, last, len(cars)), page=page)


def answer_by_id(api: ScriptedApi, alive: Iterable[int], gone: Iterable[int]) -> None:
    for number in alive:
        api.on(f"/cars/{number}", Reply(200, car(number)))
    for number in gone:
        api.on(f"/cars/{number}", Reply(404))


@pytest.fixture
def scripted_site(scripted_api: ScriptedApi, dsn: str, tmp_path: Path) -> Iterator[Site]:
    """A site with the scripted API, for runs without processes."""
    with closing(QuickSync(scripted_api.base_url, "e2e", dsn, tmp_path)) as site:
        yield site


@pytest.fixture
def full(scripted_api: ScriptedApi, scripted_site: Site, fill: Fill) -> Site:
    """A site whose table holds the cars 1 to 100; the API then lists 4 to 100."""
    list_cars(scripted_api, [car(n) for n in range(1, 101)])
    fill(scripted_site, "the cars 1 to 100")
    list_cars(scripted_api, [car(n) for n in range(4, 101)])
    return scripted_site


def test_an_api_without_a_by_id_path_leaves_it_at_the_signs(full: Site) -> None:
    full.sync()
    assert full.inactive() == {"1", "2", "3"}


def test_a_control_that_is_refused_once_is_asked_again(
    full: Site, scripted_api: ScriptedApi
) -> None:
    answer_by_id(scripted_api, range(4, 101), [1, 2, 3])
    for number in range(4, 101):
        scripted_api.on(f"/cars/{number}", Reply(503), Reply(200, car(number)))
    full.sync()
    assert full.inactive() == {"1", "2", "3"}


def test_a_control_that_keeps_failing_holds_what_seemed_proven(
    full: Site, scripted_api: ScriptedApi
) -> None:
    for number in range(1, 101):
        scripted_api.on(f"/cars/{number}", Reply(500))
    ended = full.sync(expect=6)
    assert full.inactive() == set()
    assert "no usable answer to by-id requests" in ended.said


def test_records_without_an_id_never_cost_a_car(full: Site, scripted_api: ScriptedApi) -> None:
    """Any of them may be one of the absent cars, in every run."""
    nameless = [{**car(n), "id": None} for n in (1, 2, 3)]
    list_cars(scripted_api, [*nameless, *(car(n) for n in range(4, 101))])
    for _ in range(2):
        full.sync(expect=6)
        assert full.inactive() == set()


def test_cars_that_come_between_decision_and_merge_are_held_with_the_others(
    full: Site, tmp_path: Path
) -> None:
    """Another session inserts 20 cars without a time: more than a tenth would go, unlooked at."""
    pause = tmp_path / "pause"
    full.variables["CARSYNC_FAILPOINT"] = f"sync.decided=pause@{pause}"
    running = full.start("sync", "--json")
    await_that(pause.exists, "the decision")
    insert = (
        "INSERT INTO public.cars (id, is_active, source_api)"
        " SELECT 'rival ' || n, true, 'external' FROM generate_series(1, 20) AS n RETURNING 1"
    )
    ask(full.dsn, insert)
    pause.unlink()
    ended = full.check(running, expect=6)
    assert (ended.counts.get("deactivated", 0), ended.counts["held"]) == (0, 23)
    assert full.inactive() == set()
    assert "23 cars were absent when the run was merged" in ended.said
    assert "at most 10 may be deactivated" in ended.said


def test_a_time_in_the_future_keeps_no_row_stale_for_good(
    full: Site, scripted_api: ScriptedApi
) -> None:
    late = "UPDATE public.cars SET data_hash = 'x', updated_at = now() + '9 hours'::interval"
    ask(full.dsn, f"{late} WHERE id = '50' RETURNING 1")
    ended = full.sync()  # a time in the future is another clock's: it says nothing
    assert ended.counts["updated"] == 1
    assert full.active()["50"] != "x"


def test_a_total_beyond_belief_is_a_bad_page(
    scripted_api: ScriptedApi, scripted_site: Site
) -> None:
    body = {"data": [car(1)], "meta": {"last_page": 3_000_000_000, "total": 1}}
    scripted_api.on("/cars", Reply(body=body))
    ended = scripted_site.sync(expect=3)
    assert "total of 3e+09" in ended.said


def test_more_pages_than_records_is_a_bad_page(
    scripted_api: ScriptedApi, scripted_site: Site
) -> None:
    body = {"data": [car(1)], "meta": {"last_page": 100_000_000, "total": 1000}}
    scripted_api.on("/cars", Reply(body=body))
    ended = scripted_site.sync(expect=3)
    assert "100,000,000 pages for 1,000 records" in ended.said


def test_a_feed_of_files_ends_where_there_are_no_more(
    scripted_api: ScriptedApi, scripted_site: Site
) -> None:
    """Without totals, and with 404 instead of empty pages past the end."""
    for page in (1, 2, 3):
        records = [car(n) for n in range((page - 1) * PER_PAGE, page * PER_PAGE)]
        scripted_api.on("/cars", Reply(body={"data": records}), page=page)
    scripted_site.sync()
    assert len(scripted_site.active()) == 3 * PER_PAGE
    assert max(a.page or 0 for a in scripted_api.arrivals) == 13


def test_a_retry_after_to_a_by_id_request_holds_for_the_next_fleet_too(
    full: Site, scripted_api: ScriptedApi
) -> None:
    """The gate that silences all goes with its manager; what it knew is not forgotten."""
    wait_s = 6
    for number in range(1, 101):
        scripted_api.on(f"/cars/{number}", Reply(429, headers={"Retry-After": str(wait_s)}))
    scripted_api.arrivals.clear()
    running = full.start("sync", "--json")
    by_id = await_that(
        lambda: [a.monotonic_s for a in scripted_api.arrivals if a.page is None],
        "a request by id",
    )
    await_that(lambda: time.monotonic() > by_id[0] + 1.0, "all threads' being silent")
    answer_by_id(scripted_api, range(4, 101), [1, 2, 3])
    running.children()[0].kill()
    full.check(running)
    later = [
        a.monotonic_s - by_id[0]
        for a in scripted_api.arrivals
        if a.page is None and a.monotonic_s > by_id[0] + 1.0
    ]
    assert min(later) >= wait_s, f"asked again after {min(later):.1f} s"
    assert full.inactive() == {"1", "2", "3"}
