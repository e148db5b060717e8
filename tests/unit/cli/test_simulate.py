"""`carsync simulate` says of each option what it does, and its defaults are the simulator's."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from carsync.cli.simulate import simulate
from carsync.demo.simulator import SimulatorOptions


def test_every_option_has_help() -> None:
    assert all(isinstance(option, click.Option) and option.help for option in simulate.params)


def test_without_options_the_simulator_has_its_own_defaults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built: list[SimulatorOptions] = []

    def record(options: SimulatorOptions) -> None:
        built.append(options)
        raise click.Abort

    monkeypatch.setattr("carsync.cli.simulate.Simulator", record)
    CliRunner().invoke(simulate, [])
    assert built == [SimulatorOptions()]


def test_lies_are_listed_and_checked() -> None:
    listed = CliRunner().invoke(simulate, ["--lie", "list"])
    assert listed.exit_code == 0
    assert "total-capped " in listed.output
    unknown = CliRunner().invoke(simulate, ["--lie", "honesty"])
    assert "`--lie list` tells all" in unknown.output
    two = CliRunner().invoke(simulate, ["--lie", "total-capped", "--lie", "feed-cut"])
    assert "one lie of pages and one by id" in two.output
