"""Whole runs: what the table holds after them, and what they wrote to get there."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from carsync.deactivation.by_id import controls_wanted
from carsync.demo.feed import FeedOptions
from tests.e2e.conftest import OpenSite
from tests.support.fake_api import ScriptedApi, page_reply
from tests.support.folders import GOLDEN_FILE
from tests.support.quick_site import QuickSync
from tests.support.site import SimulatedSite, Site, ask, worst_burst

pytestmark = pytest.mark.quick

FEED = FeedOptions(cars=600, changed_share=0.05, added_share=0.03, removed_share=0.04)


@pytest.mark.quick(False)
def test_the_table_follows_the_feed_and_no_row_is_written_without_need(
    open_site: OpenSite, empty_dsn: str
) -> None:
    """Rows that are staged by one method equal those by the other."""
    site = open_site(FEED, dsn=empty_dsn)

    first = site.sync(database__load_method="execute_values")
    site.assert_exact(0)
    assert first.counts == {"seen": 600, "inserted": 600}
    assert site.writes() == (600, 0, 0)

    unchanged = site.sync(database__load_method="copy")
    site.assert_exact(0)
    assert unchanged.counts == {"seen": 600, "unchanged": 600}
    assert site.writes() == (600, 0, 0)

    site.api.show(1)
    changed = site.sync(database__load_method="copy")
    site.assert_exact(1)
    assert changed.counts == {
        "seen": 594,
        "inserted": 18,
        "updated": 30,
        "unchanged": 546,
        "deactivated": 24,
    }
    assert site.inactive() == site.truth(0).keys() - site.truth(1).keys()
    assert site.writes() == (618, 54, 0)

    site.api.show(0)
    back = site.sync(database__load_method="execute_values")
    site.assert_exact(0)
    assert back.counts == {
        "seen": 600,
        "updated": 30,
        "reactivated": 24,
        "unchanged": 546,
        "deactivated": 18,
    }
    assert site.inactive() == site.truth(1).keys() - site.truth(0).keys()
    assert ask(site.dsn, "SELECT count(*) FROM carsync.runs WHERE state = 'complete'") == [(4,)]


def _create_deployed_table(dsn: str, golden: list[dict[str, Any]], *, with_hash: bool) -> None:
    """Create the table as an older system left it: fewer columns, a row for each record."""
    names = [name for name in golden[0]["row"] if with_hash or name != "data_hash"]
    types = {
        "id": "text PRIMARY KEY",
        "images": "jsonb",
        **dict.fromkeys(("year", "mileage"), "integer"),
        **dict.fromkeys(("price", "current_bid", "buy_now_price"), "numeric"),
        **dict.fromkeys(("is_live", "keys_available", "is_active", "is_archived"), "boolean"),
    }
    columns = ", ".join(f"{name} {types.get(name, 'text')}" for name in names)
    values = ", ".join(f"%({name})s" for name in names)
    with closing(psycopg2.connect(dsn)) as conn, conn, conn.cursor() as cur:
        cur.execute(f"CREATE TABLE public.cars ({columns})")
        for case in golden:
            cur.execute(
                f"INSERT INTO public.cars ({', '.join(names)}) VALUES ({values})", case["row"]
            )


@pytest.mark.parametrize("with_hash", [True, pytest.param(False, marks=pytest.mark.long)])
def test_adopting_a_deployed_table_updates_nothing_that_has_its_md5(
    scripted_api: ScriptedApi, empty_dsn: str, tmp_path: Path, is_quick: bool, with_hash: bool
) -> None:
    golden = json.loads(GOLDEN_FILE.read_text(encoding="utf-8"))
    for page in (1, 2):
        records = [case["record"] for case in golden[(page - 1) * 60 : page * 60]]
        scripted_api.on("/cars", page_reply(records, page, 2, 120), page=page)
    _create_deployed_table(empty_dsn, golden, with_hash=with_hash)
    kind = QuickSync if is_quick else Site
    site = kind(scripted_api.base_url, "e2e", empty_dsn, tmp_path)
    site.variables["PAGE_SIZE"] = "60"
    site.settings["mapping.hash.algorithm"] = "md5"

    adopted = site.sync()
    assert "image_url" in adopted.err, "it says which columns it added"
    what = "unchanged" if with_hash else "updated"
    assert adopted.counts == {"seen": 120, what: 120}
    assert site.active() == {case["row"]["id"]: case["row"]["data_hash"] for case in golden}
    assert site.writes() == (120, 0 if with_hash else 120, 0)

    assert site.sync().counts == {"seen": 120, "unchanged": 120}


def test_an_honest_feed_costs_its_pages_the_one_behind_them_and_the_by_id_requests(
    grown_site: SimulatedSite,
) -> None:
    """And the run tells how many these were; 1 of the by-id requests is for an impossible id."""
    site = grown_site
    pages, absent = 15, 12
    ended = site.sync()
    asked = pages + 1 + absent + controls_wanted(absent) + 1
    assert len(site.api.log) == ended.report["figures"]["attempts"] == asked
    assert ended.counts["deactivated"] == absent
    site.api.reset()
    ended = site.sync()
    assert len(site.api.log) == ended.report["figures"]["attempts"] == pages + 1


def test_a_feed_without_totals_is_read_until_ten_pages_are_empty(open_site: OpenSite) -> None:
    site = open_site(FEED, with_meta=False)
    site.sync()
    site.assert_exact(0)
    assert sorted(site.api.pages_asked()) == list(range(site.pages() + 10 + 1)), (
        "page 0 too: no total tells"
    )

    site.api.show(1)
    changed = site.sync()
    site.assert_exact(1)
    assert changed.counts["deactivated"] == 24


@pytest.mark.quick(False)
def test_transient_faults_are_ridden_out(open_site: OpenSite) -> None:
    site = open_site(error_share=0.1, cut_share=0.1, html_share=0.1, rate=60.0, burst=8)
    site.settings["limits.retry.max_attempts"] = 10
    site.settings["acceptance.max_error_rate"] = None
    ended = site.sync()
    site.assert_exact()
    statuses = Counter(status for _, _, status in site.api.log)
    assert statuses[500]
    assert statuses[429]
    errors = ended.report["figures"]["errors"]
    assert errors["rate_limited"] == statuses[429]
    assert errors["server_error"] == statuses[500]
    assert errors["network"]
    assert errors["bad_page"]


@pytest.mark.parametrize("own_limit", [pytest.param("0", marks=pytest.mark.long), "200"])
@pytest.mark.quick(False)
def test_retry_after_silences_every_thread(open_site: OpenSite, own_limit: str) -> None:
    site = open_site(FeedOptions(cars=1200), rate=20.0, burst=20)
    site.widen()
    site.variables["RPS"] = own_limit
    site.settings["acceptance.max_error_rate"] = None
    site.sync()
    site.assert_exact()
    log = list(site.api.log)
    refused = next(at for at, _, status in log if status == 429)
    # What was under way, or granted just before, may still arrive; then there is silence.
    assert [at - refused for at, _, _ in log if refused + 0.3 < at < refused + 0.99] == []
    at_once = [at for at, _, _ in log if refused < at <= refused + 0.3]
    assert len(at_once) < 20


@pytest.mark.quick(False)
def test_the_api_never_sees_more_than_burst_and_rate_allow(open_site: OpenSite) -> None:
    """Over any window, retries included, with four threads in two processes."""
    site = open_site(FeedOptions(cars=2000), error_share=0.1)
    site.widen()
    site.variables["RPS"] = "50"
    site.settings["limits.burst"] = 20
    site.settings["acceptance.max_error_rate"] = None
    site.sync()
    site.assert_exact()
    arrivals = [at for at, _, _ in site.api.log]
    assert len(arrivals) > 100, "retries are among them"
    assert worst_burst(arrivals, rate=50) <= 20
    assert arrivals[-1] - arrivals[0] <= 1.2 * (len(arrivals) - 20) / 50 + 1, "nor much less"
