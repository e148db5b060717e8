"""`carsync revert`: take back what one run changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial

import click

from carsync import formatting
from carsync.cli import console
from carsync.cli.console import show_some
from carsync.cli.options import ConfigSource, config_options
from carsync.config.sections import Config
from carsync.destination.undo import UndoCounts
from carsync.errors import CarsyncError
from carsync.model import ROW_ACTIONS, RowAction
from carsync.postgres.connect import open_database
from carsync.reporting.answers.edits import tell_revert
from carsync.reporting.answers.encoding import encode
from carsync.run.edits.revert import NEXT_SYNC, Revert, refusal
from carsync.run.signals import StopSignal


@click.command()
@config_options
@click.argument("run_id", type=int)
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(ROW_ACTIONS),
    help="Take back only changes of this kind (repeatable).  [default: all]",
)
@click.option(
    "--skip-changed",
    is_flag=True,
    help="Leave out rows that were changed since; take back the rest.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be taken back; change nothing.")
@click.option("--yes", is_flag=True, help="Take back without asking.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.pass_context
def revert(
    ctx: click.Context,
    source: ConfigSource,
    run_id: int,
    only: tuple[RowAction, ...],
    skip_changed: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Take back what run RUN_ID changed in the table, exactly.

    Updated cars get their old values, inserted cars are deleted, reactivated cars become
    inactive, and deactivated cars become active. A car that was written since, or to which
    another table refers, is refused and listed. If a car is refused, nothing is changed;
    with --skip-changed only the refused cars stay as they are. A revert is itself a run and
    can be reverted. Changes are kept for history.changes_keep_days days. The next sync
    makes the same changes again, unless the feed or the configuration changes.

    \b
    Examples:
      carsync revert 17 --config prod.yaml --dry-run
      carsync revert 17 --only deactivated --yes
      carsync revert 17 --skip-changed --json | jq .refused

    \b
    Exit codes: 0 done, or nothing to do · 2 refused, nothing was changed · 4 database ·
    75 another run holds the lock · 130/143 stopped by SIGINT/SIGTERM, nothing was changed
    """
    config = source.load_with_database()
    stop = StopSignal()
    session = partial(_session, config, stop, run_id, only or ROW_ACTIONS)
    with session() as revert:
        found = revert.look()
    if not (dry_run and as_json):
        _show_refused(run_id, found, err=not dry_run)
    refused = bool(found.refused) and not skip_changed
    by: int | None = None
    if found.total and not refused and not dry_run:
        if not yes:
            console.ask(f"Take back {formatting.plural(found.total, 'change')}?")
        # Nobody is kept waiting while the human thinks: the lock is taken anew.
        with session() as revert:
            by, found = revert.carry_out(skip_changed=skip_changed, stop=stop)
    error = refusal(run_id, found) if refused else None
    if as_json:
        answer = tell_revert(run_id, by, found, dry_run, error)
        console.show_json(encode(answer))
        ctx.exit(int(error.exit_code) if error else 0)
    elif error:
        raise error
    else:
        console.say(*_words(run_id, by, found))


@contextmanager
def _session(
    config: Config, stop: StopSignal, run_id: int, actions: tuple[RowAction, ...]
) -> Iterator[Revert]:
    """Give the revert over a connection of its own; the first signal cancels its statement."""
    with (
        stop.listening(),
        closing(open_database(config, "carsync revert", lambda: stop.requested)) as connection,
    ):
        try:
            yield Revert(config, connection, run_id, actions)
        except CarsyncError as exc:
            if stop.requested:
                console.tell_error(
                    f"stopped: {exc.problem}", exc.detail, exc.hint, exit_code=stop.exit_code
                )
                raise SystemExit(int(stop.exit_code)) from exc
            raise


def _show_refused(run_id: int, found: UndoCounts, *, err: bool) -> None:
    if found.refused:
        reasons = Counter(line.reason for line in found.refused)
        changes = formatting.plural(len(found.refused), "change")
        console.say(f"{changes} of run {run_id} cannot be taken back:", err=err)
        show_some([f"{number:>8,}  {reason}" for reason, number in reasons.most_common()], err=err)
        show_some([f"{line.id}  {line.action}, {line.reason}" for line in found.refused], err=err)


def _words(run_id: int, by: int | None, found: UndoCounts) -> list[str]:
    if not found.total:
        return [f"Run {run_id} changed nothing that can be taken back."]
    counts = found.counts
    parts = [
        f"{formatting.plural(number, noun)} {what}"
        for noun, what, number in (
            ("updated car", "restored", counts.updated),
            ("inserted car", "deleted", counts.deleted),
            ("car", "active again", counts.reactivated),
            ("car", "inactive again", counts.deactivated),
            ("deleted car", "inserted", counts.inserted),
        )
        if number
    ]
    what = ", ".join(parts) or "no car"
    notes = []
    if found.before:
        notes.append(f"note: {formatting.plural(found.before, 'car')} taken back before")
    if found.rewritten:
        columns = ", ".join(found.rewritten)
        notes.append(f"note: not restored, because a trigger of the table writes it: {columns}")
    if by is None:
        said = f"Dry run, nothing was changed. To take run {run_id} back means: {what}."
        return [said, *notes]
    return [f"Run {run_id} is taken back by run {by}: {what}.", *notes, f"hint: {NEXT_SYNC}"]
