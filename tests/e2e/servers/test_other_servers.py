"""Servers that nobody here wrote: a configuration by `init`, then exact rows, and only changes."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest

from tests.servers import data
from tests.servers.catalogue import FEEDS, Feed, serving
from tests.servers.toolbox import Toolbox
from tests.support.site import Site, ask

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]
_CONFIG = ("--config", "carsync.yaml")
_PARAMETERS = [pytest.param(feed, id=name) for name, feed in FEEDS.items()]


@pytest.fixture(scope="session")
def toolbox(pytestconfig: pytest.Config) -> Toolbox:
    """The servers' tools, kept from one session to the next."""
    return Toolbox(Path(pytestconfig.cache.mkdir("servers")))


@pytest.mark.parametrize("feed", _PARAMETERS)
def test_init_alone_makes_a_feed_exact_and_then_only_changes_are_written(
    feed: Feed, toolbox: Toolbox, dsn: str, tmp_path: Path
) -> None:
    with serving(feed, toolbox, tmp_path) as url:
        site = _configured(feed, Site(url, feed.key, dsn, tmp_path))
        ended = site.sync(*_CONFIG)
        assert ended.counts == {"seen": data.CARS, "inserted": data.CARS}
        _assert_exact(site)
        written = site.writes()
        changed = data.change(tmp_path / "cars.db")
        if feed.keeps_a_copy:
            _patch(url + feed.path.partition("?")[0], changed, tmp_path)
        ended = site.sync(*_CONFIG)
        same = data.CARS - data.CHANGED
        assert ended.counts == {"seen": data.CARS, "updated": data.CHANGED, "unchanged": same}
        assert site.writes() == (written[0], written[1] + data.CHANGED, 0)
        _assert_exact(site)


def _configured(feed: Feed, site: Site) -> Site:
    """Let `init` write the configuration, from the address, the path and the key alone."""
    url = site.variables.pop("API_BASE_URL")
    del site.variables["PAGE_SIZE"]
    if not feed.key:
        del site.variables["API_KEY"]
    site.settings, settings = {}, site.settings
    ended = site.run("init", "--base-url", url, "--path", feed.path, "--yes")
    assert ended.exit_code == 0, ended.said
    site.settings = settings
    return site


def _assert_exact(site: Site) -> None:
    cars = {str(car.pop("id")): car for car in data.read(site.folder / "cars.db")}
    names = ", ".join(data.COLUMNS)
    rows = ask(site.dsn, f"SELECT {names} FROM cars WHERE is_active")
    found = {row[0]: dict(zip(data.COLUMNS[1:], row[1:], strict=True)) for row in rows}
    assert found == cars


def _patch(address: str, ids: list[int], folder: Path) -> None:
    """Change cars of a server that keeps its own copy, by its own interface."""
    prices = {car["id"]: car["price"] for car in data.read(folder / "cars.db")}
    for number in ids:
        body = f'{{"price": {prices[number]}}}'.encode()
        asked = urllib.request.Request(f"{address}/{number}", body, method="PATCH")
        asked.add_header("Content-Type", "application/json")
        urllib.request.urlopen(asked, timeout=10).close()
