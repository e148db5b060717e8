"""`carsync runs`: what past runs did, and all details of one."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import closing
from datetime import UTC, datetime

import click

from carsync import formatting
from carsync.cli import console
from carsync.cli.options import ConfigSource, config_options, limit_option
from carsync.config.sections import Config
from carsync.postgres.connect import open_database
from carsync.reporting.answers.encoding import encode
from carsync.reporting.answers.runs import tell_car, tell_run, tell_runs
from carsync.reporting.live.terminal import wants_color
from carsync.reporting.views import run_details as past
from carsync.reporting.views.run_details_view import SHOWN_PAGES, render_details
from carsync.reporting.views.run_list import render_list
from carsync.run.figures.sampler import MAX_FAILURES
from carsync.state.changes import list_car_changes


@click.group(invoke_without_command=True)
@config_options
@limit_option
@click.option("--car", "car_id", metavar="ID", help="Show instead what the runs did to this car.")
@click.option("--json", "as_json", is_flag=True, help="Print them as a JSON object.")
@click.pass_context
def runs(
    ctx: click.Context, source: ConfigSource, limit: int, car_id: str | None, as_json: bool
) -> None:
    """List the target's past runs, newest first; `runs show ID` shows one in full.

    `new`, `updated`, `back` (reactivated), `gone` (deactivated) and `held` count cars. A
    dash means that the run merged nothing. A narrow terminal shows fewer columns; `--json`
    shows all. Only reads, and works during a run.

    \b
    Examples:
      carsync runs --config prod.yaml
      carsync runs show 42 --config prod.yaml
      carsync runs --car 7000001
      carsync runs --json | jq '.runs[] | select(.exit_code != 0)'
    """
    if ctx.invoked_subcommand is not None:
        ctx.obj = source
        return
    config = source.load_with_database()
    if car_id is not None:
        _show_car(config, car_id, limit, as_json)
        return
    with closing(open_database(config, "carsync runs")) as connection:
        found = past.list_past(connection, config.target, limit)
    if as_json:
        console.show_json(encode(tell_runs(found)))
    elif found:
        color = wants_color(sys.stdout, os.environ)
        console.show(render_list(found, datetime.now(UTC), _width(), color=color))
    else:
        console.say(f"No run of {config.target} yet.")
        console.say("hint: run `carsync sync`", err=True)


@runs.command()
@click.argument("run_id", metavar="ID", type=int)
@config_options
@click.option("--json", "as_json", is_flag=True, help="Print everything as a JSON object.")
@click.pass_context
def show(ctx: click.Context, run_id: int, source: ConfigSource, as_json: bool) -> None:
    """Show one run in full: how it ended, and how it went.

    First shows the summary as the run itself printed it. Then shows the sessions of a
    resumed run, the figures over time, the failed attempts by class and by page, and the
    open rejects by reason. `--json` also has every sample.

    \b
    Examples:
      carsync runs show 42 --config prod.yaml
      carsync runs show 42 --json | jq '.failed_pages[] | select(.given_up)'
    """
    group: ConfigSource = ctx.obj
    source = ConfigSource(source.path or group.path, (*group.overrides, *source.overrides))
    config = source.load_with_database()
    pages = MAX_FAILURES if as_json else SHOWN_PAGES
    with closing(open_database(config, "carsync runs show")) as connection:
        details = past.gather(connection, config.target, run_id, pages=pages)
    if as_json:
        console.show_json(encode(tell_run(details)))
    else:
        color = wants_color(sys.stdout, os.environ)
        console.show(render_details(details, datetime.now(UTC), _width(), color=color))


def _show_car(config: Config, car_id: str, limit: int, as_json: bool) -> None:
    with closing(open_database(config, "carsync runs")) as connection:
        has_changes = past.has_schema(connection)
        found = list_car_changes(connection, config.target, car_id, limit) if has_changes else []
    if as_json:
        console.show_json(encode(tell_car(car_id, found)))
        return
    for change in found:
        when = formatting.moment(change.merged_at) if change.merged_at else "not merged"
        columns = ", ".join(sorted(change.after or {}))
        line = f"run {change.run_id}  {when}  {change.action}  {columns}"
        console.say(line.rstrip())
    if not found:
        console.say(f"No recorded run changed a car {car_id}.")
        console.say("hint: changes are kept for history.changes_keep_days", err=True)


def _width() -> int:
    """Return the terminal's columns; 80 where standard output is none, and COLUMNS is not set."""
    return shutil.get_terminal_size((80, 24)).columns
