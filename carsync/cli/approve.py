"""`carsync approve`: let a human say yes to deactivations, or to a whole run, that were held."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import click
from msgspec.structs import replace

from carsync import formatting
from carsync.cli import console
from carsync.cli.console import SHOWN, show_some
from carsync.cli.options import ConfigSource, checkpoint_path, config_options
from carsync.config.sections import Config
from carsync.deactivation import approval
from carsync.deactivation.approval import HeldCar, Review
from carsync.errors import ApprovalError
from carsync.model import MergeCounts
from carsync.postgres.connect import open_database
from carsync.postgres.wait import Connection
from carsync.reporting.answers.edits import tell_approval, tell_held_run
from carsync.reporting.answers.encoding import encode
from carsync.run import held_run
from carsync.run.edits.ask_again import AskedAgain, ask_again, why_not_asked
from carsync.run.held_run import HeldRun
from carsync.run.signals import StopSignal
from carsync.state import runs, target_lock
from carsync.state.runs import Run

MOST_CHARS = 60
"""A value is shown for people up to this length."""


@click.command()
@config_options
@click.argument("run_id", type=int)
@click.option("--yes", is_flag=True, help="Deactivate, or merge, without asking.")
@click.option("--dry-run", is_flag=True, help="Show what would change and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print every car and the result as JSON.")
def approve(source: ConfigSource, run_id: int, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Approve exactly what run RUN_ID held, after showing it.

    A run with exit code 6 usually inserted and updated all cars, but left cars active that it
    did not see: they were not proved gone, or they are more than the caps allow. approve
    deactivates these cars. Cars that were seen, written or deactivated since are left out and
    listed. Where by-id requests are configured, the API is asked for each held car first; a
    car that it still has is left out too. You are told what the API did not confirm; then
    your answer, or --yes, decides. After sync.deactivate.approve_within_h hours an approval is
    refused.

    If too many values changed at once (sync.plausible), the run merged nothing. Then approve
    shows the columns, with five examples each, and merges all that the run read.

    A later run replaces what an earlier one held.

    \b
    Examples:
      carsync approve 17 --config prod.yaml
      carsync approve 17 --dry-run --json | jq .cars
    """
    config = source.load_with_database()
    with _locked(config) as connection:
        run = runs.require_run(connection, config.target, config.sync.source, run_id, ApprovalError)
        held = held_run.review(config, connection, run) if held_run.is_held_whole(run) else None
    if held is None:
        _approve_deactivations(config, run_id, yes=yes, dry_run=dry_run, as_json=as_json)
    else:
        _approve_run(config, held, yes=yes, dry_run=dry_run, as_json=as_json)


@contextmanager
def _locked(config: Config) -> Iterator[Connection]:
    """Open a connection that holds the target's lock; nobody waits while the human thinks."""
    with closing(open_database(config, "carsync approve")) as connection:
        target_lock.acquire(connection, config.target)
        yield connection


# ── deactivations ────────────────────────────────────────────────────────────


def _approve_deactivations(
    config: Config, run_id: int, *, yes: bool, dry_run: bool, as_json: bool
) -> None:
    which = (config.target, config.sync.source, run_id, config.sync.deactivate.approve_within_h)
    with _locked(config) as connection:
        found = approval.review(connection, *which)
    asked: AskedAgain | None = None
    if ids := [car.id for car in found.to_approve]:
        asked = _ask_again(config, ids)
        found = _without_living(found, asked)
        ids = [car.id for car in found.to_approve]
    if not (dry_run and as_json):
        _show_cars(found, err=not dry_run)
    if asked is not None:
        _tell_asked(asked, len(ids))
    done: Review | None = None
    if ids and not dry_run:
        if not yes:
            console.ask(f"Deactivate {formatting.plural(len(ids), 'car')}?")
        with _locked(config) as connection:
            records = config.history.changes_keep_days > 0
            done = approval.approve(connection, *which, ids, records=records)
    if as_json:
        console.show_json(encode(tell_approval(run_id, found, done, asked)))
    else:
        console.say(*_words(run_id, found, done))


