"""`carsync approve`: let a human say yes to deactivations that a run held."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import click

from carsync import absences, history
from carsync.cli.loading import config_options, load_config, require_database
from carsync.session import open_database, refuse_transaction_pooler, target_of

SHOWN = 20


@click.command()
@config_options
@click.argument("run_id", type=int)
@click.option("--yes", is_flag=True, help="Deactivate without asking.")
@click.option("--json", "as_json", is_flag=True, help="Print the number deactivated as JSON.")
def approve(
    config_path: Path | None, overrides: tuple[str, ...], run_id: int, yes: bool, as_json: bool
) -> None:
    """Deactivate exactly the cars that run RUN_ID held, after showing them.

    A run that ends with exit code 6 applied all inserts and updates, but left cars
    active although it did not see them, because the evidence was thin or too many would
    have gone. Cars that were seen or written since then are left out.

    \b
    Example:
      carsync approve 17 --config prod.yaml
    """
    config = require_database(load_config(config_path, overrides))
    target = target_of(config)
    source = config.sync.source
    refuse_transaction_pooler(config)
    with closing(open_database(config, "carsync approve")) as connection:
        history.lock(connection, target)
        held = absences.list_held(connection, target, source, run_id)
        for record_id, title in held[:SHOWN]:
            click.echo(f"  {record_id}  {title or ''}", err=True)
        if len(held) > SHOWN:
            click.echo(f"  … and {len(held) - SHOWN:,} more", err=True)
        if held and not yes:
            click.confirm(f"Deactivate these {len(held):,} cars?", abort=True, err=True)
        number = absences.approve(connection, target, source, run_id) if held else 0
    if as_json:
        click.echo(json.dumps({"run_id": run_id, "held": len(held), "deactivated": number}))
    elif held:
        click.echo(f"{number:,} cars deactivated.")
    else:
        click.echo(f"Run {run_id} holds no deactivation.")
