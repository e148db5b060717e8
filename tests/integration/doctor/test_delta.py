"""What the doctor tries of changes: windows and tombstones of the simulated live API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from carsync.config.parser import parse
from carsync.demo import server
from carsync.demo.feed import FeedOptions
from carsync.demo.simulator import Simulator, SimulatorOptions
from carsync.doctor import examine
from carsync.doctor.config_checks import Origin
from carsync.doctor.findings import Finding, Level
from carsync.postgres.wait import Connection
from tests.conftest import ask
from tests.support.findings import by_name
from tests.support.live_site import CONFIG, NOON_S

HOURS = 4
GOOD = {
    "window": "minutes (minutes): 11 cars changed within 5 min; "
    "longer windows than 72h (max) are refused",
    "removals": "12 tombstones on the first page of /archived-lots, all of them readable",
}


@pytest.fixture(scope="module")
def api() -> Iterator[server.RunningSimulator]:
    options = SimulatorOptions(FeedOptions(cars=600, changed_share=0.2), live=True, clock_s=NOON_S)
    app = Simulator(options)
    app.timeline.advance(HOURS)
    with server.running(app) as running:
        yield running


@pytest.fixture
def lying(api: server.RunningSimulator) -> Iterator[set[str]]:
    """The lies that the API tells in one test."""
    lies: set[str] = set()
    api.app._changes.lies = lies  # type: ignore[assignment]
    yield lies
    api.app._changes.lies = frozenset()


def examine_delta(
    api: server.RunningSimulator, dsn: str = "", **settings: Any
) -> dict[str, Finding]:
    environ = {"API_BASE_URL": api.base_url, "API_KEY": "demo"} | (
        {"DATABASE_URL": dsn} if dsn else {}
    )
    values = {"limits.requests_per_second": 0, **settings}
    config = parse(CONFIG.read_text(), environ, [f"{k}={v}" for k, v in values.items()])
    groups = examine.examine(config, Origin(None), None, lambda _: None)
    return by_name(groups, "API", "tables")


def test_an_honest_api_is_asked_for_windows_and_tombstones(api: server.RunningSimulator) -> None:
    found = examine_delta(api)
    assert {name: found[name].seen for name in GOOD} == GOOD
    assert "the API was asked 9 times" in found["requests"].seen


def test_removed_cars_that_the_table_does_not_have_are_told(
    api: server.RunningSimulator, conn: Connection, dsn: str
) -> None:
    assert "removed cars" not in examine_delta(api, dsn)
    begun = "INSERT INTO carsync.runs (schema_name, table_name, source, state, merged_at, version,"
    begun += (
        " hash_scheme, counts, api_clock) VALUES ('public', 'cars', 'external', 'complete', now(),"
    )
    begun += " '', '', '{}', to_timestamp(%s))"
    ask(conn, begun, NOON_S)
    strange = examine_delta(api, dsn)["removed cars"]
    assert (strange.level, "0 of 12 cars" in strange.seen) == (Level.WARNING, True)
    removed = api.app.timeline.removed_since(0)
    ask(conn, "INSERT INTO cars (id) VALUES (%s)", str(removed[0].car_id))
    assert examine_delta(api, dsn)["removed cars"].level is Level.OK


LIES = [
    ("window-ignored", {}, "window", Level.WARNING, "as much as the whole feed"),
    ("window-small", {}, "window", Level.PROBLEM, "a window of 72h (api.window.max) is refused"),
    ("date-missing", {}, "window", Level.OK, "without a Date header"),
    ("", {"api.window.param": "since"}, "window", Level.WARNING, "in since (minutes)"),
    ("", {"api.window.format": "iso8601"}, "window", Level.PROBLEM, "has another format"),
    ("", {"api.window.max": "10h"}, "window", Level.OK, "than 10h (max) are served too"),
    ("removals-404", {}, "removals", Level.PROBLEM, "/archived-lots: "),
    ("", {"api.removals.id": "id"}, "removals", Level.WARNING, "12 of 12 tombstones"),
    ("", {"api.removals.at": "lot"}, "removals", Level.WARNING, "at: "),
    ("", {"api.removals.match.lot_number": "nix"}, "removals", Level.WARNING, "match.lot_number"),
    ("", {"api.removals.set.final_bid.path": "nix"}, "removals", Level.WARNING, "set.final_bid"),
]


@pytest.mark.parametrize(("lie", "settings", "name", "level", "words"), LIES)
def test_what_is_wrong_with_changes_is_told(
    api: server.RunningSimulator,
    lying: set[str],
    lie: str,
    settings: dict[str, Any],
    name: str,
    level: Level,
    words: str,
) -> None:
    lying.update({lie} - {""})
    found = examine_delta(api, **settings)
    assert (found[name].level, words in found[name].seen) == (level, True), found[name]


def test_a_tombstone_of_the_future_is_told(api: server.RunningSimulator, lying: set[str]) -> None:
    lying.add("date-behind")
    found = examine_delta(api)["removals"]
    assert "which is in the future" in found.seen
