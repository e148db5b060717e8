"""Looks at the cluster: a handshake of our own, then the scheduler and the workers, in time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from carsync.config.sections import Config
from carsync.doctor.cluster import checks
from carsync.doctor.cluster.checks import ClusterFacts
from carsync.doctor.findings import Findings
from carsync.engine.base import GivenFeed
from carsync.engine.choice import check_engine, load_cluster
from carsync.engine.cluster_tls import Handshake, read_own, shake_hands
from carsync.engine.cluster_view import DatabaseView, Examined, WorkerView
from carsync.errors import ConfigError, PageError
from carsync.mapping.mapper import Mapper
from carsync.run.fingerprints import fingerprints
from carsync.source.single_page import Pacer

REACH_S = 5.0
MOST_S = 90.0
"""Workers that were not looked at by then are told as such."""


def examine(
    found: Findings, config: Config, mapper: Mapper | None, pacer: Pacer, busy: str
) -> None:
    """Judge the cluster; `busy` says why workers do not ask the API, empty: they do."""
    try:
        check_engine(config)
    except ConfigError as exc:
        found.failed("cluster", exc)
        found.skip(checks.CHECKS, exc.problem)
        return
    handshake = _reach(found, config)
    if handshake is None:
        found.skip(checks.CHECKS, "the scheduler is not reached")
    elif mapper is None:
        found.skip(checks.CHECKS, "the mapping cannot be compiled")
    else:
        given = GivenFeed(config, fingerprints(config, mapper))
        try:
            _ask(found, given, handshake, pacer, busy)
        except (OSError, ValueError) as exc:
            found.problem(
                "scheduler",
                f"{config.engine.scheduler}: no scheduler answers ({exc or type(exc).__name__})",
                "look at the log of `carsync scheduler`; another program may have the port",
            )
            found.skip(checks.CHECKS, "the scheduler does not answer")


def _reach(found: Findings, config: Config) -> Handshake | None:
    engine = config.engine
    where = urlsplit(engine.scheduler or "")
    tls = engine.tls if where.scheme == "tls" else None
    if tls is None:
        found.ok("certificate", "none (tcp://), within this machine")
    elif not checks.judge_own(found, read_own(tls)):
        return None
    seen = shake_hands(where.hostname or "", where.port or 0, tls, REACH_S)
    return seen if checks.judge_handshake(found, engine.scheduler or "", seen) else None


def _ask(found: Findings, given: GivenFeed, handshake: Handshake, pacer: Pacer, busy: str) -> None:
    module: Any = load_cluster("examination")
    config, own = given.config, load_cluster("offers").versions()
    with module.Examination(given) as examination:
        view = examination.scheduler()
        checks.judge_scheduler(found, config.engine.scheduler or "", handshake, view, own)
        if view.is_busy:
            busy = busy or "a run of the feed is at work in the cluster"
        database: DatabaseView = (
            DatabaseView("no dsn")
            if config.database.dsn is None
            else module.try_database(config, "")
        )
        facts = _look_at_workers(examination, database, pacer, busy)
    checks.judge_workers(found, facts, config.limits.concurrency)
    found.skip(checks.CHECKS, "no worker fits")


def _look_at_workers(
    examination: Any, database: DatabaseView, pacer: Pacer, busy: str
) -> ClusterFacts:
    workers: list[WorkerView] = examination.workers()
    fit = [each for each in workers if not each.misfit]
    first = {each.service: each for each in reversed(fit)}  # one speaks for all of its service
    until_s = time.monotonic() + MOST_S
    clocks = {each.name: _in_time(until_s, examination.clock, each) for each in first.values()}
    looks = {}
    for each in first.values():
        asks_api = not busy and _may_ask(pacer)
        looks[each.name] = _in_time(
            until_s, examination.look_out, each, database.role, asks_api=asks_api
        )
    return ClusterFacts(workers, clocks, looks, database, busy)


def _may_ask(pacer: Pacer) -> bool:
    try:
        pacer.admit()
    except PageError:
        return False
    return True


def _in_time(until_s: float, look: Callable[..., Examined], *args: Any, **more: Any) -> Examined:
    if time.monotonic() > until_s:
        return Examined("not looked at: the others took too long")
    return look(*args, **more)
