"""`carsync changes`: what happened to the cars of the table, for whoever must follow it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

from carsync import stdio
from carsync.cli import console
from carsync.cli.options import ConfigSource, config_options
from carsync.reporting.answers.changes import HeadAnswer, encode_changes
from carsync.reporting.answers.encoding import encode
from carsync.reporting.views.change_lines import render_change
from carsync.state.change_follower import START, TABLE, ChangeFollower


@click.command()
@config_options
@click.option(
    "--since",
    metavar="CURSOR",
    default=START,
    show_default=True,
    help="Begin behind this cursor; `start`: with the oldest kept, `now`: with the next one, "
    "`table`: with all cars as they are now.",
)
@click.option("--follow", is_flag=True, help="Go on with each change as it is made, until stopped.")
@click.option("--limit", type=click.IntRange(min=1), help="Show at most this many changes.")
@click.option("--rows", "with_rows", is_flag=True, help="Add each car's whole row as it is now.")
@click.option("--head", is_flag=True, help="Show only the cursor behind the newest change.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line and change.")
def changes(
    source: ConfigSource,
    since: str,
    follow: bool,
    limit: int | None,
    with_rows: bool,
    head: bool,
    as_json: bool,
) -> None:
    """Print each change of the table once, in the order in which it became visible.

    For programs that follow the table: a search index, a cache. Each line has a `cursor`; keep
    the last one, in the same transaction as its effect, and begin behind it the next time. The
    first time read the whole table: `--since table` prints each car with its row. Lines may come
    twice. Changes are kept for history.changes_keep_days days; a cursor of before is refused,
    then begin with the table anew. docs/changes.md has programs that do all this.

    \b
    Examples:
      carsync changes --config prod.yaml --since table --json
      carsync changes --since 42-9f3a77c0 --json --follow
      carsync changes --json --rows --limit 1000 | jq .row.price

    \b
    Exit codes: 0 all that there was · 2 this cursor is refused · 4 database ·
    130/143 stopped by SIGINT/SIGTERM
    """
    if since == TABLE and limit is not None:
        raise click.UsageError(
            "--limit does not go with --since table: behind the cursor of a part of the table the "
            "other cars are missing. To look at some, use `| head`."
        )
    config = source.load_with_database()
    with_rows = with_rows or since == TABLE
    with _ending_at_once():
        feed = ChangeFollower(config, since, with_rows=with_rows)
        if head:
            cursor = str(feed.find_head())
            if as_json:
                console.show_json(encode(HeadAnswer(cursor)))
            else:
                console.say(cursor)
            return
        left = limit
        for window in feed.read(follow=follow, each_turn=stdio.check_reader):
            shown = window[:left]
            if as_json and shown:
                console.show_json(encode_changes(shown, with_rows=with_rows))
            elif shown:
                console.say(*(render_change(change) for change in shown))
            if left is not None and not (left := left - len(shown)):
                return


@contextmanager
def _ending_at_once() -> Iterator[None]:
    """End with the signal's exit code even where a reader takes no more lines."""

    def end(number: int, frame: FrameType | None) -> None:
        stdio.drop_output()
        raise SystemExit(128 + number)

    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, end) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
