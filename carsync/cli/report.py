"""`carsync report`: one run as a page of HTML."""

from __future__ import annotations

import errno
import os
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import click

from carsync import formatting
from carsync.cli import console
from carsync.cli.options import ConfigSource, config_options
from carsync.errors import ConfigError
from carsync.postgres.connect import open_database
from carsync.reporting.answers.encoding import encode
from carsync.reporting.answers.runs import tell_report
from carsync.reporting.html.data import gather
from carsync.reporting.html.page import render
from carsync.reporting.html.templates import read_template
from carsync.state import atomic_file

STDOUT = "-"
_MARK = b'<meta name="generator" content="carsync '
"""What every report holds in its first lines."""
_HEAD_BYTES = 1024


@click.command()
@config_options
@click.argument("run_id", type=int, metavar="ID")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="The file to write; - is standard output.  [default: carsync-run-ID.html]",
)
@click.option("--force", is_flag=True, help="Also replace a file that is not a report of carsync.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print the contents of the report as JSON instead."
)
def report(
    source: ConfigSource, run_id: int, output: str | None, force: bool, as_json: bool
) -> None:
    """Write the report of run ID as one HTML file that needs no network and no script.

    The report shows how the run ended, what to do next, speed, answer times, queue and
    memory over time, errors, acceptance checks, changes in the table, and rejects. It works
    for every run: failed, not merged, in progress or reverted. An older report is
    replaced; any other file is replaced only with --force.

    \b
    Examples:
      carsync report 17 --config prod.yaml
      carsync report 17 --config prod.yaml -o /var/www/reports/17.html
      carsync report 17 -o - | mail -s "run 17" -a "Content-Type: text/html" ops@example.org
    """
    if as_json and output is not None:
        raise click.UsageError("--json prints to standard output: leave out -o")
    place = None if as_json or output == STDOUT else _place(run_id, output, force)
    config = source.load_with_database()
    with closing(open_database(config, "carsync report")) as connection:
        data = gather(connection, config.target, run_id, datetime.now(UTC))
    if as_json:
        console.show_json(encode(tell_report(data)))
        return
    page = render(data, read_template("report.html"), read_template("report.css"))
    content = page.encode("utf-8", "replace")
    try:
        if place is None:
            console.show_file(content)
            return
        # Several may write the same page, each beside it under a name of its own.
        suffix = f"{os.getpid()}.tmp"
        atomic_file.replace(place, content, mode=None, suffix=suffix, is_durable=False)
    except BrokenPipeError:
        raise  # nobody reads it: no error of ours
    except OSError as exc:
        raise _refusal(exc, place or Path("/dev/stdout")) from exc
    console.say(f"{place}: {formatting.size(len(content))}", err=True)


def _place(run_id: int, output: str | None, force: bool) -> Path:
    """Return the file to write; raise `ConfigError` where it must not or cannot be written."""
    given = Path(output or f"carsync-run-{run_id}.html")
    path = Path(os.path.realpath(given))  # a link stays, what it names is replaced
    if not path.parent.is_dir():
        raise ConfigError(
            "cannot write the report: its folder does not exist",
            detail=str(path.parent),
            hint=f"create it with `mkdir -p '{path.parent}'`, or name another file with -o",
        )
    if not path.exists():
        return path
    if not path.is_file():
        raise ConfigError(
            "cannot write the report: the path is not a file",
            detail=str(path),
            hint="name a file with -o; -o - writes to standard output",
        )
    if not force and not _is_report(path):
        raise ConfigError(
            "the file exists and is not a report of carsync",
            detail=str(path),
            hint="name another file with -o, or replace this one with --force",
        )
    return path


def _is_report(path: Path) -> bool:
    """Say whether the file may be replaced: a report, or nothing at all."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as exc:
        raise _refusal(exc, path) from exc
    return not head or _MARK in head


def _refusal(exc: OSError, path: Path) -> ConfigError:
    reason = os.strerror(exc.errno or errno.EIO).lower()
    return ConfigError(
        f"cannot write the report: {reason}",
        detail=str(path),
        hint="name another file with -o; -o - writes to standard output",
    )
