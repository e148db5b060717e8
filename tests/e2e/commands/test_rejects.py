"""Poison in a whole run, the budget of rejects, and `carsync rejects`, judged by the oracle."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.e2e.conftest import Fill
from tests.support.fake_api import ScriptedApi, page_reply
from tests.support.oracle import KEY, Oracle, assert_no_canary
from tests.support.records import POISONED, UNKNOWN
from tests.support.site import SimulatedSite, Site, ask

pytestmark = pytest.mark.quick

Poison = Callable[[Mapping[str, str]], None]
MENDED = {"mapping__columns__title": {"template": "{make} {model}"}}
"""The mapping fix: a title of the feed's own is looked for no more; its hashes are other ones."""

UNMERGED = (
    "WITH run AS (INSERT INTO carsync.runs (schema_name, table_name, source, state, version,"
    " hash_scheme, started_at) SELECT 'public', 'cars', %s, 'failed', '0', 'h',"
    " now() - %s::interval RETURNING run_id)"
    " INSERT INTO carsync.rejects (run_id, page, ordinal, reason, original, fetched_at,"
    " original_kind) SELECT run_id, 1, 1, 'bad', '{}', now(), 'record' FROM run RETURNING 1"
)
"""A run that failed, with one reject."""


@pytest.fixture
def poison(site: SimulatedSite, monkeypatch: pytest.MonkeyPatch) -> Poison:
    """Give a function by which the feed, from now on, gives other texts for some cars' records."""
    build = site.api.feed.page_body

    def poison_(texts: Mapping[str, str]) -> None:
        def page_body(*args: Any, **options: Any) -> bytes:
            body = json.loads(build(*args, **options))
            ids = [str(record["id"]) for record in body["data"]]
            body["data"] = [
                f"@{car}@" if car in texts else record
                for car, record in zip(ids, body["data"], strict=True)
            ]
            text = json.dumps(body)
            for car in ids:
                text = text.replace(f'"@{car}@"', texts.get(car, ""))
            return text.encode("utf-8", "surrogateescape")

        monkeypatch.setattr(site.api.feed, "page_body", page_body)
        site.api._pages._bodies.clear()

    return poison_


def with_id(text: str, car: str) -> str:
    """Return a poisoned record under the id of a real car."""
    return text.replace('"id": 666', f'"id": {car}', 1)


def record_of(site: SimulatedSite, car: str, **changes: Any) -> str:
    """Return the text of a car's own record with `changes`."""
    body = json.loads(site._feed.page_body(site._feed.at(0), 1, 1_000_000))
    (record,) = (r for r in body["data"] if str(r["id"]) == car)
    return json.dumps({**record, **changes})


@pytest.mark.quick(False)
def test_poisoned_records_cost_themselves_and_nobody_goes(
    site: SimulatedSite, poison: Poison, fill: Fill
) -> None:
    fill(site)
    site.settings["sync.max_reject_share"] = 0.15
    oracle = Oracle(site)
    before = site.active()
    cars = list(before)[::9]
    texts = [text for text, _ in POISONED.values()] + list(UNKNOWN.values())
    poisoned = {car: with_id(text, car) for car, text in zip(cars, texts, strict=False)}
    assert len(poisoned) > 45
    poison(poisoned)
    ended = site.sync()
    oracle.judge(ended, rejected=poisoned)
    assert site.active() == before, "a rejected record was seen"
    rejected = ask(site.dsn, "SELECT record_id, reason, original FROM carsync.rejects")
    assert len(rejected) == ended.counts["rejected"] == len(poisoned)
    assert all(reason and original for _, reason, original in rejected)
    assert {record_id for record_id, *_ in rejected} - {None} <= set(poisoned)

    ask(
        site.dsn,
        "INSERT INTO carsync.runs (schema_name, table_name, source, state, version, hash_scheme,"
        " counts) SELECT 'public', 'cars', 'external', 'complete', '0', 'h', '{}'"
        " FROM generate_series(1, 10)",
    )
    for source, age in (("external", "1 day"), ("external", "1 hour"), ("retired", "91 days")):
        ask(site.dsn, UNMERGED, (source, age))
    (retired,) = ask(site.dsn, "SELECT max(run_id) FROM carsync.runs")[0]
    ask(site.dsn, f"CREATE TABLE carsync.staging_{retired} (); SELECT 1")
    poison({})
    oracle.recover()
    left = "SELECT run_id FROM carsync.rejects"
    assert ask(site.dsn, left) == [(retired - 1,)], "the newest unfinished run's stay"
    assert ask(site.dsn, f"SELECT to_regclass('carsync.staging_{retired}')") == [(None,)]


