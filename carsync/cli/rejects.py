"""`carsync rejects`: show the records that no row could hold, and bring in those that map now."""

from __future__ import annotations

from contextlib import closing

import click

from carsync import formatting
from carsync.cli import console
from carsync.cli.options import ConfigSource, config_options, limit_option
from carsync.model import MergeCounts
from carsync.postgres.connect import open_database
from carsync.reporting.answers.edits import tell_rejects, tell_replay
from carsync.reporting.answers.encoding import encode
from carsync.run.edits.replay import Replay, Replayed, ReplayPreview
from carsync.state import rejects as stored
from carsync.state.rejects import ReasonCount, StoredReject

SHOWN_CHARS = 160
SHOWN_REASONS = 10

_run_option = click.option("--run", "run_id", type=int, help="Which run.  [default: the newest]")


@click.group()
def rejects() -> None:
    """List the rejected records, and replay them after a fix of the mapping."""


@rejects.command("list")
@config_options
@_run_option
@limit_option
@click.option(
    "--json", "as_json", is_flag=True, help="Print them as a JSON object, texts complete."
)
def list_(source: ConfigSource, run_id: int | None, limit: int, as_json: bool) -> None:
    """Show the open rejects of the last full run that was merged, and of all runs since.

    First counts the rejects by reason. Then lists each reject with its page, its position
    on the page, its id, column and reason, and the start of the record.

    \b
    Examples:
      carsync rejects list --config prod.yaml
      carsync rejects list --json | jq -r '.rejects[].original'
    """
    config = source.load_with_database()
    chars = 2**31 - 1 if as_json else SHOWN_CHARS
    with closing(open_database(config, "carsync rejects list")) as connection:
        which = (connection, config.target, config.sync.source, run_id)
        reasons = stored.count_reasons(*which)
        found = stored.list_open(*which, limit, chars)
    if as_json:
        console.show_json(encode(tell_rejects(reasons, found)))
        return
    _show(reasons, found, "" if run_id is None else f" of run {run_id}")


@rejects.command()
@config_options
@_run_option
@click.option("--yes", is_flag=True, help="Replay without asking.")
@click.option("--dry-run", is_flag=True, help="Show what would be replayed; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as a JSON object.")
def replay(
    source: ConfigSource, run_id: int | None, yes: bool, dry_run: bool, as_json: bool
) -> None:
    """Map the open rejects of a run again; write those that map now.

    That is the newest run that has any: the last full run that was merged, or an incremental
    one since. The others stay rejects, with their new reason. No car is deactivated. A car that
    was written after its page was read stays as it is.

    \b
    Example:
      carsync rejects replay --config prod.yaml --dry-run
    """
    config = source.load_with_database()
    with closing(open_database(config, "carsync rejects replay")) as connection:
        work = Replay(config, connection, run_id)
        outlook = work.look()
        if not (dry_run and as_json):
            console.say(*_describe(outlook), err=not dry_run)
        if outlook.mapped and not yes and not dry_run:
            console.ask(f"Replay {formatting.plural(outlook.mapped, 'record')}?")
        done = Replayed(outlook) if dry_run else work.carry_out(outlook)
    if as_json:
        console.show_json(encode(tell_replay(done)))
    elif done.counts is not None:
        console.say(_sum_up(done, done.counts))


def _show(reasons: list[ReasonCount], found: list[StoredReject], whose: str) -> None:
    total = sum(reason.count for reason in reasons)
    if not total:
        console.say(f"No open rejects{whose}.")
        return
    console.say(f"{formatting.plural(total, 'open reject')}{whose}")
    for reason in reasons[:SHOWN_REASONS]:
        column = f"{reason.column}: " if reason.column else ""
        console.say(f"  {reason.count:>8,}  {column}{reason.reason}")
    if len(reasons) > SHOWN_REASONS:
        more = formatting.plural(len(reasons) - SHOWN_REASONS, "more reason")
        console.say(f"            … and {more}")
    for reject in found:
        known = reject.record_id is not None
        page = formatting.in_list(reject.page, reject.in_list)
        who = f"id {reject.record_id}" if known else "no id"
        column = f"{reject.column}: " if reject.column else ""
        console.say(
            "",
            f"run {reject.run_id}, page {page}, record {reject.ordinal}, {who}, "
            f"read {formatting.moment(reject.fetched_at)}",
        )
        console.say(f"  {column}{reject.reason}")
        more = "…" if len(reject.original) >= SHOWN_CHARS else ""
        console.say(f"  {reject.original}{more}")
    if total > len(found):
        console.say("", f"… and {total - len(found):,} more (--limit)")


def _describe(outlook: ReplayPreview) -> list[str]:
    if not outlook.rejects:
        return [f"Run {outlook.run_id} has no open rejects."]
    return [
        f"{formatting.plural(outlook.rejects, 'open reject')} of run {outlook.run_id}: "
        f"{outlook.mapped:,} can be mapped now, {outlook.rejected:,} still cannot.",
        *(f"{number:,} not replayed: {why}." for why, number in outlook.left_out),
    ]


def _sum_up(done: Replayed, counts: MergeCounts) -> str:
    parts = [
        f"{counts.inserted:,} inserted",
        f"{counts.updated:,} updated",
        f"{counts.reactivated:,} reactivated",
        f"{counts.unchanged:,} unchanged",
    ]
    if counts.stale:
        parts.append(f"{counts.stale:,} left as they are (written since)")
    if counts.kept:
        parts.append(f"{counts.kept:,} kept otherwise by a trigger of the table")
    if done.refused:
        parts.append(f"{done.refused:,} refused by PostgreSQL")
    return f"Replayed as run {done.replay_run_id}: {', '.join(parts)}."
