"""`carsync status`: how far the run is, from the checkpoint alone."""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import click

from carsync import figures, statusview
from carsync.backends import Session, list_sessions
from carsync.checkpoint import load
from carsync.cli.loading import (
    checkpoint_path,
    config_options,
    load_config,
    require_database,
)
from carsync.config import Config
from carsync.errors import ExitCode
from carsync.filelock import is_held
from carsync.moment import Moment
from carsync.session import open_database, target_of

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
@click.option(
    "--sessions",
    "with_sessions",
    is_flag=True,
    help="Ask the database, too, what carsync's sessions are doing there.",
)
def status(
    config_path: Path | None,
    overrides: tuple[str, ...],
    as_json: bool,
    max_age_s: float | None,
    with_sessions: bool,
) -> None:
    """Show how far the run is, or how the last one ended, and what to do next.

    Reads the checkpoint file alone, unless --sessions is given: works while a run is
    going on, and with the database and the API down.
    """
    config = load_config(config_path, overrides)
    sessions = _sessions(config) if with_sessions else None
    path = checkpoint_path(config)
    # The lock first: a run that ends in between has then saved its last word already.
    lock_held = is_held(path)
    state = load(path)
    moment = Moment.now()
    now = moment.by_the_clock_of(state.updated) if state else moment.wall
    resume_within_h = config.checkpoint.max_age_h
    if as_json:
        data = statusview.as_data(state, now, lock_held, resume_within_h)
        data["checkpoint"] = str(path)
        if sessions is not None:
            data["sessions"] = [asdict(session) for session in sessions]
        click.echo(json.dumps(data, indent=2))
    else:
        color = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        text = statusview.render(state, now, lock_held, resume_within_h, color=color)
        if sessions is not None:
            text += "\n\n" + "\n".join(_session_lines(sessions))
        click.echo(figures.fit(text, sys.stdout.encoding))
    if max_age_s is not None:
        stale = statusview.staleness(state, now, max_age_s)
        if stale is not None:
            click.echo(figures.fit(stale, sys.stderr.encoding), err=True)
            raise click.exceptions.Exit(ExitCode.ACCEPTANCE)


def _sessions(config: Config) -> list[Session]:
    with closing(open_database(require_database(config), "carsync status")) as connection:
        return list_sessions(connection, target_of(config))


def _session_lines(sessions: list[Session]) -> list[str]:
    """Lay out one line for each session: who, doing what, for how long, waiting for whom."""
    if not sessions:
        return ["no session of carsync in the database"]
    lines = ["sessions of carsync in the database"]
    for session in sessions:
        waits = f", waits for {session.wait}" if session.wait else ""
        behind = f", blocked by pid {', '.join(map(str, session.blocked_by))}"
        lines.append(
            f"  pid {session.pid}  {figures.printable(session.application)}: {session.state} for "
            f"{figures.duration(session.age_s)}{waits}{behind if session.blocked_by else ''}"
            f"{'; holds the lock' if session.holds_lock else ''}"
        )
    return lines
