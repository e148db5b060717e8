"""`carsync init`: guesses about an unknown feed, and a file that the parser accepts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from carsync.cli.app import app
from carsync.cli.init_file import Answers, Looked, write
from carsync.config.environment import VARIABLES
from carsync.config.parser import parse
from carsync.mapping.discovery import find_page
from carsync.mapping.guessing import guess_columns
from carsync.mapping.mapper import Mapper
from carsync.source.pagination.base import load_paginator
from tests.support.fake_api import ScriptedApi, page_reply
from tests.support.folders import GOLDEN_FILE


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def run(*args: str, answers: str | None = None) -> Result:
    return CliRunner().invoke(app, ["init", *args], input=answers, prog_name="carsync")


# ── guesses ──────────────────────────────────────────────────────────────────

CARS = [{"id": n} for n in range(20)]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"data": CARS, "meta": {"last_page": 5, "total": 98}},
         ("data", "meta.last_page", "meta.total")),
        ({"items": CARS, "pages": 5, "count": 98}, ("items", "pages", "count")),
        ({"result": {"list": CARS, "paging": {"pageCount": 5, "totalItems": 100}}},
         ("result.list", "result.paging.pageCount", "result.paging.totalItems")),
        # `count` is only this page's; the page size decides which of the numbers agree.
        ({"count": 20, "total": 61, "limit": 20, "pages": 4, "items": CARS},
         ("items", "pages", "total")),
        ({"items": CARS, "limit": 20, "count": 20}, ("items", None, None)),
        ({"items": CARS, "total": 20}, ("items", None, "total")),
        ({"items": CARS, "total_pages": 7}, ("items", "total_pages", None)),
        (CARS, ("", None, None)),
        # The longest list of objects is the one; numbers that only look alike are left alone.
        ({"makes": [{"n": 1}], "tags": [1] * 50, "cars": CARS, "status": 200, "took_ms": 5},
         ("cars", None, None)),
    ],
)  # fmt: skip
def test_records_and_totals_are_found(answer: Any, expected: tuple[str, str, str]) -> None:
    shape = find_page(answer)
    assert shape is not None
    assert (shape.records, shape.total_pages, shape.total_records) == expected


@pytest.mark.parametrize("answer", [{}, [], 7, None, "x", {"data": []}, {"data": [1, 2]}])
def test_where_there_are_no_records_none_are_found(answer: Any) -> None:
    assert find_page(answer) is None


def test_columns_are_found_by_name_and_value() -> None:
    records = [
        {
            "ref": f"R{n}",
            "seller": {"id": 7, "city": "Seoul"},
            "brand": {"id": n % 2, "name": "Kia"},
            "modelName": "Ceed",
            "model_year": 2010 + n,
            "price": {"amount": f"{n}00.50", "currency": "EUR"},
            "odometer": {"km": n * 1000},
            "year": "n/a",
            "photos": [{"url": "https://x.test/1.jpg"}],
            "fuel-type": "",
            "vin": f"V{n}",
            "sold_at": "2026-01-02T03:04:05Z",
        }
        for n in range(12)
    ]
    found = {guess.column: (guess.path, guess.type) for guess in guess_columns(records)}
    assert found == {
        "id": ("ref", "text"),
        "make": ("brand.name", "text"),
        "model": ("modelName", "text"),
        "year": ("model_year", "integer"),
        "price": ("price.amount", "numeric"),
        "mileage": ("odometer.km", "integer"),
        "vin": ("vin", "text"),
        "location": ("seller.city", "text"),
        "sale_date": ("sold_at", "timestamptz"),
        "image_url": ("photos.0.url", "text"),
        "images": ("photos", "jsonb"),
    }


def test_an_id_is_in_every_record_and_never_twice() -> None:
    twice = [{"id": 1, "slug": "a"}, {"id": 1, "slug": "b"}]
    assert guess_columns(twice)[0].path == "slug"
    assert [g for g in guess_columns([{"make": "Kia"}, {"make": "Kia"}]) if g.column == "id"] == []


# ── the file ─────────────────────────────────────────────────────────────────

NASTY = 'yes: "no" #\\ {id}'


@pytest.mark.parametrize("preset", ["auctionsapi", None])
@pytest.mark.parametrize("auth", ["header", "bearer", "none"])
def test_the_file_is_accepted_and_says_what_was_answered(preset: str | None, auth: Any) -> None:
    records = [{NASTY: n, "make": "Kia", "model": "a\nb: c", "price": n} for n in range(3)]
    shape = find_page({NASTY: records, "total": 30, "pages": 10})
    answers = Answers(
        base_url="https://api.test/v1",
        path="/list",
        auth=auth,
        auth_name="X-Key",
        schema="shop",
        table="yes",
        source=NASTY,
        preset=preset,
        md5=True,
        size_param=None,
        requests_per_second=2.5,
    )
    looked = Looked(shape, guess_columns(records)) if preset is None else Looked()
    config = parse(write(answers, looked), {})
    assert (config.api.base_url, config.api.path) == ("https://api.test/v1", "/list")
    assert config.api.record_path == "/list/{id}"
    assert (config.api.auth.type, config.api.auth.key) == (auth, None)
    assert (config.database.schema, config.database.table) == ("shop", "yes")
    assert (config.sync.source, config.limits.requests_per_second) == (NASTY, 2.5)
    assert config.api.pagination.size_param is None
    assert config.mapping.hash_.algorithm == "md5"
    if preset is None:
        assert config.api.pagination.records == NASTY
        mapper = Mapper.load(config, load_paginator(config.api).paths)
        page = json.dumps({NASTY: records, "total": 30, "pages": 10}).encode()
        content = mapper.map_page(page)
        info = load_paginator(config.api).read(content.values)
        assert (len(content.rows), info.total_records) == (3, 30)


def test_the_md5_file_of_an_adopter_makes_the_hashes_of_the_deployed_system() -> None:
    assert run("--base-url", "https://x.test/api", "--md5", "--no-request", "--yes").exit_code == 0
    config = parse(Path("carsync.yaml").read_text(), {"API_KEY": "k"})
    cases = json.loads(GOLDEN_FILE.read_text())
    mapper = Mapper.load(config)
    content = mapper.map_array(json.dumps([case["record"] for case in cases]).encode())
    assert [row[-1] for row in content.rows] == [case["row"]["data_hash"] for case in cases]


def test_without_a_terminal_what_is_missing_is_an_error_with_a_hint() -> None:
    ended = run()
    assert ended.exit_code == 2
    assert "nobody said where the feed is" in ended.stderr
    assert "hint: give --base-url" in ended.stderr
    assert not Path("carsync.yaml").exists()


def test_nothing_is_overwritten_without_force() -> None:
    Path("mine.yaml").write_text("api: {}")
    options = ("mine.yaml", "--base-url", "https://x.test", "--no-request")
    ended = run(*options)
    assert ended.exit_code == 2
    assert "--force" in ended.stderr
    assert Path("mine.yaml").read_text() == "api: {}"
    assert run(*options, "--force").exit_code == 0
    assert parse(Path("mine.yaml").read_text(), {}).api.base_url == "https://x.test"


def test_the_questions_are_asked_and_the_next_commands_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("carsync.cli.init._may_ask", lambda: True)
    said = "https://x.test/v2\n/autos\nbearer\ny\nshop.autos\nautos\n"
    ended = run("my feed.yaml", "--no-request", answers=said)
    assert ended.exit_code == 0, ended.output
    config = parse(Path("my feed.yaml").read_text(), {})
    assert (config.api.base_url, config.api.path) == ("https://x.test/v2", "/autos")
    assert (config.api.auth.type, config.mapping.hash_.algorithm) == ("bearer", "md5")
    assert (config.database.schema, config.database.table) == ("shop", "autos")
    assert config.sync.source == "autos"
    for line in (
        "export API_KEY=… DATABASE_URL=…",
        "carsync preview --config 'my feed.yaml'",
        "carsync check --config 'my feed.yaml'",
        "carsync sync --config 'my feed.yaml'",
    ):
        assert line in ended.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--preset", "auctionapi"), "did you mean auctionsapi?"),
        (("--table", "no-table; drop"), "plain SQL identifier"),
        (("--base-url", "ftp://x"), "not an http(s) URL"),
    ],
)
def test_an_answer_that_makes_no_configuration_writes_no_file(
    options: tuple[str, ...], words: str
) -> None:
    ended = run("--base-url", "https://x.test", "--no-request", *options)
    assert ended.exit_code == 2
    assert words in ended.stderr
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("name", ["${API_KEY}", "${NOBODY:-x}", "\x7f", "\x85id", "\ud800"])
def test_a_field_that_no_file_can_name_is_passed_over(name: str) -> None:
    car = {"id": 1, name: {"make": "Kia"}, "model": "Rio"}
    assert [guess.path for guess in guess_columns([car])] == ["id", "model"]
    shape = find_page({name: {"total_pages": 9}, "data": [car]})
    assert shape is not None
    assert (shape.records, shape.total_pages) == ("data", None)


@pytest.mark.parametrize("field", ["name", "value"])
def test_a_feed_that_echoes_the_key_does_not_bring_it_into_the_file(
    monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    key = "hush-7f3a-91bc-5e1d-0c44-8a2b-1f6e"
    car = {"id": 1, "make": f"you sent {key}"} if field == "value" else {key: "a1", "make": "Kia"}
    monkeypatch.setenv("API_KEY", key)
    with ScriptedApi() as api:
        api.on("/cars", page_reply([car]))
        ended = run("--base-url", api.base_url, "--yes")
    assert ended.exit_code == (0 if field == "value" else 2), ended.output
    written = "".join(path.read_text() for path in Path().glob("*.yaml"))
    assert "hush-7f3" not in ended.output + written


def test_a_last_page_by_that_name_alone_is_the_number_of_pages() -> None:
    cars = [{"stock_no": n} for n in range(50)]
    shape = find_page({"result": {"vehicles": cars}, "paging": {"last": 7, "count": 333}})
    assert shape is not None
    assert (shape.total_pages, shape.total_records) == ("paging.last", "paging.count")
