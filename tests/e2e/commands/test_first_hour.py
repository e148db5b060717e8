"""The first hour: `carsync check` names what is wrong, `carsync init` describes an unknown feed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.e2e.faults.test_database_roles import role
from tests.support.fake_api import Reply, ScriptedApi
from tests.support.feed_shapes import TOTAL, ShapedApi, drf_cursor
from tests.support.site import SimulatedSite, Site, ask

pytestmark = pytest.mark.quick

HUSH = "hush-9d1c"
STATE = """
SELECT (SELECT count(*) FROM carsync.runs), (SELECT count(*) FROM public.cars),
       (SELECT count(*) FROM pg_class), (SELECT md5(string_agg(t::text, '' ORDER BY version))
        FROM carsync.migrations AS t)
"""


def levels(report: dict[str, Any]) -> dict[str, str]:
    return {
        check["name"]: check["level"] for group in report["groups"] for check in group["checks"]
    }


def test_three_planted_problems_are_named_with_their_remedies(site: SimulatedSite) -> None:
    fine = site.run("check", "--json")
    assert fine.exit_code == 0, fine
    assert fine.report["problems"] == 0
    assert len(site.api.pages_asked()) == 3, (
        "the first page, one behind the end, one before the first"
    )
    state = site.folder / "state"
    state.write_text("a file where a folder should be")
    before = ask(site.dsn, STATE)
    with role(site) as name:
        ask(site.dsn, f'REVOKE INSERT ON public.cars FROM "{name}"')
        site.variables["API_KEY"] = HUSH
        place = {"checkpoint__path": str(state / "x.json")}
        found = site.run("check", "--json", **place)
        shown = site.run("check", **place)
    assert found.exit_code == shown.exit_code == 2, "the first problem's"
    named = levels(found.report)
    assert {name for name, level in named.items() if level == "problem"} == {
        "checkpoint",
        "key",
        "target table",
    }
    assert named["mapping"] == named["hashes"] == "skipped"
    assert named["schema carsync"] == named["lock"] == "ok", "the checks go on after a problem"
    for words in ("set checkpoint.path", "check API_KEY", "GRANT INSERT ON public.cars"):
        assert words in shown.said
    assert "3 problems" in shown.said
    assert max(map(len, shown.out.splitlines())) <= 80
    assert "\x1b" not in shown.out
    assert HUSH not in found.said + shown.said
    assert ask(site.dsn, STATE) == before, "nothing was changed"
    assert state.read_text().startswith("a file")
    assert site.sessions() == []


def test_a_configuration_that_cannot_be_read_is_the_one_problem(site: Site) -> None:
    (site.folder / "odd.yaml").write_text("limits: {burts: 3}")
    ended = site.run("check", "--json", "--config", "odd.yaml")
    assert ended.exit_code == 2
    named = levels(ended.report)
    assert [name for name, level in named.items() if level == "problem"] == ["configuration"]
    assert named["answer"] == named["version"] == "skipped"
    assert "did you mean limits.burst?" in ended.said
    assert site.run("check", "--strict", "--set", "database.writers=13").exit_code == 2


def listing(number: int) -> dict[str, Any]:
    return {
        "ref": f"L{number:03}",
        "brand": {"id": number % 3, "name": ("Kia", "BMW", "Škoda")[number % 3]},
        "model": f"M{number % 5}",
        "year": 2000 + number % 20,
        "price": {"amount": 9_000.5 + number, "currency": "EUR"},
        "mileage_km": 1_000 * number,
        "photos": [f"https://e2e.test/{number}.jpg"],
    }


@pytest.mark.quick(False)
def test_a_feed_of_another_shape_syncs_with_what_init_wrote_unedited(
    scripted_site: Site, scripted_api: ScriptedApi
) -> None:
    site, cars = scripted_site, [listing(number) for number in range(45)]
    for page in range(1, 4):
        items = cars[20 * (page - 1) : 20 * page]
        paging = {"page": page, "limit": 20, "pages": 3}
        answer = {"status": "ok", "result": {"items": items, "paging": paging}, "count": len(cars)}
        scripted_api.on("/listings", Reply(body=answer), page=page)
        if page == 1:
            scripted_api.on("/listings", Reply(body=answer))
    del site.variables["PAGE_SIZE"]
    site.settings = {}
    written = site.run("init", "feed.yaml", "--path", "listings", "--yes")
    assert written.exit_code == 0, written
    assert "carsync sync --config feed.yaml" in written.out
    text = (site.folder / "feed.yaml").read_text()
    assert site.variables["API_KEY"] == "e2e"
    assert "e2e" not in text, "no secret is written, not even as an example"
    assert "size_param: limit" in text
    site.settings = {"limits.fetcher_processes": 1}
    checked = site.run("check", "--config", "feed.yaml", "--json")
    assert checked.exit_code == 0, checked
    ended = site.sync("--config", "feed.yaml")
    assert ended.counts == {"seen": 45, "inserted": 45}
    query = """SELECT id, make, model, year, price, mileage, images, image_url, is_active
               FROM public.cars ORDER BY id"""
    assert ask(site.dsn, query) == [
        (
            car["ref"],
            car["brand"]["name"],
            car["model"],
            car["year"],
            Decimal(str(car["price"]["amount"])),
            car["mileage_km"],
            car["photos"],
            car["photos"][0],
            True,
        )
        for car in cars
    ]


def test_a_first_page_that_is_refused_leaves_no_file(
    scripted_site: Site, scripted_api: ScriptedApi
) -> None:
    scripted_api.on("/cars", Reply(401, {"message": "who are you?"}))
    scripted_site.settings.clear()  # `init` takes none
    ended = scripted_site.run("init", "feed.yaml", "--yes")
    assert ended.exit_code == 3
    assert "the API did not return the first page" in ended.said
    assert "--auth-name" in ended.said
    assert not (scripted_site.folder / "feed.yaml").exists()


def test_a_feed_of_cursors_is_synced_with_what_init_wrote_unedited(scripted_site: Site) -> None:
    site = scripted_site
    with ShapedApi(drf_cursor, "/cars/", "/cars/{id}/") as api:
        api.refuse = lambda arrival: (
            None
            if arrival.path.endswith("/")
            else Reply(301, b"", {"Location": f"{arrival.path}/"})
        )
        site.variables["API_BASE_URL"] = api.base_url
        del site.variables["PAGE_SIZE"]
        site.settings = {}
        written = site.run("init", "feed.yaml", "--yes")
        assert written.exit_code == 0, written
        assert "redirects to" in written.said
        assert len(api.arrivals) == 5, "the redirect; two pages; a car, and an impossible one"
        site.settings = {"limits.fetcher_processes": 1}
        assert site.sync("--config", "feed.yaml").counts == {"seen": TOTAL, "inserted": TOTAL}
