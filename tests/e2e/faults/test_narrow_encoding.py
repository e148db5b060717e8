"""A database whose encoding lacks letters of the feed and signs of carsync's own words."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from psycopg2 import extensions

from tests.support.fake_api import Reply
from tests.support.small_feed import SmallFeed, SmallSite, car

CREATE = "CREATE DATABASE {} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"
ODD = ("\u8d77\u4e9a", "caf\u00e9 \u2026")


@pytest.mark.long
def test_a_run_into_latin1_is_recorded_and_shown(server_dsn: str, tmp_path: Path) -> None:
    name = f"carsync_latin1_{tmp_path.name}"
    with closing(psycopg2.connect(server_dsn)) as admin, SmallFeed() as feed:
        admin.autocommit = True
        with closing(admin.cursor()) as cur:
            cur.execute(CREATE.format(f'"{name}"'))
            cur.execute(f'ALTER DATABASE "{name}" SET quote_all_identifiers = on')
        feed.size, feed.ids = 20, list(range(1, 21))
        cars = [car(i, vin=f"{i}") for i in feed.ids]
        cars[2] |= {"year": ODD[0]}
        cars[3] |= {"title": ODD[0], "manufacturer": {"name": ODD[0]}}
        cars[4] |= {"title": "caf\u00e9"}
        cars[5] |= {"id": ODD[0], "manufacturer": None}
        pages = {1: {"data": cars, "meta": feed.honest_meta(1)}}
        feed.show = lambda page: Reply(
            body=json.dumps(
                pages.get(page, {"data": [], "meta": feed.honest_meta(1)}), ensure_ascii=False
            ).encode()
        )
        site = SmallSite(feed, extensions.make_dsn(server_dsn, dbname=name), tmp_path)
        try:
            site.settings["sync.max_reject_share"] = 0.5
            ended = site.sync()
            assert ended.report["counts"]["rejected"] == 3
            assert "is not recorded" not in ended.err
            listed = site.run("rejects", "list", "--json")
            assert listed.report["open"] == 3, listed
            kinds = {reject["original_kind"] for reject in listed.report["rejects"]}
            assert kinds <= {"altered", "row"}
            shown = site.run("runs", "show", "1", "--json").report
            assert (shown["state"], shown["summary"]["exit_code"]) == ("complete", 0), shown
            for words in (("rejects", "list"), ("runs", "show", "1"), ("report", "1", "-o", "-")):
                assert site.run(*words).exit_code == 0
            assert site.run("runs", "--car", ODD[0]).exit_code == 0
        finally:
            site.close()
            with closing(admin.cursor()) as cur:
                cur.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
