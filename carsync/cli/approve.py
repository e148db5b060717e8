"""`carsync approve`: let a human say yes to deactivations that a run held."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager

import click

from carsync.cli import console
from carsync.cli.console import SHOWN, show_some
from carsync.cli.options import ConfigSource, config_options
from carsync.config.sections import Config
from carsync.deactivation import approval
from carsync.deactivation.approval import Review
from carsync.postgres.connect import open_database, refuse_transaction_pooler
from carsync.postgres.wait import Connection
from carsync.state import target_lock


@click.command()
@config_options
@click.argument("run_id", type=int)
@click.option("--yes", is_flag=True, help="Deactivate without asking.")
@click.option("--dry-run", is_flag=True, help="Show the cars and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print every car and the result as JSON.")
def approve(source: ConfigSource, run_id: int, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Deactivate exactly the cars that run RUN_ID held, after showing them.

    A run with exit code 6 applied all inserts and updates. It did not see the held cars,
    but left them active, because the evidence was not enough or the cap was exceeded. Cars
    that were seen, written or deactivated since are left out and listed. A later merged
    run replaces the held cars of an earlier run. After sync.deactivate.approve_within_h
    hours an approval is refused.

    \b
    Examples:
      carsync approve 17 --config prod.yaml
      carsync approve 17 --dry-run --json | jq .cars
    """
    config = source.load_with_database()
    refuse_transaction_pooler(config)
    which = (config.target, config.sync.source, run_id, config.sync.deactivate.approve_within_h)
    with _locked(config) as connection:
        found = approval.review(connection, *which)
    _show(found)
    done: Review | None = None
    if (ids := [car.id for car in found.to_approve]) and not dry_run:
        if not yes:
            console.ask(f"Deactivate these {len(ids):,} cars?")
        # Nobody is kept waiting while the human thinks: the lock is taken anew.
        with _locked(config) as connection:
            records = config.history.changes_keep_days > 0
            done = approval.approve(connection, *which, ids, records=records)
    tell = _as_json if as_json else _words
    click.echo(tell(run_id, found, done))


@contextmanager
def _locked(config: Config) -> Iterator[Connection]:
    with closing(open_database(config, "carsync approve")) as connection:
        target_lock.acquire(connection, config.target)
        yield connection


def _show(found: Review) -> None:
    show_some([f"{car.id}  {car.title or ''}" for car in found.to_approve])
    if found.left_out:
        click.echo("Left out:", err=True)
        show_some([f"{car.id}  {car.left_out}" for car in found.left_out])


def _words(run_id: int, found: Review, done: Review | None) -> str:
    before = found.approval or (done.approval if done else None)
    if before:
        return (
            f"Run {run_id} was already approved on {before['at']} by {before['by']}: "
            f"{before['deactivated']:,} cars deactivated."
        )
    if done is None:
        return f"{len(found.to_approve):,} cars to approve, {len(found.left_out):,} left out."
    late = [car for car in done.left_out if car not in found.left_out]
    named = "".join(f"\n  {car.id}  {car.left_out}" for car in late[:SHOWN])
    return f"{len(done.to_approve):,} cars deactivated.{named}"


def _as_json(run_id: int, found: Review, done: Review | None) -> str:
    left_out = [*found.left_out, *(done.left_out if done else [])]
    data = {
        "run_id": run_id,
        "held": len(found.cars),
        "cars": [{"id": car.id, "title": car.title} for car in found.to_approve],
        "left_out": [{"id": car.id, "reason": car.left_out} for car in left_out],
        "deactivated": len(done.to_approve) if done else 0,
        "already_approved": found.approval or (done.approval if done else None),
    }
    return json.dumps(data)
