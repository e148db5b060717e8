"""`carsync init`: questions and options become a file, which never holds a secret."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from msgspec import structs

from carsync.cli.app import app
from carsync.cli.init import FIRST_COMMANDS
from carsync.config.api_sections import Auth, Record
from carsync.config.environment import VARIABLES
from carsync.config.parser import parse
from carsync.config.sections import Config
from carsync.mapping.discovery import find_page
from carsync.mapping.guessing import guess_columns
from carsync.mapping.mapper import Mapper
from tests.support import feed_shapes as shapes
from tests.support.fake_api import Arrival, Reply, ScriptedApi, page_reply
from tests.support.feed_shapes import Shape, ShapedApi
from tests.support.folders import GOLDEN_FILE, ROOT
from tests.support.small_feed import SmallFeed, car


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def run(*args: str, answers: str | None = None) -> Result:
    return CliRunner().invoke(app, ["init", *args], input=answers, prog_name="carsync")


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
    assert "the URL of the feed is not known" in ended.stderr
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
    said = "https://x.test/v2\n/autos\nbearer\nshop.autos\nautos\n"
    ended = run("my feed.yaml", "--no-request", answers=said)
    assert ended.exit_code == 0, ended.output
    config = parse(Path("my feed.yaml").read_text(), {})
    assert (config.api.base_url, config.api.path) == ("https://x.test/v2", "/autos")
    assert (config.api.auth.type, config.mapping.hash_.algorithm) == ("bearer", "xxh3_128")
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


class SlashFeed(SmallFeed):
    """Knows a car only by a path that ends with a slash."""

    def answer(self, arrival: Arrival) -> Reply:
        if arrival.page is None and not arrival.path.endswith("/"):
            self.arrivals.append(arrival)
            return Reply(301, b"", {"Location": f"{arrival.path}/"})
        return super().answer(replace(arrival, path=arrival.path.rstrip("/")))


@pytest.mark.parametrize(
    ("answer", "record"),
    [
        (Reply(404, {}), Record()),
        (Reply(204, b""), Record(gone_status=(404, 410, 204))),
        (Reply(body={"data": None}), Record(gone_status=(404, 410, 200))),
        (Reply(body={"error": "${HOME} {"}), Record()),
        (Reply(body={"error": "no: such #car"}), Record(gone_when={".error": "no: such #car"})),
        (Reply(body={"data": car(3)}), Record()),
    ],
)
@pytest.mark.parametrize("slash", ["", "/"])
def test_the_file_says_how_a_car_was_read_by_its_id(
    answer: Reply, record: Record, slash: str
) -> None:
    with SlashFeed() if slash else SmallFeed() as feed:
        feed.tell = lambda i: feed.honest_record(i) if i in feed.ids else answer
        ended = run("--base-url", feed.base_url, "--auth", "none", "--yes")
        assert ended.exit_code == 0, ended.output
        assert len(feed.arrivals) == (5 if slash else 4)
    written = parse(Path("carsync.yaml").read_text(), {}).api.record
    assert written == structs.replace(record, path=f"/cars/{{id}}{slash}")


@pytest.mark.parametrize("answer", [Reply(404, {}), Reply(body=[car(1)]), Reply(body=None)])
def test_a_feed_without_cars_by_id_gets_a_file_that_does_not_ask_for_them(answer: Reply) -> None:
    with SmallFeed() as feed:
        feed.tell = lambda i: answer
        ended = run("--base-url", feed.base_url, "--auth", "none", "--yes")
    assert "no car is read at /cars/{id}" in ended.stderr
    assert parse(Path("carsync.yaml").read_text(), {}).api.record is None


def test_a_record_for_any_id_is_no_answer_by_id() -> None:
    with SmallFeed() as feed:
        feed.tell = lambda i: Reply(body={"data": car(i)})
        run("--base-url", feed.base_url, "--auth", "none", "--yes")
    assert parse(Path("carsync.yaml").read_text(), {}).api.record is None


def test_by_id_requests_that_the_api_refuses_leave_the_usual_path() -> None:
    with SmallFeed() as feed:
        feed.tell = lambda i: Reply(429)
        ended = run("--base-url", feed.base_url, "--auth", "none", "--yes")
    assert "slow down" in ended.stderr
    assert parse(Path("carsync.yaml").read_text(), {}).api.record == Record()


def test_the_next_commands_are_those_of_the_readme_in_their_order() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    step_by_step = readme.partition("Then go on step by step.")[2].split("```")[1]
    lines = [line.partition("#")[0].strip() for line in step_by_step.splitlines()[1:]]
    assert lines == [command.format(file="prod.yaml") for command, _ in FIRST_COMMANDS]


# ── refusals, and what is not found ──────────────────────────────────────────


def written() -> Config:
    return parse(Path("carsync.yaml").read_text(), {"X_TOKEN": "t-4711-8822"})


def test_a_refusal_is_shown_and_asked_about_and_no_answer_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("carsync.cli.init._may_ask", lambda: True)
    with ShapedApi(shapes.wants_a_make, "/v2/cars") as api:
        said = [api.base_url, "/cars", "none", "shop.autos", "dealer", "/v2/cars", "make=Kia"]
        ended = run(answers="\n".join(said) + "\n")
    assert ended.exit_code == 0, ended.output
    assert "HTTP 404" in ended.stderr
    assert "make is obligatory" in ended.stderr
    config = written()
    assert (config.api.path, config.api.params) == ("/v2/cars", {"make": "Kia"})
    assert (config.database.table, config.sync.source) == ("autos", "dealer")


def test_a_key_that_is_refused_is_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "hush-7f3a-91bc")
    monkeypatch.setattr("carsync.cli.init._may_ask", lambda: True)
    with ShapedApi(shapes.laravel) as api:
        api.refuse = lambda a: None if "x-token" in a.headers else Reply(401, {"message": "who?"})
        said = [api.base_url, "/cars", "header", "X-API-Key", "cars", "external"]
        ended = run(answers="\n".join([*said, "header", "X-Token"]) + "\n")
    assert ended.exit_code == 0, ended.output
    assert 'it says "who?"' in ended.stderr
    assert written().api.auth.name == "X-Token"


def test_a_key_that_is_typed_in_is_used_and_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carsync.cli.init._may_ask", lambda: True)
    with ShapedApi(shapes.laravel) as api:
        api.refuse = lambda a: None if a.headers.get("x-api-key") == KEY else Reply(401, {})
        said = [api.base_url, "/cars", "header", "X-API-Key", "cars", "external"]
        ended = run(answers="\n".join([*said, "header", "X-API-Key", KEY]) + "\n")
    assert ended.exit_code == 0, ended.output
    assert "export API_KEY=… DATABASE_URL=…" in ended.stdout
    assert KEY not in Path("carsync.yaml").read_text() + ended.output


@pytest.mark.parametrize(
    ("location", "code"),
    [
        ("/v3/cars", 0),
        ("{base}/v3/cars", 0),
        ("https://elsewhere.test/cars", 3),
        ("/login", 3),
    ],
)
def test_a_redirect_is_followed_within_the_origin_only(location: str, code: int) -> None:
    with ShapedApi(shapes.github, "/v3/cars", "/v3/cars/{id}") as api:
        target = location.replace("{base}", api.base_url)
        moved = Reply(301, b"", {"Location": target})
        api.refuse = lambda a: moved if a.path == "/cars" else None
        ended = run("--base-url", api.base_url, "--auth", "none", "--yes")
        assert ended.exit_code == code, ended.output
        assert target.removeprefix(api.base_url) in ended.stderr
    if not code:
        assert written().api.path == "/v3/cars"
    assert Path("carsync.yaml").exists() is not bool(code)


@pytest.mark.parametrize(
    ("shape", "options", "code", "words"),
    [
        (lambda q, t: ({"message": "hello"}, {}), (), 2, "no list of records was found"),
        (shapes.wants_a_make, (), 3, "--param NAME=VALUE"),
        (shapes.wants_a_page, (), 0, ""),
        (shapes.capped, (), 2, "the feed 410 more"),
        (shapes.capped, ("--paging", "page"), 0, "not proved"),
        (shapes.nameless, ("--records", "cars"), 2, "there is one at items"),
        (shapes.nameless, ("--id", "plate"), 0, ""),
    ],
)
def test_with_yes_nothing_is_asked_and_what_is_not_found_is_an_error(
    shape: Shape, options: tuple[str, ...], code: int, words: str
) -> None:
    with ShapedApi(shape) as api:
        ended = run("--base-url", api.base_url, "--auth", "none", "--yes", *options)
    assert ended.exit_code == code, ended.output
    assert words in ended.stderr
    assert Path("carsync.yaml").exists() is not bool(code)


def test_records_without_an_id_are_an_error_that_names_the_option() -> None:
    with ShapedApi(lambda q, t: ([{"make": "Kia"}, {"make": "Kia"}], {})) as api:
        ended = run("--base-url", api.base_url, "--auth", "none", "--yes")
    assert ended.exit_code == 2
    assert "--id PATH" in ended.stderr


def test_parameters_templates_and_secrets_reach_the_requests_and_the_file() -> None:
    with ShapedApi(shapes.encar) as api:
        options = ("--param", "sr=|ModifiedDate|{offset}|{size}", "--param", "x_token=t-4711-8822")
        ended = run("--base-url", api.base_url, "--auth", "none", "--yes", *options)
        assert ended.exit_code == 0, ended.output
        asked = [arrival.query for arrival in api.arrivals]
    assert asked[0] == {"sr": "|ModifiedDate|0|100", "x_token": "t-4711-8822"}
    text = Path("carsync.yaml").read_text()
    assert "t-4711" not in text + ended.output
    assert "export X_TOKEN=…" in ended.stdout
    config = written()
    assert config.api.params["x_token"] == "t-4711-8822"
    assert (config.api.pagination.type, config.api.pagination.page_size) == ("offset", 50)
    assert config.api.pagination.total_records == "Count"


def test_a_search_by_post_is_read_by_its_body() -> None:
    with ShapedApi(shapes.elasticsearch) as api:
        options = ("--method", "POST", "--param", "query.match.make=Kia", "--preset", "none")
        ended = run("--base-url", api.base_url, "--auth", "none", "--yes", *options)
        assert ended.exit_code == 0, ended.output
    config = written()
    assert config.api.body == {"query": {"match": {"make": "Kia"}}}
    assert (config.api.method, config.api.pagination.offset_param) == ("POST", "from")


def test_the_live_api_of_the_preset_gets_its_own_pace_and_depth() -> None:
    with ShapedApi(shapes.auction_live) as api:
        api.total = 2100
        ended = run("--base-url", api.base_url, "--auth", "none", "--yes")
        assert ended.exit_code == 0, ended.output
    config = written()
    assert config.api.params == {"simple_paginate": 0}
    assert config.limits.requests_per_second == 1
    keys = config.api.pagination
    assert (keys.page_size, keys.max_pages, keys.total_records) == (1000, 20_000, "meta.total")
    assert config.acceptance.max_minutes == 90
    assert (config.limits.effective_burst, config.sync.deactivate.max_probes) == (1, 2000)
    assert config.api.record is not None
    assert config.api.record.path == "/search-lot/{lot_number}/{domain_name}"
    assert config.api.record.gone_when == {".lots[archived!=true | 0].archived": True}
    file = ROOT / "config" / "auctionsapi.yaml"
    own = parse(file.read_text(), {"API_BASE_URL": "http://127.0.0.1", "API_KEY": "none"})
    assert (config.api.window, config.api.removals) == (own.api.window, own.api.removals)
    times_s = [arrival.monotonic_s for arrival in api.arrivals]
    assert min(b - a for a, b in itertools.pairwise(times_s)) > 0.9, "one request a second"


@pytest.mark.parametrize("query", ["", "?make=Kia"])
def test_the_whole_address_of_the_pages_is_understood(query: str) -> None:
    with ShapedApi(shapes.fastapi_page, "/v2/offers", "/v2/offers/{id}") as api:
        ended = run("--base-url", f"{api.base_url}/v2/offers{query}", "--yes")
        assert ended.exit_code == 0, ended.output
        assert written().api.base_url == api.base_url
    assert written().api.path == f"/v2/offers{query}"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"@odata.context": "$metadata", "value": [{"name": "Cars", "url": "Cars"}]}, "Cars"),
        ({"cars": "http://x.test/cars/", "makes": "http://x.test/makes/"}, "makes (http"),
    ],
)
def test_an_answer_that_lists_feeds_names_them(answer: Any, words: str) -> None:
    with ShapedApi(lambda q, t: (answer, {}), "/") as api:
        ended = run("--base-url", api.base_url, "--path", "/", "--yes")
    assert ended.exit_code == 2
    assert words in ended.stderr
    assert "--path" in ended.stderr
    assert not Path("carsync.yaml").exists()


# ── keys and headers ─────────────────────────────────────────────────────────

KEY = "k-4711-8822-9933"


@pytest.mark.parametrize(
    ("scheme", "variables", "sent", "auth"),
    [
        ("Token", {"API_KEY": KEY}, f"Token {KEY}", ("header", "Authorization", "Token")),
        ('Bearer realm="api"', {"API_KEY": KEY}, f"Bearer {KEY}", ("bearer", None, None)),
        ("Basic", {"API_USERNAME": "u", "API_PASSWORD": "p"}, "Basic dTpw", ("basic", None, None)),
    ],
)
def test_the_way_to_show_the_key_is_the_one_that_the_api_names(
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
    variables: dict[str, str],
    sent: str,
    auth: tuple[str, str | None, str | None],
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    refused = Reply(401, {"detail": "who?"}, {"WWW-Authenticate": scheme})
    with ShapedApi(shapes.drf_cursor) as api:
        api.refuse = lambda a: None if a.headers.get("authorization") == sent else refused
        ended = run("--base-url", api.base_url, "--yes")
        assert ended.exit_code == 0, ended.output
    found = written().api.auth
    assert (found.type, found.name, found.prefix) == auth
    assert KEY not in Path("carsync.yaml").read_text() + ended.output


def test_a_refusal_without_a_key_says_which_variable_is_not_set() -> None:
    with ShapedApi(shapes.drf_cursor) as api:
        api.refuse = lambda a: Reply(401, {}, {"WWW-Authenticate": "Token"})
        ended = run("--base-url", api.base_url, "--yes")
    assert ended.exit_code == 3
    assert "API_KEY is not set" in ended.stderr


def test_an_api_that_wants_no_key_gets_none() -> None:
    with ShapedApi(shapes.drf_page) as api:
        ended = run("--base-url", api.base_url, "--yes")
    assert "API_KEY" not in ended.output
    assert written().api.auth.type == "none"
    with ShapedApi(shapes.drf_page) as api:
        run("--base-url", api.base_url, "--yes", "--auth", "bearer", "--force")
    assert written().api.auth.type == "bearer"


@pytest.mark.parametrize(
    ("options", "auth"),
    [
        (("query",), Auth(type="query", name="api_key")),
        (("query", "--auth-name", "k"), Auth(type="query", name="k")),
        (
            ("oauth2", "--token-url", "https://x.test/token"),
            Auth(type="oauth2", token_url="https://x.test/token"),
        ),
        (("login", "--login-path", "/auth"), Auth(type="login", path="/auth")),
        (("header", "--auth-prefix", "key="), Auth(name="X-API-Key", prefix="key=")),
    ],
)
def test_every_way_to_show_who_asks_can_be_written(options: tuple[str, ...], auth: Auth) -> None:
    ended = run("--base-url", "https://x.test", "--no-request", "--yes", "--auth", *options)
    assert ended.exit_code == 0, ended.output
    found = written().api.auth
    unset = {"client_id": None, "client_secret": None, "username": None, "password": None}
    assert structs.replace(found, key=None, **unset) == auth


@pytest.mark.parametrize(
    "options",
    [
        ("{base}/cars?api_key=hush-7f3a-91bc&make=Kia",),
        ("{base}", "--path", "/cars?api_key=hush-7f3a-91bc&make=Kia"),
        (
            "{base}",
            "--path",
            "/cars?make=Kia",
            "--record-path",
            "/cars/{id}?api_key=hush-7f3a-91bc",
        ),
        ("{base}", "--path", "/cars?make=Kia&api_key=hush-7f3a-91bc", "--auth", "none"),
    ],
)
def test_a_key_in_the_address_is_sent_and_neither_shown_nor_written(
    options: tuple[str, ...],
) -> None:
    with ShapedApi(shapes.drf_page) as api:
        api.refuse = lambda a: None if "api_key" in a.query else Reply(401, {})
        given = [text.replace("{base}", api.base_url) for text in options]
        ended = run("--yes", "--base-url", *given)
    assert ended.exit_code == 0, ended.output
    assert "hush" not in ended.output + Path("carsync.yaml").read_text()
    assert "_KEY=…" in ended.output


def test_a_password_in_the_address_is_refused_and_not_shown() -> None:
    ended = run("--base-url", "https://u:hush-7f3a@x.test", "--yes")
    assert ended.exit_code == 2
    assert "hush" not in ended.output


def test_an_example_of_the_feed_stays_in_its_comment() -> None:
    records = [{**car(n), "code": f"{n}\n    vin: null"} for n in range(3)]
    with ScriptedApi() as api:
        api.on("/cars", page_reply(records))
        ended = run("--base-url", api.base_url, "--id", "code", "--preset", "none", "--yes")
    assert ended.exit_code == 0, ended.output
    assert "vin: null" in Path("carsync.yaml").read_text()
    assert "vin" not in written().mapping.columns


def test_an_accept_that_is_refused_becomes_the_one_of_json_api() -> None:
    with ShapedApi(shapes.json_api) as api:
        wanted = "application/vnd.api+json"
        api.refuse = lambda a: None if wanted in a.headers["accept"] else Reply(406, {})
        ended = run("--base-url", api.base_url, "--yes")
        assert ended.exit_code == 0, ended.output
    assert wanted in written().api.headers["Accept"].reveal()


def test_headers_are_sent_and_those_that_hold_secrets_come_from_the_environment() -> None:
    with ShapedApi(shapes.github) as api:
        options = ("--header", "X-Shop=seoul", "--header", "X-Token: t-4711-8822")
        ended = run("--base-url", api.base_url, "--yes", *options)
        assert ended.exit_code == 0, ended.output
        assert {a.headers["x-shop"] for a in api.arrivals} == {"seoul"}
        assert {a.headers["x-token"] for a in api.arrivals} == {"t-4711-8822"}
    assert "t-4711" not in Path("carsync.yaml").read_text() + ended.output
    assert written().api.headers["X-Token"].reveal() == "t-4711-8822"


@pytest.mark.parametrize("file", ["nowhere/a.yaml", "."])
def test_a_file_that_cannot_be_written_is_told_before_the_questions(file: str) -> None:
    ended = run(file, "--base-url", "https://x.test", "--no-request", "--force")
    assert (ended.exit_code, "cannot be written" in ended.stderr) == (2, True)
