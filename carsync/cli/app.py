"""The `carsync` command: its sub-commands and the options that all of them take."""

from __future__ import annotations

import logging
import os
from typing import get_args

import click

from carsync import __version__, logging_setup, stdio
from carsync.cli.lazy_group import LazyGroup

COMMANDS: dict[str, str] = {
    "init": "Write a configuration file from a few questions, or from options.",
    "check": "Examine configuration, API, database and machine; say how to fix each problem.",
    "sync": "Bring the table in step with the feed; resume an unfinished run.",
    "refresh": "Ask the API for single cars by their ids, and merge them now.",
    "status": "Show the state of the current or last run; reads only the checkpoint.",
    "runs": "List past runs, or show one in full.",
    "changes": "Print each change of the table in order, for programs that follow it.",
    "approve": "Show the cars that a run held (exit code 6), and deactivate them.",
    "revert": "Take back what one run changed in the table.",
    "rejects": "List the rejected records; replay them after a fix of the mapping.",
    "notify": "Send a notification to the web hook: test, no recent success, failed unit.",
    "report": "Write an HTML report of one run: speed, errors, changes, what to do next.",
    "preview": "Show the mapped rows of a page or a file; uses no database.",
    "migrate": "Create or adopt the target table and carsync's own tables.",
    "config": "Print an example file, the JSON Schema, or the effective configuration.",
    "demo": "Show four syncs of a simulated feed into a real PostgreSQL (extra `demo`).",
    "simulate": "Serve a simulated feed over HTTP, with faults if you ask (extra `demo`).",
    "worker": "Work for runs of a cluster: fetch, map and stage (extra `cluster`).",
    "scheduler": "Bring runs and workers of a cluster together (extra `cluster`).",
    "completion": "Print the completion script for bash, zsh or fish.",
    "help": "Show the help of a command.",
}
"""Command → one-line help; `carsync.cli.NAME` defines the command `NAME`."""


@click.group(
    cls=LazyGroup,
    help_by_name=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with `carsync init`, which writes a configuration and names the next commands. "
    "`carsync demo` needs the extra `demo`, which `bin/demo` of a clone installs.",
)
@click.version_option(__version__, "-V", "--version", message="carsync %(version)s")
@click.option("-v", "--verbose", is_flag=True, help="Log details (every retry, every batch).")
@click.option("-q", "--quiet", is_flag=True, help="Log warnings and errors only; no live view.")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.option(
    "--log-format",
    type=click.Choice(get_args(logging_setup.Format)),
    default="text",
    envvar=logging_setup.VARIABLE,
    show_envvar=True,
    help="Format of standard error: lines for people, or one JSON object per line.",
)
@click.pass_context
def app(
    ctx: click.Context, verbose: bool, quiet: bool, debug: bool, log_format: logging_setup.Format
) -> None:
    """Keep a PostgreSQL table of vehicle listings in step with a REST API.

    Standard output is for data, standard error for the log and the progress. The options
    below may stand before the command or anywhere behind it.

    \b
    Examples:
      carsync init prod.yaml --base-url https://api.example.com/api
      carsync sync --config prod.yaml
      carsync help rejects replay
    """
    # Called again where one of these options stands behind the command.
    level = logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO
    logging_setup.set_up(log_format, level)
    if os.environ.get("FORCE_COLOR") and not os.environ.get("NO_COLOR"):
        ctx.find_root().color = True  # click would take colours out where there is no terminal


def run() -> None:
    """Run the command line and exit."""
    stdio.secure()
    # Workers, and multiprocessing's own helper, import nothing from the current folder.
    os.environ["PYTHONSAFEPATH"] = "1"
    app.main(prog_name="carsync")
