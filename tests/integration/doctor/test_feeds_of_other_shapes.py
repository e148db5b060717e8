"""The doctor over feeds of well-known shapes: right as init wrote, wrong as edited."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from carsync.cli.app import app
from carsync.config.environment import VARIABLES
from carsync.config.parser import parse
from carsync.doctor import examine
from carsync.doctor.config_checks import Origin
from carsync.doctor.findings import Finding, Level
from tests.support import feed_shapes as shapes
from tests.support.feed_shapes import Shape, ShapedApi
from tests.support.findings import by_name


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def check(shape: Shape, *overrides: str) -> dict[str, Finding]:
    """Let init write a file for the feed, and examine the feed by it and by the `overrides`."""
    with ShapedApi(shape) as api:
        options = ("--base-url", api.base_url, "--auth", "none", "--yes", "--rate", "0")
        ended = CliRunner().invoke(app, ["init", *options])
        assert ended.exit_code == 0, ended.output
        config = parse(Path("carsync.yaml").read_text(), {}, overrides)
        return by_name(examine.examine(config, Origin(None), None, lambda _: None), "API")


SOUND = [shapes.drf_page, shapes.drf_cursor, shapes.laravel_cursor, shapes.shopify]
SOUND += [shapes.spring_slice, shapes.flask_smorest, shapes.json_server, shapes.github]


@pytest.mark.parametrize("shape", SOUND)
def test_what_init_wrote_is_found_right(shape: Shape) -> None:
    wrong = {n: f for n, f in check(shape).items() if f.level in (Level.WARNING, Level.PROBLEM)}
    assert {n: f for n, f in wrong.items() if n not in ("pace", "end")} == {}
    assert "end" not in wrong or "max_pages" in wrong["end"].fix, wrong["end"]


P = "api.pagination."
WRONG: list[tuple[Shape, tuple[str, ...], str, str, str]] = [
    (shapes.fastapi_cursor, ("cursor_param=after",), "end", "its records again", "cursor_param"),
    (shapes.drf_cursor, ("next=links.next",), "end", "names no next one", "pagination.next"),
    (shapes.drf_cursor, ("page_size=100",), "page size", "100 requested", "page_size: 20"),
    (shapes.drf_page, ("page_param=p",), "end", "every page", "page_param"),
    (shapes.github, ("page_param=p",), "end", "every page", "page_param"),
    (shapes.github, ("size_param=size",), "next page", "30 records", "page_size: 30"),
    (shapes.drf_limit_offset, ("size_param=size",), "page size", "20 records", "page_size: 20"),
    (shapes.market_check, ("page_size=100",), "page size", "50 records", "page_size: 50"),
    (shapes.laravel_cursor, ("type=page",), "end", "every page", "type: cursor"),
    (shapes.drf_page, ("type=none",), "page size", "20 of 430", "pagination.type"),
]


@pytest.mark.parametrize(("shape", "overrides", "name", "seen", "fix"), WRONG)
def test_what_is_wrong_in_the_paging_is_named(
    shape: Shape, overrides: tuple[str, ...], name: str, seen: str, fix: str
) -> None:
    found = check(shape, *(P + each for each in overrides))[name]
    assert found.level in (Level.WARNING, Level.PROBLEM)
    assert seen in found.seen
    assert fix in found.fix


def test_a_dead_path_of_records_is_named_for_feeds_of_cursors_too() -> None:
    found = check(shapes.laravel_cursor, "api.record.path=/car/{id}")["by id"]
    assert found.level is Level.WARNING
    assert "HTTP 404" in found.seen
