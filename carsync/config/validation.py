"""Checks that types cannot make: addresses that lead nowhere, keys that contradict each other."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from carsync.config.api_validation import HEADER_VALUE, check_api, split_url
from carsync.config.dsn import check_dsn
from carsync.config.lists import check_lists, combine
from carsync.config.sections import Config, EngineRules
from carsync.errors import ConfigError


def check_relations(config: Config) -> None:
    """Check URLs, the connection string, and keys against each other; raise `ConfigError`."""
    check_api(config)
    for key in ("url", "ping_url", "incremental_ping_url"):
        if (url := getattr(config.notify, key)) is not None:
            _check_notify_url(f"notify.{key}", url.reveal())
    checkpoint = config.checkpoint.path
    if checkpoint is not None and not checkpoint.strip("/."):
        raise ConfigError(
            "checkpoint.path names no file",
            detail=f"its value is {checkpoint!r}",
            hint="e.g. /var/lib/carsync/cars.json; leave it out for a file in the state folder",
        )
    textfile = config.metrics.textfile
    if textfile is not None and not textfile.endswith(".prom"):
        raise ConfigError(
            "metrics.textfile must end in .prom",
            detail=f"its value is {textfile!r}; node_exporter reads no other files",
            hint="e.g. /var/lib/prometheus/node-exporter/carsync.prom",
        )
    if config.database.dsn is not None:
        check_dsn(config.database.dsn.reveal())
    check_lists(config.api)
    _check_engine(config.engine)
    _check_listed_columns(config)
    processes = config.limits.fetcher_processes
    if processes is not None and processes > config.limits.concurrency:
        raise ConfigError(
            "limits.fetcher_processes is greater than limits.concurrency",
            detail=f"{processes} > {config.limits.concurrency}",
            hint="each process runs at least one request at a time",
        )


def _check_engine(engine: EngineRules) -> None:
    if engine.scheduler is None:
        if engine.type == "dask":
            raise ConfigError(
                "engine.scheduler is not set",
                detail="engine.type is dask",
                hint="the address of `carsync scheduler`, e.g. tls://10.0.0.5:8786",
            )
        return
    try:
        parts = urlsplit(engine.scheduler)
        is_address = parts.scheme in {"tls", "tcp"} and bool(parts.hostname) and bool(parts.port)
    except ValueError:
        is_address = False
    if not is_address or parts.path.strip("/") or parts.query or parts.username:
        raise ConfigError(
            "engine.scheduler is no address of a scheduler",
            hint="it looks like tls://10.0.0.5:8786",
        )
    tls = engine.tls
    missing = [f"engine.tls.{name}" for name in ("ca", "cert", "key") if not getattr(tls, name)]
    if parts.scheme == "tls" and missing:
        raise ConfigError(
            f"{missing[0]} is not set",
            detail=f"engine.scheduler is {engine.scheduler}",
            hint="docs/cluster.md shows how to make the certificates",
        )
    if parts.scheme == "tcp" and not is_loopback(parts.hostname or ""):
        raise ConfigError(
            "engine.scheduler is reached without TLS over a network",
            detail=f"engine.scheduler is {engine.scheduler}",
            hint="use tls:// and set engine.tls: whoever reaches the scheduler can run any program "
            "on its workers",
        )


def is_loopback(host: str) -> bool:
    """Say whether a host's name or address is this very machine's.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost"), is_loopback("db1")
    (True, True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_listed_columns(config: Config) -> None:
    known = {name for values in combine(config.api.lists) for name in values}
    for column, rule in config.mapping.columns.items():
        if rule is not None and rule.list_ is not None and rule.list_ not in known:
            raise ConfigError(
                f"mapping.columns.{column}.list names {rule.list_}, which is no parameter of "
                "api.lists",
                hint=f"its parameters are {', '.join(sorted(known))}" if known else "",
            )


def _check_notify_url(key: str, url: str) -> None:
    """Refuse what is no address of a web hook; the error quotes nothing, since all is secret."""
    if split_url(url) is None or not HEADER_VALUE.fullmatch(url):
        raise ConfigError(
            f"{key} is not an http(s) URL",
            hint="it looks like https://hooks.slack.com/services/… or https://hc-ping.com/…",
        )