def test_rejects_are_listed_replayed_and_settled(site: SimulatedSite, poison: Poison) -> None:
    oracle = Oracle(site)
    cars = list(site.truth())
    mendable, hopeless = cars[5:200:20], cars[7:200:40]
    texts = {car: record_of(site, car, title=["x"], seller=f"?key={KEY}") for car in mendable[:2]}
    texts |= {car: record_of(site, car, title=["x"]) for car in mendable[2:]}
    texts |= {car: record_of(site, car, vin={"\u202e\x1b[31m": 1}) for car in hopeless}
    poison(texts)
    assert "No open rejects." in site.run("rejects", "list").said
    ended = site.sync()
    oracle.judge(ended, rejected=texts)
    assert site.active().keys() == set(cars) - set(texts)

    listed = site.run("rejects", "list")
    assert listed.exit_code == 0
    assert f"{len(texts)} open rejects" in listed.said
    assert f"{len(mendable)} title: a list is not a text" in listed.said
    assert f"id {hopeless[0]}" in listed.said
    assert "\x1b" not in listed.out
    assert "\u202e" not in listed.out
    whole = site.run("rejects", "list", "--json", "--limit", "500").report
    assert whole["open"] == len(whole["rejects"]) == len(texts)
    originals = {line["record_id"]: line["original"] for line in whole["rejects"]}
    assert {car: originals[car] for car in hopeless} == {car: texts[car] for car in hopeless}

    tried = site.run("rejects", "replay", "--dry-run", "--json", **MENDED)
    assert tried.report["mapped"] == len(mendable) - 2
    assert (tried.report["rejected"], tried.report["counts"]) == (len(hopeless), None)
    refused = site.run("rejects", "replay", **MENDED)
    assert refused.exit_code == 2, "nobody said yes"
    assert site.active().keys() == set(cars) - set(texts)

    assert site.checkpoint_file is not None
    checkpoint = site.checkpoint_file.read_bytes()
    done = site.run("rejects", "replay", "--yes", "--json", **MENDED)
    assert done.exit_code == 0, done.err
    assert done.report["counts"]["inserted"] == len(mendable) - 2
    assert done.report["left_out"][0]["count"] == 2, "they named the key, which was taken out"
    expected = site.active()
    assert expected.keys() == set(cars) - {*hopeless, *mendable[:2]}
    untouched = {i: h for i, h in site.truth().items() if i not in texts}
    assert untouched.items() <= expected.items()
    assert site.checkpoint_file.read_bytes() == checkpoint, "status speaks of readings alone"

    again = site.run("rejects", "replay", "--yes", **MENDED)
    assert f"0 can be mapped now, {len(hopeless)} still cannot" in again.said
    assert site.active() == expected
    for said in (listed, tried, refused, done, again):
        assert_no_canary([said.out, said.err])
    oracle.expect_no_canary_at_rest()

    poison({})
    oracle.recover()
    assert "No open rejects." in site.run("rejects", "list").said
    nothing = site.run("rejects", "replay", "--yes", "--json").report
    assert (nothing["rejects"], nothing["replay_run_id"]) == (0, None)


# ── the budget ───────────────────────────────────────────────────────────────


