"""The command group: commands are imported when called, errors become exit codes."""

from __future__ import annotations

import difflib
import importlib
import logging
import os
import select
import signal
import sys
import traceback

import click

from carsync import __version__
from carsync.errors import CarsyncError, ExitCode

COMMANDS: dict[str, str] = {
    "init": "Write a configuration file from a few questions, or from options.",
    "check": "Examine configuration, API, database and machine; say how to mend each problem.",
    "sync": "Bring the table in step with the feed (resumes an unfinished run).",
    "status": "Show the state of the current or last run, from the checkpoint alone.",
    "runs": "List past runs, or tell the whole story of one.",
    "approve": "Deactivate the cars that a run held (exit code 6), after a look at them.",
    "revert": "Take back what one run changed in the table.",
    "rejects": "List the records that no row could hold; replay them after a mapping fix.",
    "preview": "Show the mapped rows of a page or a file; touches no database.",
    "migrate": "Create or adopt the target table and carsync's own tables.",
    "config": "Show the JSON Schema, or the effective configuration without secrets.",
    "demo": "Watch four syncs of a simulated feed into a real PostgreSQL.",
    "simulate": "Serve a realistic feed over HTTP, with faults on request.",
}
"""Command → one-line help; `carsync.cli.NAME` defines the command `NAME`."""

_STDOUT = 1


class LazyGroup(click.Group):
    """A group that imports a command's module only when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import and return one command."""
        if name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"carsync.cli.{name}"), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or name the nearest one."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise click.UsageError(f"No such command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> None:
        """Run the command; an error is shown and becomes its exit code.

        Usage errors are left to click, which shows them and exits with 2 as well.
        """
        try:
            super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except (click.Abort, KeyboardInterrupt):
            ctx.exit(ExitCode.SIGINT)
        except Exception as exc:
            if isinstance(exc, BrokenPipeError) and _reader_is_gone():
                ctx.exit(128 + signal.SIGPIPE)
            if ctx.params["debug"]:
                traceback.print_exc()
            ctx.exit(_show_error(exc))


def _reader_is_gone() -> bool:
    """Say whether standard output is a pipe that nobody reads (`carsync preview | head`).

    What is still to be written then goes nowhere, so that the interpreter's own flush
    at exit does not fail (Python manual, signal, "Note on SIGPIPE").
    """
    poll = select.poll()
    poll.register(_STDOUT, 0)
    gone = any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
    if gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), _STDOUT)
    return gone


def _show_error(exc: Exception) -> ExitCode:
    """Show problem, detail and hint on standard error and return the exit code."""
    if isinstance(exc, CarsyncError):
        click.echo(f"carsync: {exc}", err=True)
        return exc.exit_code
    click.echo(
        f"carsync: a bug: {type(exc).__name__}: {exc}\n"
        "hint: run `carsync --debug …` for the traceback and report it",
        err=True,
    )
    return ExitCode.BUG


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with `carsync demo`. A real run: set API_BASE_URL, API_KEY and DATABASE_URL, "
    "look at the mapping with `carsync preview`, then `carsync sync`.",
)
@click.version_option(__version__, "-V", "--version", message="carsync %(version)s")
@click.option("-v", "--verbose", is_flag=True, help="Log details (every retry, every batch).")
@click.option("-q", "--quiet", is_flag=True, help="Log warnings and errors only.")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def app(verbose: bool, quiet: bool, debug: bool) -> None:
    """Keep a PostgreSQL table of vehicle listings in step with a REST API.

    Standard output is for data, standard error for the log and the progress.
    """
    level = logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO
    logging.basicConfig(
        level=level, stream=sys.stderr, format="%(asctime)s %(levelname)-7s %(message)s", force=True
    )
    logging.getLogger("urllib3").setLevel(logging.WARNING)


def run() -> None:
    """Run the command line and exit."""
    app.main(prog_name="carsync")
