"""`carsync scheduler`: brings runs and workers together."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import click

from carsync.cli.options import ConfigSource, config_options
from carsync.config.validation import is_loopback
from carsync.engine.choice import check_engine, load_cluster


@click.command()
@config_options
@click.option(
    "--listen",
    metavar="HOST:PORT",
    help="Listen at this address.  [default: the port of engine.scheduler, at all addresses]",
)
def scheduler(source: ConfigSource, listen: str | None) -> None:
    """Bring runs and workers together, until stopped.

    The scheduler passes leases to workers and keeps the rate limit of each feed for all of
    them. It holds no key, password or row. Of the configuration it uses engine.scheduler and
    engine.tls alone.

    If it is stopped, runs and workers wait for it and go on when it is back.

    \b
    Examples:
      carsync scheduler --config prod.yaml
      carsync scheduler --set engine.scheduler=tcp://127.0.0.1:8786
    """
    config = ConfigSource(source.path, ("engine.type=dask", *source.overrides)).load()
    check_engine(config)
    address = urlsplit(config.engine.scheduler or "")
    host = str(address.hostname) if is_loopback(str(address.hostname)) else "0.0.0.0"
    nodes: Any = load_cluster("nodes")
    nodes.run_scheduler(config.engine, f"{address.scheme}://{listen or f'{host}:{address.port}'}")
