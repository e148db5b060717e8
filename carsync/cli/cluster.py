"""`carsync worker` and `carsync scheduler`: the standing processes of a cluster."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from carsync.cli.options import ConfigSource, config_options
from carsync.config.sections import Config
from carsync.config.validation import is_loopback
from carsync.engine.base import GivenFeed
from carsync.engine.choice import check_engine, load_cluster
from carsync.mapping.mapper import Mapper
from carsync.run.fingerprints import fingerprints
from carsync.source.certificates import check_certificates


@click.command()
@click.option(
    "-c",
    "--config",
    "files",
    metavar="FILE",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="Configuration of a feed; the same file as for `carsync sync` (repeatable).",
)
@click.option(
    "--scheduler", metavar="URL", help="The scheduler's address; wins over engine.scheduler."
)
@click.option(
    "--label",
    "labels",
    metavar="LABEL",
    multiple=True,
    help="Take the leases of feeds with this engine.label, too (repeatable).",
)
@click.option(
    "--processes",
    metavar="N",
    type=click.IntRange(1, 64),
    help="Worker processes.  [default: one per core]",
)
@click.option(
    "--threads",
    metavar="N",
    type=click.IntRange(1, 256),
    default=16,
    show_default=True,
    help="Requests at once in each process.",
)
def worker(
    files: tuple[Path, ...],
    scheduler: str | None,
    labels: tuple[str, ...],
    processes: int | None,
    threads: int,
) -> None:
    """Work for runs whose engine.type is dask, until stopped.

    A worker asks the API, maps the records and stages them over a database connection of its
    own. It reads its keys and passwords itself, from the environment or $CREDENTIALS_DIRECTORY.
    No secret crosses the cluster. It takes work only from runs with the same version of carsync
    and the same feed and mapping.

    If the scheduler is away, the worker tries again until it is back. A worker that is stopped
    or killed loses its leases. The run hands them to other workers.

    \b
    Examples:
      carsync worker --config prod.yaml
      carsync worker --config prod.yaml --scheduler tls://10.0.0.5:8786 --label egress-a
      carsync worker --config north.yaml --config south.yaml --processes 2 --threads 8

    \b
    Exit codes: 0 stopped by SIGTERM or SIGINT · 2 configuration, or no `distributed`
    """
    paths = [str(path.absolute()) for path in files]
    wanted = ["engine.type=dask", *([f"engine.scheduler={scheduler}"] if scheduler else [])]
    config = ConfigSource(files[0], tuple(wanted)).load()
    check_engine(config)
    read_feeds(paths, labels)  # what is wrong is told here, before a process is started
    nodes: Any = load_cluster("nodes")
    task: Any = load_cluster("task")
    nodes.run_worker(
        config.engine,
        task.FeedsPlugin(read_feeds, paths, labels),
        processes=processes or os.cpu_count() or 1,
        threads=threads,
    )


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
    them. It holds no key and no password. Of the configuration it uses engine.scheduler and
    engine.tls alone.

    If it is stopped, runs and workers wait for it and go on when it is back.

    \b
    Examples:
      carsync scheduler --config prod.yaml
      carsync scheduler --set engine.scheduler=tcp://127.0.0.1:8786
      carsync scheduler --config prod.yaml --listen 10.0.0.5:8786

    \b
    Exit codes: 0 stopped by SIGTERM or SIGINT · 2 configuration, no `distributed`, or
    an address where it cannot listen
    """
    config = ConfigSource(source.path, ("engine.type=dask", *source.overrides)).load()
    check_engine(config)
    address = urlsplit(config.engine.scheduler or "")
    at = address.netloc if is_loopback(str(address.hostname)) else f":{address.port}"
    nodes: Any = load_cluster("nodes")
    nodes.run_scheduler(config.engine, f"{address.scheme}://{listen or at}")


def read_feeds(files: Sequence[str], labels: Sequence[str]) -> list[tuple[Any, Config]]:
    """Read configuration files; return each with what a worker with these labels offers."""
    offers: Any = load_cluster("offers")
    feeds = []
    for file in files:
        config = ConfigSource(Path(file)).load_with_database()
        config.require_api()
        check_certificates(config.api)
        given = GivenFeed(config, fingerprints(config, Mapper.load(config)))
        feeds.append((offers.Offer.of(given, tuple(labels)), config))
    return feeds