def _ask_again(config: Config, ids: list[str]) -> AskedAgain:
    """Ask the API for the held cars; a signal ends the command with nothing changed."""
    if not why_not_asked(config):
        many = min(len(ids), config.sync.deactivate.max_probes)
        rate = config.limits.requests_per_second
        speed = f", at most {rate:g} a second" if rate else ""
        console.warn(
            f"Asking the API by id for {formatting.plural(many, 'held car')}{speed}; "
            "Ctrl-C changes nothing."
        )
    stop = StopSignal()
    with stop.listening():
        asked = ask_again(config, checkpoint_path(config), ids, stop)
    if stop.requested:
        console.tell_error("stopped; nothing was changed", exit_code=stop.exit_code)
        raise SystemExit(int(stop.exit_code))
    return asked


def _without_living(found: Review, asked: AskedAgain) -> Review:
    """Take the cars that the API knows out of the set."""

    def judge(car: HeldCar) -> HeldCar:
        if car.left_out or (signs := asked.alive.get(car.id)) is None:
            return car
        words = "the API, asked by id, still has it"
        if signs:
            words += f", with {signs} (if that means gone: api.record.gone_when)"
        return replace(car, left_out=words)

    return replace(found, cars=tuple(map(judge, found.cars)))


def _tell_asked(asked: AskedAgain, to_approve: int) -> None:
    """Say what the API did not confirm: there the operator's answer alone decides."""
    if asked.unclear:
        why = asked.objection or "it gave no clear answer for them"
        console.warn(
            f"The API has not confirmed of {formatting.part(asked.unclear, to_approve, 'car')} "
            f"that it is gone: {why}. Only your answer decides."
        )
    elif asked.gone:
        cars = formatting.plural(asked.gone, "car", "is", "are")
        console.warn(f"The API, asked by id, confirms that {cars} gone.")


def _show_cars(found: Review, *, err: bool) -> None:
    show_some([f"{car.id}  {car.title or ''}" for car in found.to_approve], err=err)
    if found.left_out:
        console.say("Left out:", err=err)
        show_some([f"{car.id}  {car.left_out}" for car in found.left_out], err=err)


def _words(run_id: int, found: Review, done: Review | None) -> list[str]:
    before = found.approval or (done.approval if done else None)
    if before:
        return [
            f"Run {run_id} was already approved on {before['at']} by {before['by']}: "
            f"{formatting.plural(before['deactivated'], 'car')} deactivated."
        ]
    if done is None:
        held = formatting.plural(len(found.to_approve), "car")
        return [f"{held} to approve, {len(found.left_out):,} left out."]
    late = [car for car in done.left_out if car not in found.left_out]
    named = [f"  {car.id}  {car.left_out}" for car in late[:SHOWN]]
    return [f"{formatting.plural(len(done.to_approve), 'car')} deactivated.", *named]


# ── a whole run ──────────────────────────────────────────────────────────────


def _approve_run(config: Config, held: HeldRun, *, yes: bool, dry_run: bool, as_json: bool) -> None:
    if not as_json:
        _show_columns(held, err=not dry_run)
    counts: MergeCounts | None = None
    if not dry_run:
        if not yes:
            console.ask(f"Merge what run {held.run.run_id} read?")
        with _locked(config) as connection:
            counts = held_run.approve(config, connection, _again(connection, held.run))
    if as_json:
        console.show_json(encode(tell_held_run(held, counts)))
    elif counts is not None:
        console.say(
            f"Run {held.run.run_id} is merged: {formatting.plural(counts.inserted, 'car')} "
            f"inserted, {counts.updated:,} updated, {counts.reactivated:,} reactivated."
        )


def _again(connection: Connection, shown: Run) -> Run:
    run = runs.find_run(connection, shown.run_id)
    if run is None or not held_run.is_held_whole(run):
        raise ApprovalError(f"run {shown.run_id} is no longer held", hint="see `carsync status`")
    return run


def _show_columns(held: HeldRun, *, err: bool) -> None:
    seen = held.forecast
    console.say(
        f"{formatting.plural(seen.ids, 'car', 'was', 'were')} read. Already in the table: "
        f"{seen.known:,}, of which {seen.changed:,} would change. Not read: "
        f"{formatting.plural(seen.absent, 'active car')}.",
        err=err,
    )
    columns = {column.name: column for column in seen.columns}
    for name, examples in held.examples.items():
        changed, emptied = columns[name].changed, columns[name].emptied
        console.say(
            f"{name}: {formatting.plural(changed, 'car')} would change; in {emptied:,} the value "
            "would become empty, or its default",
            err=err,
        )
        show_some(
            [f"{car.id}  {_shown(car.before)} → {_shown(car.after)}" for car in examples], err=err
        )


def _shown(value: str | None) -> str:
    return "(empty)" if value is None else value[:MOST_CHARS]
