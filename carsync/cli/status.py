"""`carsync status`: how far the run is, from the checkpoint alone; once, or until it ends."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import get_args

import click
from msgspec import Struct
from msgspec.structs import replace

from carsync import formatting
from carsync.cli import console
from carsync.cli.options import (
    ConfigSource,
    checkpoint_path,
    config_options,
    read_duration,
    require_database,
)
from carsync.config.dsn import place_of
from carsync.config.sections import Config
from carsync.exit_codes import ExitCode
from carsync.model import Mode
from carsync.postgres.connect import open_database
from carsync.postgres.sessions import DatabaseSession, list_sessions
from carsync.reporting.answers.encoding import encode, encode_indented
from carsync.reporting.answers.status import tell_status
from carsync.reporting.live.terminal import Canvas, can_redraw, columns_of, wants_color
from carsync.reporting.views import status as view
from carsync.reporting.views.layout import WIDTH
from carsync.state import requests
from carsync.state.api_use import ApiUse
from carsync.state.checkpoint import CheckpointState, load
from carsync.state.clock import Moment
from carsync.state.file_lock import is_held
from carsync.state.freshness import staleness
from carsync.state.requests import Feed

WATCH_EVERY_S = 1.0

_MODES: dict[str, Mode] = {mode: mode for mode in get_args(Mode)}


def _ages(
    context: click.Context, parameter: click.Parameter, values: Sequence[str]
) -> dict[Mode, float]:
    """Return the seconds that each mode is allowed: `26h` is that of full runs, as `full=26h`."""
    found: dict[Mode, float] = {}
    for value in values:
        name, mark, text = value.rpartition("=")
        mode = _MODES.get(name) if mark else "full"
        age_s = read_duration(context, parameter, text)
        if mode is None or age_s is None:
            raise click.BadParameter(
                f"there is no mode {name!r}; write for example 26h, full=26h or incremental=90m"
            )
        found[mode] = age_s
    return found


@click.command()
@config_options
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object; with --watch, one per line."
)
@click.option(
    "--watch",
    "watch_every_s",
    is_flag=False,
    flag_value=WATCH_EVERY_S,
    type=click.FloatRange(min=0.1),
    metavar="[SECONDS]",
    help="Repeat every second, or every SECONDS, until the run ends or Ctrl-C.",
)
@click.option(
    "--max-age",
    "max_ages_s",
    multiple=True,
    callback=_ages,
    metavar="[MODE=]DURATION",
    help="Exit with 7 if the last success is older (26h, full=26h, incremental=90m) or there is "
    "none.",
)
@click.option(
    "--sessions",
    "with_sessions",
    is_flag=True,
    help="Also ask the database: carsync's sessions, and what requests have cost.",
)
def status(
    source: ConfigSource,
    as_json: bool,
    watch_every_s: float | None,
    max_ages_s: dict[Mode, float],
    with_sessions: bool,
) -> None:
    """Show how far the run is, or how the last one ended, and what to do next.

    Reads only the checkpoint file, unless --sessions is given. So it works during a run,
    and while the database or the API is down. With --watch it waits for the end of the run
    and exits with the run's exit code: 8 if the run's process died, 0 after Ctrl-C or if no
    run is in progress. If the output is not a terminal, --watch prints a line for each
    change.

    --max-age 26h (or full=26h) is about the last success of a full run. --max-age
    incremental=90m is about the newest data, of an incremental run or of a full one. Both
    may be given.

    \b
    Examples:
      carsync status --config prod.yaml
      carsync status --watch
      carsync status --max-age 26h --json | jq .last_success_age_s
      carsync status --max-age full=26h --max-age incremental=2h
    """
    config = source.load()
    sessions, use = _ask_database(config) if with_sessions else (None, None)
    look = partial(_look, checkpoint_path(config), config)
    code = 0
    if watch_every_s is not None:
        code = _watch(look, watch_every_s, as_json)
    seen = look().with_use(use)
    if not as_json:
        _print_status(seen, sessions)
    elif watch_every_s is None:
        console.show_json(encode_indented(seen.answer(sessions)))
    for mode, max_age_s in max_ages_s.items():
        stale = staleness(seen.state, seen.now, max_age_s, mode)
        if stale is not None and code in {ExitCode.OK, ExitCode.ACCEPTANCE}:
            console.warn(stale)
            code = ExitCode.ACCEPTANCE
    raise click.exceptions.Exit(code)


class _Seen(Struct, frozen=True):
    """What there was to see at one moment."""

    path: Path
    config: Config
    lock_held: bool
    state: CheckpointState | None
    now: datetime

    def with_use(self, use: ApiUse | None) -> _Seen:
        """Return the same with what the database says that requests have cost."""
        if use is None or self.state is None:
            return self
        return replace(self, state=replace(self.state, api_use=use))

    @property
    def facts(self) -> tuple[CheckpointState | None, datetime, bool, float, Mode]:
        config = self.config
        within_h, usual = config.checkpoint.max_age_h, config.sync.mode
        return self.state, self.now, self.lock_held, within_h, usual

    def answer(self, sessions: list[DatabaseSession] | None = None) -> Struct:
        return tell_status(self.path, *self.facts, sessions)

    def lines(self, color: bool, width: int) -> list[str]:
        return view.status_lines(*self.facts, color=color, width=width)


def _look(path: Path, config: Config) -> _Seen:
    # The lock first: a run that ends in between has then saved its last word already.
    lock_held = is_held(path)
    state = load(path, place_of(config))
    moment = Moment.now()
    now = moment.by_the_clock_of(state.updated) if state else moment.wall
    return _Seen(path, config, lock_held, state, now)


def _ask_database(config: Config) -> tuple[list[DatabaseSession], ApiUse | None]:
    """Return carsync's sessions and what requests have cost, as the database knows it."""
    feed, budget = Feed(config.target, config.sync.source), config.limits.budget
    with closing(open_database(require_database(config), "carsync status")) as connection:
        sessions = list_sessions(connection, config.target)
        if not requests.exist(connection):
            return sessions, None
        return sessions, requests.read(connection, feed, budget if budget.requests else None)


def _print_status(seen: _Seen, sessions: list[DatabaseSession] | None) -> None:
    color = wants_color(sys.stdout, os.environ)
    lines = seen.lines(color, columns_of(sys.stdout, WIDTH))
    if sessions is not None:
        lines += ["", *view.session_lines(sessions)]
    console.say(*lines)


def _watch(look: Callable[[], _Seen], every_s: float, as_json: bool) -> int:
    """Show what is seen until no run is going on; return the exit code of the run watched."""
    color = wants_color(sys.stdout, os.environ)
    live = not as_json and can_redraw(sys.stdout, os.environ)
    canvas = Canvas(sys.stdout, no_color=not color) if live else None
    told = ""
    watched = False
    try:
        while (seen := look()).lock_held:
            watched = True
            if canvas is not None:
                canvas.draw(partial(seen.lines, color))
            else:
                answer = seen.answer() if as_json else None
                line = str(answer) if answer else view.render_line(*seen.facts)
                if line != told and answer:
                    console.show_json(encode(answer))
                elif line != told:
                    console.say(f"{formatting.moment(seen.now)}  {line}")
                told = line
            time.sleep(every_s)
    except KeyboardInterrupt:
        return ExitCode.OK
    finally:
        if canvas is not None:
            canvas.end()
    if as_json:
        console.show_json(encode(seen.answer()))
    if not watched or seen.state is None:
        return ExitCode.OK
    return ExitCode.WORKERS if seen.state.exit_code is None else seen.state.exit_code
