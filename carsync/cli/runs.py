"""`carsync runs`: what past runs did, and the whole story of one."""

from __future__ import annotations

import json
import os
import shutil
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import click

from carsync import figures
from carsync import story as past
from carsync.cli.loading import config_options, load_config, require_database
from carsync.observer import MAX_FAILURES
from carsync.session import open_database, target_of
from carsync.storyview import SHOWN_PAGES, render_list, render_story


@click.group(invoke_without_command=True)
@config_options
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Show at most so many.",
)
@click.option("--json", "as_json", is_flag=True, help="Print them as a JSON object.")
@click.pass_context
def runs(
    ctx: click.Context,
    config_path: Path | None,
    overrides: tuple[str, ...],
    limit: int,
    as_json: bool,
) -> None:
    """List the target's past runs, newest first; `runs show ID` tells the story of one.

    `new`, `updated`, `back`, `gone` and `held` count cars; a dash stands where nothing was
    merged. A narrow terminal shows fewer columns, `--json` always all. Only reads, also
    while a run is going on.

    \b
    Examples:
      carsync runs --config prod.yaml
      carsync runs show 42 --config prod.yaml
      carsync runs --json | jq '.runs[] | select(.exit_code != 0)'
    """
    if ctx.invoked_subcommand is not None:
        ctx.obj = (config_path, overrides)
        return
    config = require_database(load_config(config_path, overrides))
    target = target_of(config)
    with closing(open_database(config, "carsync runs")) as connection:
        found = past.list_past(connection, target, limit)
    if as_json:
        click.echo(json.dumps({"runs": [past.as_line(run) for run in found]}))
    elif found:
        _print(render_list(found, datetime.now(UTC), _width(), color=_color()))
    else:
        click.echo(f"No run of {target} yet.")
        click.echo("hint: run `carsync sync`", err=True)


@runs.command()
@click.argument("run_id", metavar="ID", type=int)
@config_options
@click.option("--json", "as_json", is_flag=True, help="Print everything as a JSON object.")
@click.pass_context
def show(
    ctx: click.Context,
    run_id: int,
    config_path: Path | None,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Tell the whole story of one run: how it ended, and how it went.

    Outcome, counts, acceptance checks and notes as the run itself told them; then its
    sessions where it was resumed, its figures over time, the attempts that failed by class
    and by page, and its open rejects by reason. `--json` has every sample as well.

    \b
    Examples:
      carsync runs show 42 --config prod.yaml
      carsync runs show 42 --json | jq '.failed_pages[] | select(.given_up)'
    """
    group_path, group_overrides = ctx.obj
    path = config_path if config_path is not None else group_path
    config = require_database(load_config(path, (*group_overrides, *overrides)))
    pages = MAX_FAILURES if as_json else SHOWN_PAGES
    with closing(open_database(config, "carsync runs show")) as connection:
        story = past.tell(connection, target_of(config), run_id, pages=pages)
    if as_json:
        click.echo(json.dumps(past.as_data(story)))
    else:
        _print(render_story(story, datetime.now(UTC), _width(), color=_color()))


def _print(text: str) -> None:
    click.echo(figures.fit(text, sys.stdout.encoding))


def _width() -> int:
    """Return the terminal's columns; 80 where standard output is none, and COLUMNS is not set."""
    return shutil.get_terminal_size((80, 24)).columns


def _color() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
