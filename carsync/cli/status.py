"""`carsync status`: how far the run is, from the checkpoint alone."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import click

from carsync import figures, statusview
from carsync.checkpoint import load
from carsync.cli import voice
from carsync.cli.loading import checkpoint_path, config_options, load_config
from carsync.errors import ExitCode
from carsync.filelock import is_held
from carsync.moment import Moment

_UNIT_S = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>min|[smhd])", re.ASCII)


def _seconds(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """Return the seconds of a number with its unit, as `26h`, `90m` or `2d`."""
    if value is None:
        return None
    match = _DURATION.fullmatch(value.strip())
    if match is None:
        raise click.BadParameter(f"{value!r} is no duration; write for example 26h, 90m or 2d")
    return float(match["number"]) * _UNIT_S[match["unit"]]


@click.command()
@config_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--max-age",
    "max_age_s",
    callback=_seconds,
    metavar="DURATION",
    help="Exit with 7 when the last success is older (26h, 90m, 2d) or there is none.",
)
def status(
    config_path: Path | None, overrides: tuple[str, ...], as_json: bool, max_age_s: float | None
) -> None:
    """Show how far the run is, or how the last one ended, and what to do next.

    Reads the checkpoint file alone: works while a run is going on, and with the
    database and the API down.
    """
    config = load_config(config_path, overrides)
    path = checkpoint_path(config)
    # The lock first: a run that ends in between has then saved its last word already.
    lock_held = is_held(path)
    state = load(path)
    moment = Moment.now()
    now = moment.by_the_clock_of(state.updated) if state else moment.wall
    resume_within_h = config.checkpoint.max_age_h
    if as_json:
        data = statusview.as_data(state, now, lock_held, resume_within_h)
        click.echo(json.dumps({**data, "checkpoint": str(path)}, indent=2))
    else:
        color = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        text = statusview.render(state, now, lock_held, resume_within_h, color=color)
        click.echo(figures.fit(text, sys.stdout.encoding))
    if max_age_s is not None:
        stale = statusview.staleness(state, now, max_age_s)
        if stale is not None:
            voice.warn(figures.fit(stale, sys.stderr.encoding))
            raise click.exceptions.Exit(ExitCode.ACCEPTANCE)
