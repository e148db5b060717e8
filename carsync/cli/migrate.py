"""`carsync migrate`: create or adopt the tables, and say what was done."""

from __future__ import annotations

import json
from contextlib import closing

import click

from carsync.cli import console
from carsync.cli.options import ConfigSource, config_options
from carsync.destination import migrations, privileges
from carsync.mapping.mapper import Mapper, target_columns
from carsync.postgres.connect import open_database


@click.command()
@config_options
@click.option(
    "--grant",
    "readers",
    multiple=True,
    metavar="ROLE",
    help="Let ROLE read carsync.price_history and carsync.car_history (repeatable).",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was done as a JSON array.")
def migrate(source: ConfigSource, readers: tuple[str, ...], as_json: bool) -> None:
    """Create or adopt the target table and carsync's own tables.

    Adopts an existing table: adds missing columns, and changes and removes nothing. A
    second `carsync migrate` does nothing. `carsync sync` migrates first, unless
    `database.auto_migrate` is false. With --grant a role may also read what happened to the
    cars, and nothing else of carsync's own schema.

    \b
    Examples:
      carsync migrate --config prod.yaml
      carsync migrate --config prod.yaml --grant site
      DATABASE_URL=… carsync migrate --json
    """
    config = source.load_with_database()
    mapper = Mapper.load(config)
    with closing(open_database(config, "carsync migrate")) as connection:
        done = migrations.migrate(connection, config.target, target_columns(mapper))
        for role in readers:
            done += privileges.grant_history(connection, role)
    if as_json:
        console.show_json(json.dumps(done))
        return
    for sentence in done:
        console.say(sentence)
    if not done:
        console.say("Nothing to do: the schema is up to date.")