@pytest.mark.long
def test_too_many_rejects_end_the_run_before_the_merge(
    site: SimulatedSite, poison: Poison, fill: Fill
) -> None:
    fill(site)
    oracle = Oracle(site)
    before = site.rows()
    site.api.show(1)
    poison(dict.fromkeys(list(site.truth(1))[:40], '{"id": NaN}'))
    ended = site.sync(expect=3)
    oracle.judge(ended)
    assert ended.report["problem"].startswith("40 of 600 records cannot be mapped")
    assert "carsync rejects list" in ended.report["next_step"]
    assert "40 open rejects" in site.run("rejects", "list").said
    site.api.show(0)
    poison({})

    # What only PostgreSQL refuses, at staging, counts as well.
    ask(site.dsn, "ALTER TABLE cars ADD CHECK (price < 0) NOT VALID")
    ended = site.sync(expect=3)
    assert site.rows() == before
    assert ended.report["problem"].startswith("600 of 600 records cannot be mapped")
    reasons = site.run("rejects", "list", "--json").report["reasons"]
    assert "cars_price_check" in reasons[0]["reason"]
    ask(site.dsn, "ALTER TABLE cars DROP CONSTRAINT cars_price_check")
    oracle.recover()


@pytest.mark.long
def test_rejects_of_the_part_before_an_interruption_count_in_the_resumed_run(
    site: SimulatedSite, poison: Poison, fill: Fill
) -> None:
    fill(site)
    oracle = Oracle(site)
    poison(dict.fromkeys(site.truth(), '{"id": NaN}'))
    site.api.hold(after=3)
    running = site.start("sync", "--json")
    site.await_staged(3)
    running.signal(signal.SIGTERM)
    site.api.release()
    first = site.check(running, 143)
    replay = site.run("rejects", "replay", "--yes")
    assert replay.exit_code == 75, "a run that can be resumed comes first"
    poison({})
    resumed = site.sync(expect=3)
    oracle.judge(resumed)
    assert resumed.report["run_id"] == first.report["run_id"]
    assert "records cannot be mapped" in resumed.report["problem"]
    begun_anew = oracle.recover()
    assert begun_anew.report["run_id"] > first.report["run_id"], "it would only fail again"


# ── very large ───────────────────────────────────────────────────────────────


def test_a_page_with_a_very_long_text_lands(scripted_api: ScriptedApi, scripted_site: Site) -> None:
    names = {"manufacturer": {"name": "Kia"}, "model": {"name": "K5"}}
    long = [{"id": 1, **names, "vin": "v" * 8_000_000}, {"id": 2, **names}]
    poisoned = {"id": 3, **names, "vin": "\0" + "w" * 8_000_000}
    scripted_api.on("/cars", page_reply([*long, poisoned]))
    scripted_site.sync(sync__max_reject_share=0.5)
    assert ask(scripted_site.dsn, "SELECT id, length(vin) FROM cars ORDER BY id") == [
        ("1", 8_000_000), ("2", None)
    ]  # fmt: skip
    (line,) = scripted_site.run("rejects", "list", "--json").report["rejects"]
    assert (line["record_id"], line["original_kind"]) == ("3", "altered")
    assert len(line["original"]) == 1_000_000


@pytest.mark.quick(False)
def test_a_row_that_postgresql_refuses_keeps_no_key_that_the_api_echoes(
    scripted_site: Site, scripted_api: ScriptedApi
) -> None:
    scripted_site.variables["API_KEY"] = KEY
    ask(
        scripted_site.dsn,
        "DROP TABLE IF EXISTS public.cars; "
        "CREATE TABLE public.cars (id text PRIMARY KEY, make varchar(5))",
    )
    recs = [
        {"id": n, "manufacturer": {"name": "Kia"}, "model": {"name": "K"}} for n in range(1, 40)
    ]
    recs.append({"id": 99, "manufacturer": {"name": "Mercedes"}, "model": {"name": f"K {KEY}"}})
    scripted_api.on("/cars", page_reply(recs, 1, 1, 40))
    ended = scripted_site.sync()
    rows = ask(scripted_site.dsn, "SELECT original, original_kind, reason FROM carsync.rejects")
    assert rows[0][1] == "altered"
    assert_no_canary([rows[0][0], rows[0][2], ended.out, ended.err])
