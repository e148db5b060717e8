"""`carsync simulate` says of each option what it does, and its defaults are the simulator's."""

from __future__ import annotations

from dataclasses import fields

import click

from carsync.cli.simulate import simulate
from carsync.demo.feed import FeedOptions
from carsync.demo.simulator import SimulatorOptions


def test_every_option_has_help_and_the_simulators_default() -> None:
    context = click.Context(simulate)
    options = {option.name: option for option in simulate.params}
    assert all(isinstance(option, click.Option) and option.help for option in options.values())
    given = {name: option.get_default(context) for name, option in options.items()}
    given["latency_ms"] = (0.0, 0.0)  # its text is parsed by a callback
    feed, simulator = FeedOptions(), SimulatorOptions()
    for name in (field.name for field in fields(FeedOptions)):
        assert given[name] == getattr(feed, name), name
    for name in {field.name for field in fields(SimulatorOptions)} - {"feed", "with_meta"}:
        assert given[name] == getattr(simulator, name), name
