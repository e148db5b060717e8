"""`carsync simulate` says of each option what it does, and its defaults are the simulator's."""

from __future__ import annotations

from typing import Any

import click
import pytest
from click.testing import CliRunner

from carsync.cli.simulate import simulate
from carsync.config.parser import parse
from carsync.demo.door import DOOR_KINDS
from carsync.demo.feed import FeedOptions
from carsync.demo.hints import key_variables, usage
from carsync.demo.server import RunningSimulator
from carsync.demo.simulator import Simulator, SimulatorOptions


def built_by(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> SimulatorOptions:
    """Return the options that the command makes of its arguments."""
    built: list[SimulatorOptions] = []

    def record(options: SimulatorOptions) -> None:
        built.append(options)
        raise click.Abort

    monkeypatch.setattr("carsync.cli.simulate.Simulator", record)
    CliRunner().invoke(simulate, arguments)
    (options,) = built
    return options


def test_every_option_has_help() -> None:
    assert all(isinstance(option, click.Option) and option.help for option in simulate.params)


def test_without_options_the_simulator_has_its_own_defaults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert built_by(monkeypatch) == SimulatorOptions()


def test_lies_are_listed_and_checked() -> None:
    listed = CliRunner().invoke(simulate, ["--lie", "list"])
    assert listed.exit_code == 0
    assert "total-capped " in listed.output
    unknown = CliRunner().invoke(simulate, ["--lie", "honesty"])
    assert "`--lie list` tells all" in unknown.output
    two = CliRunner().invoke(simulate, ["--lie", "total-capped", "--lie", "feed-cut"])
    assert "one lie of pages and one by id" in two.output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--clock", "noon"], "no time in ISO 8601"),
        (["--window-format", "iso"], "none of minutes, seconds, iso8601"),
        (["--window-zone", "Mars/North"], "no time zone 'Mars/North'"),
        (["--live", "--window-param", "since"], "--live has a window of its own"),
        (["--live", "--lie", "feed-cut"], "--live goes with none of"),
    ],
)
def test_a_clock_or_window_that_cannot_be_is_refused_in_words(
    options: list[str], words: str
) -> None:
    refused = CliRunner().invoke(simulate, options)
    assert (refused.exit_code, words in refused.output) == (2, True)


def test_the_live_api_may_lie_of_changes_and_lists_cars_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lies = ["--lie", "removals-500", "--lie", "date-ahead", "--clock", "2026-01-15T12:00Z"]
    built = built_by(monkeypatch, "--live", *lies, "--late", "0.2")
    assert built.lies == ("removals-500", "date-ahead")
    assert (built.clock_s, built.feed.relisted_share) == (1_768_478_400.0, 0.001)
    assert (built.late.share, built.late.minutes, built.rate) == (0.2, 10.0, 1.0)


@pytest.mark.parametrize("kind", DOOR_KINDS)
def test_what_the_feed_is_served_with_is_told_for_each_way_of_the_key(kind: Any) -> None:
    options = SimulatorOptions(auth=kind, feed=FeedOptions(cars=10))
    told = usage(RunningSimulator(Simulator(options), 8080))
    assert ("in the file:" in told) == (kind != "header")
    variables = dict(pair.split("=", 1) for pair in key_variables(options).split())
    for line in told.splitlines():
        if "in the file:" in line:
            environ = {**variables, "API_BASE_URL": "http://127.0.0.1:8080/api"}
            config = parse(line.partition("file:")[2], environ)
            config.require_api()
            assert config.api.auth.type == kind
