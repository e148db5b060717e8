"""`carsync refresh`: single cars by their ids, now."""

from __future__ import annotations

import sys

import click

from carsync import formatting
from carsync.cli import console
from carsync.cli.options import ConfigSource, checkpoint_path, config_options, read_duration
from carsync.errors import LockedError
from carsync.model import RunOptions
from carsync.reporting.answers.edits import RefreshAnswer, tell_refresh
from carsync.reporting.answers.encoding import encode
from carsync.run.edits.refresh import Refreshed
from carsync.run.edits.refresh import refresh as run_refresh
from carsync.run.edits.refreshed_car import CarAction, count_actions
from carsync.run.listener import RunListener
from carsync.run.signals import StopSignal

_WORDS: dict[CarAction, str] = {
    "inserted": "new",
    "updated": "updated",
    "reactivated": "back",
    "deactivated": "gone",
    "unchanged": "unchanged",
    "unclear": "unclear",
}


class _Progress(RunListener):
    """Says on standard error for whom is waited, and how far the refresh is."""

    def message(self, text: str) -> None:
        console.warn(text)


@click.command()
@config_options
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--dry-run", is_flag=True, help="Ask and merge, show the changes, roll them back.")
@click.option(
    "--wait",
    "wait_s",
    callback=read_duration,
    default="1h",
    show_default=True,
    metavar="DURATION",
    help="Wait for a run that is going on, at most so long (30m, 2h); 0: exit with 75.",
)
@click.option("--json", "as_json", is_flag=True, help="Print every car as one JSON object.")
@click.pass_context
def refresh(
    ctx: click.Context,
    source: ConfigSource,
    ids: tuple[str, ...],
    dry_run: bool,
    wait_s: float,
    as_json: bool,
) -> None:
    """Ask the API for single cars, and merge what it says of them now.

    Each ID is that of the table. With - the ids are read from standard input, one a line.
    The cars are asked for through `api.record`, under the rate limit of all runs. New cars are
    inserted, changed cars updated, cars that are back reactivated. Other cars stay as they are.

    A car that the API calls gone is deactivated, if cars that the last run saw are found by id
    and an id that cannot exist is not. That takes about 20 more requests. For the ids of
    standard input the caps of `sync.deactivate` hold, too. Before values are written, up to 5
    other cars are asked for: at least 2 of them must have the values that the table holds.

    If a run is going on, the refresh waits for its end. An unfinished run is left alone: the next
    `carsync sync` resumes it. The first Ctrl-C ends the asking and merges what was read, the
    second changes nothing.

    \b
    Examples:
      carsync refresh 4711 4712 --config prod.yaml
      psql -Atc "SELECT id FROM cars WHERE is_live" | carsync refresh - --config prod.yaml
      carsync refresh 4711 --json | jq '.refreshed[] | select(.action == "unclear")'

    \b
    Exit codes: 0 all done · 2 configuration · 3 the API told nothing · 4 database · 5 some cars
    are unclear · 75 another run holds the lock · 130/143 stopped by SIGINT/SIGTERM
    """
    config = source.load_with_database()
    config.require_api()
    named = _read_ids() if ids == ("-",) else list(ids)
    if not named:
        console.warn("there are no ids on standard input; nothing is to be done")
        if as_json:
            console.show_json(encode(RefreshAnswer(dry_run=dry_run)))
        return
    stop = StopSignal()
    stop.install()
    path, options = checkpoint_path(config), RunOptions(dry_run=dry_run, wait_s=wait_s)
    try:
        done = run_refresh(config, path, named, _Progress(), stop, options, is_listed=ids == ("-",))
    except LockedError as exc:
        if not stop.requested:
            raise
        console.tell_error("stopped; nothing was changed", exc.problem, exit_code=stop.exit_code)
        ctx.exit(int(stop.exit_code))
    if as_json:
        console.show_json(encode(tell_refresh(done)))
    else:
        _show(done)
    ctx.exit(int(done.report.exit_code))


def _read_ids() -> list[str]:
    """Return the ids of standard input, one a line; blank lines are none."""
    lines = (line.decode(errors="replace").strip() for line in sys.stdin.buffer)
    return [line for line in lines if line]


def _show(done: Refreshed) -> None:
    width = max((len(car.id) for car in done.cars), default=0)
    console.say(
        *(f"{car.id:<{width}}  {_WORDS[car.action]:<9}  {car.reason}".rstrip() for car in done.cars)
    )
    report = done.report
    words = _sum_up(done)
    run = "dry run, nothing was written" if report.dry_run else f"run {report.run_id}"
    console.say(f"{run}: {words}", err=True)
    if report.problem:
        console.tell_error(report.problem, report.detail, report.hint, exit_code=report.exit_code)


def _sum_up(done: Refreshed) -> str:
    counts = count_actions(done.cars)
    words = ", ".join(f"{count:,} {_WORDS[action]}" for action, count in counts.items())
    return f"{formatting.plural(len(done.cars), 'car')}: {words}" if words else "no car"
