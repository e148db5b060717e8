"""Which engine carries a run out: `engine.type`."""

from __future__ import annotations

import importlib
from types import ModuleType

from carsync.config.sections import Config
from carsync.engine.base import Engine, GivenFeed
from carsync.engine.local.fleet import Fleet
from carsync.engine.local.semaphores import refuse_without_semaphores
from carsync.errors import ConfigError
from carsync.model import Column
from carsync.source.auth.token_store import TokenStore


def check_engine(config: Config) -> None:
    """Raise the error for which the engine could not be started on this machine."""
    if config.engine.type == "dask":
        load_cluster("security").security_of(config.engine)
    else:
        refuse_without_semaphores()


def new_engine(
    given: GivenFeed,
    config: Config,
    run_id: int,
    token: str,
    columns: tuple[Column, ...],
    *,
    idle_s: float,
    tokens: TokenStore,
) -> Engine:
    """Build an engine; `given` is the configuration as the file has it, `config` the run's.

    Run 0 stages nothing. `idle_s` and `tokens` are as
    for `Fleet`; workers of a cluster get access tokens of their own.
    """
    if config.engine.type == "local":
        return Fleet(config, run_id, token, columns, idle_s=idle_s, tokens=tokens)
    cluster = load_cluster("cluster")
    engine = cluster.Cluster(given, config, run_id, token, columns, idle_s=idle_s)
    assert isinstance(engine, Engine)
    return engine


def load_cluster(name: str) -> ModuleType:
    """Import a module of the cluster's engine; raise `ConfigError` where Dask is missing."""
    try:
        return importlib.import_module(f"carsync.engine.dask.{name}")
    except ModuleNotFoundError as exc:
        raise ConfigError(
            f"the package {exc.name} is not installed; a cluster needs it",
            hint="pip install 'carsync[cluster]', in the same version on every machine",
        ) from None
