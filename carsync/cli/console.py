"""What commands write to standard error: sentences for people, or lines of the JSON log."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

import click

from carsync import formatting, logging_setup
from carsync.errors import ConfigError
from carsync.exit_codes import ExitCode

log = logging.getLogger("carsync.cli")

SHOWN = 20
"""Lists for people show this many lines; JSON has all."""
_QUIET = {ExitCode.LOCKED, ExitCode.SIGINT, ExitCode.SIGTERM}


def warn(text: str) -> None:
    """Say something that the operator must see."""
    if logging_setup.is_json():
        log.warning("%s", text)
    else:
        click.echo(text, err=True)


def show(text: str) -> None:
    """Print `text`; a character that standard output cannot encode becomes a plainer one."""
    click.echo(formatting.fit(text, sys.stdout.encoding))


def show_some(lines: Sequence[str]) -> None:
    """Show the first `SHOWN` lines of a list, and say how many more there are."""
    for line in lines[:SHOWN]:
        click.echo(f"  {formatting.printable(line)}", err=True)
    if len(lines) > SHOWN:
        click.echo(f"  … and {len(lines) - SHOWN:,} more (all of them with --json)", err=True)


def ask(question: str) -> None:
    """Ask for a yes; anything else ends the command with nothing changed.

    Raises `click.Abort` at a no or Ctrl-C, `ConfigError` without a terminal to ask on.
    """
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:
        if sys.stdin is not None and sys.stdin.isatty():
            raise
        click.echo(err=True)
        raise ConfigError(
            "nothing was changed: there is no terminal for a question",
            hint="look with --dry-run, then run the command again with --yes",
        ) from None
    if not agreed:
        raise click.Abort


def tell_error(
    problem: str,
    detail: str = "",
    hint: str = "",
    *,
    exit_code: int,
    bug: BaseException | None = None,
) -> None:
    """Say why the command failed: problem, detail and hint on a line each, or one JSON line.

    In JSON a `bug` comes with its traceback.
    """
    further = {name: text for name, text in (("detail", detail), ("hint", hint)) if text}
    if logging_setup.is_json():
        extra = {"event": "error", "problem": problem, "exit_code": int(exit_code), **further}
        level = logging.WARNING if exit_code in _QUIET else logging.ERROR
        log.log(level, "%s", problem, exc_info=bug, extra=extra)
        return
    mark = "<3>" if logging_setup.in_journal() else ""
    click.echo(f"{mark}carsync: {problem}", err=True)
    for name, text in further.items():
        click.echo(f"{mark}{name}: {text}", err=True)
