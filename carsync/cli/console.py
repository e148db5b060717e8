"""What commands print: lines for people, JSON for programs, and errors for both.

No command prints in another way, so that what a feed or a table holds cannot move a cursor,
colour a line or begin one.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence

import click

from carsync import formatting, logging_setup, stdio
from carsync.errors import ConfigError
from carsync.exit_codes import ExitCode
from carsync.formatting import JSON_VERSION, Displayed
from carsync.redaction import clean

log = logging.getLogger("carsync.cli")

SHOWN = 20
"""Lists for people show this many lines; JSON has all."""
_WANTS_JSON = "carsync.wants_json"
_QUIET = {ExitCode.LOCKED, ExitCode.SIGINT, ExitCode.SIGTERM}


def warn(text: str) -> None:
    """Say something that the operator must see."""
    if logging_setup.is_json():
        log.warning("%s", text)
    else:
        say(text, err=True)


def say(*lines: str, err: bool = False) -> None:
    """Print lines for people, on standard error with `err`; each stays one line."""
    if lines:
        show(formatting.display(lines), err=err)


def show(text: Displayed, *, err: bool = False) -> None:
    """Print the text of a view; a character that cannot be encoded becomes a plainer one."""
    stream = sys.stderr if err else sys.stdout
    stream.write(f"{formatting.fit(text, stream.encoding)}\n")
    stream.flush()


def show_json(encoded: str | bytes) -> None:
    """Print JSON with its true values; no terminal obeys them."""
    text = encoded if isinstance(encoded, str) else encoded.decode()
    sys.stdout.write(f"{formatting.display_json(text, sys.stdout.encoding)}\n")
    sys.stdout.flush()


def note_arguments(ctx: click.Context, arguments: Sequence[str]) -> None:
    """Remember whether the command was asked for JSON, so that its errors are JSON too."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    ctx.meta[_WANTS_JSON] = "--json" in options


def answer_error(problem: str, detail: str = "", hint: str = "", *, exit_code: int) -> None:
    """Print the error as JSON on standard output, if the command was asked for JSON."""
    ctx = click.get_current_context(silent=True)
    if ctx is None or not ctx.meta.get(_WANTS_JSON):
        return
    words = {"problem": clean(problem), "detail": clean(detail), "hint": clean(hint)}
    error = {**words, "exit_code": int(exit_code)}
    try:
        show_json(json.dumps({"json_version": JSON_VERSION, "error": error}))
    except OSError:
        stdio.drop_output()


def show_passing(text: str) -> None:
    """Show on a terminal, on one line, what is being done; an empty text clears the line."""
    shown = formatting.fit(formatting.printable(text), sys.stderr.encoding)
    stdio.draw(sys.stderr, f"\r\x1b[K{shown}")


def show_file(content: bytes) -> None:
    """Print a file as it is."""
    click.echo(content, nl=False)


def show_some(lines: Sequence[str], *, err: bool) -> None:
    """Show the first `SHOWN` lines of a list, and say how many more there are.

    A list is what a dry run was asked for; before a question it goes to standard error (`err`).
    """
    say(*(f"  {line}" for line in lines[:SHOWN]), err=err)
    if len(lines) > SHOWN:
        say(f"  … and {len(lines) - SHOWN:,} more (all of them with --json)", err=err)


def ask(question: str) -> None:
    """Ask for a yes; anything else ends the command with nothing changed.

    Raises `click.Abort` at a no or Ctrl-C, `ConfigError` without a terminal to ask on.
    """
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:
        if sys.stdin is not None and sys.stdin.isatty():
            raise
        say("", err=True)
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

    In JSON a `bug` comes with its traceback. With `--json` standard output gets the error too.
    """
    answer_error(problem, detail, hint, exit_code=exit_code)
    further = {name: text for name, text in (("detail", detail), ("hint", hint)) if text}
    if logging_setup.is_json():
        extra = {"event": "error", "problem": problem, "exit_code": int(exit_code), **further}
        level = logging.WARNING if exit_code in _QUIET else logging.ERROR
        log.log(level, "%s", problem, exc_info=bug, extra=extra)
        return
    mark = "<3>" if logging_setup.in_journal() else ""
    further = {"carsync": problem, **further}
    say(*(f"{mark}{name}: {text}" for name, text in further.items()), err=True)
