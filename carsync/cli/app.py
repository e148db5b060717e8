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
    "check": "Examine configuration, API, database and machine; say how to mend each problem.",
    "sync": "Bring the table in step with the feed (resumes an unfinished run).",
    "status": "Show the state of the current or last run, from the checkpoint alone.",
    "runs": "List past runs, or show one in full.",
    "approve": "Deactivate the cars that a run held (exit code 6), after a look at them.",
    "revert": "Take back what one run changed in the table.",
    "rejects": "List the records that no row could hold; replay them after a mapping fix.",
    "notify": "Post a notice to the web hook: a test, that runs are stale, that a unit failed.",
    "report": "Write one run as a page of HTML: speed, errors, what changed, what to do.",
    "preview": "Show the mapped rows of a page or a file; touches no database.",
    "migrate": "Create or adopt the target table and carsync's own tables.",
    "config": "Show the JSON Schema, or the effective configuration without secrets.",
    "demo": "Watch four syncs of a simulated feed into a real PostgreSQL.",
    "simulate": "Serve a realistic feed over HTTP, with faults on request.",
    "completion": "Print the script that completes carsync's words in bash, zsh or fish.",
    "help": "Show the help of a command.",
}
"""Command → one-line help; `carsync.cli.NAME` defines the command `NAME`."""


@click.group(
    cls=LazyGroup,
    help_by_name=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with `carsync demo`. A real run: set API_BASE_URL, API_KEY and DATABASE_URL, "
    "look at the mapping with `carsync preview`, then `carsync sync`.",
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
    help="How standard error is written: lines for people, or one JSON object a line.",
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
      carsync demo
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
    app.main(prog_name="carsync")
