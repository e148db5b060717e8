"""The whole examination, part by part: a part that fails never hides the next one."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import get_args

from msgspec import Struct
from msgspec.structs import replace

from carsync import formatting
from carsync.config.dsn import place_of, places
from carsync.config.environment import supabase_hint
from carsync.config.mapping_sections import HashAlgorithm
from carsync.config.presets.loader import with_algorithm
from carsync.config.sections import Config
from carsync.doctor import (
    change_checks,
    change_facts,
    config_checks,
    end_checks,
    end_facts,
    feed_checks,
    feed_facts,
    machine_checks,
    machine_facts,
    record_checks,
    record_facts,
    server_checks,
    server_facts,
    table_checks,
    way_checks,
    way_facts,
)
from carsync.doctor.cluster import facts as cluster
from carsync.doctor.config_checks import Origin
from carsync.doctor.feed_asker import FeedAsker
from carsync.doctor.feed_checks import FirstPage
from carsync.doctor.findings import Findings, Group, words
from carsync.errors import CarsyncError, ConfigError, PageError
from carsync.exit_codes import ExitCode
from carsync.mapping.mapper import Mapper, target_columns
from carsync.model import PARENT_SESSIONS, PageInfo
from carsync.postgres.wait import Connection
from carsync.source.pagination.base import load_paginator
from carsync.source.pagination.lists import FeedLists
from carsync.source.single_page import Pacer, ask_page

Hashes = Mapping[str, Mapping[str, str]]
"""The hashes of the first page: algorithm → id → hash."""
Removed = Sequence[tuple[str, datetime]]
"""Cars with a tombstone, each with the time when it went."""


class Sample(Struct, frozen=True):
    """What the feed gave to compare the table with; None and none where it gave nothing."""

    hashes: Hashes | None = None
    removed: Removed = ()


def examine(
    config: Config, origin: Origin, checkpoint: Path | None, announce: Callable[[str], None]
) -> list[Group]:
    """Examine everything and return the findings by group, in the order of a run's needs.

    `checkpoint` is None where its place is not known. `announce` is called with the title of
    each part, which may take seconds, before the part begins. Nothing is changed: a file
    is written beside the checkpoint and removed, a few requests go to the API, and the
    database session is read-only. Faults of machine, API and database become findings.
    """
    announce("configuration")
    found, mapper = Findings(ExitCode.CONFIG), None
    found.all += config_checks.judge(config, origin)
    try:
        mapper = Mapper.load(config, load_paginator(config.api).paths)
    except CarsyncError as exc:
        found.failed("mapping", exc)
    groups = [Group("configuration", tuple(found.all))]
    announce("this machine")
    facts = machine_facts.gather(checkpoint, place_of(config))
    groups.append(Group("this machine", tuple(machine_checks.judge(config, facts))))
    announce("API")
    pacer = Pacer(config.limits)
    found, sample = _examine_feed(config, mapper, pacer, is_busy=facts.is_locked)
    groups.append(Group("API", tuple(found.all)))
    announce("database")
    groups += _examine_database(config, mapper, sample)
    if config.engine.type == "dask":
        announce("cluster")
        found = Findings(ExitCode.WORKERS)
        busy = "a run is in progress" if facts.is_locked else ""
        cluster.examine(found, config, mapper, pacer, busy)
        groups.append(Group("cluster", tuple(found.all)))
    return groups


def nothing_but(fault: CarsyncError) -> list[Group]:
    """Return the findings for a configuration that cannot be read."""
    found = Findings(ExitCode.CONFIG)
    found.failed("configuration", fault)
    groups = [Group("configuration", tuple(found.all))]
    parts = {"API": feed_checks, "database": server_checks, "tables": table_checks}
    for title, checks in parts.items():
        found = Findings(ExitCode.CONFIG)
        found.skip(checks.CHECKS, "the configuration cannot be read")
        groups.append(Group(title, tuple(found.all)))
    return groups


def _examine_feed(
    config: Config, mapper: Mapper | None, pacer: Pacer, *, is_busy: bool
) -> tuple[Findings, Sample]:
    """Judge the feed; return the findings, and what it gave to compare the table with."""
    found = Findings(ExitCode.API)
    try:
        config.require_api()
    except ConfigError as exc:
        if not config.api.base_url:
            found.failed("address", exc)
        found.skip(feed_checks.CHECKS, exc.problem)
        return found, Sample()
    if not _reach(found, config):
        found.skip(feed_checks.CHECKS, "the API is not reached")
        return found, Sample()
    if is_busy and config.limits.requests_per_second:
        found.skip(
            feed_checks.CHECKS,
            "the run in progress uses the whole rate limit; `carsync status` shows how the "
            "API answers",
        )
        return found, Sample()
    try:
        answer = ask_page(config.api, pacer=pacer)
    except PageError as exc:
        feed_checks.judge_failure(found, exc)
        found.skip(feed_checks.ANSWER, "the API returned no page")
        return found, Sample()
    page = feed_facts.look_at(config, mapper, answer)
    why = "no record has an id"
    if mapper is None:
        why = "the mapping cannot be compiled"
        found.skip(feed_checks.PAGE, why)
    else:
        feed_checks.judge_page(found, config, page)
        if not page.records:
            why = "the first page is empty" if page.fault is None else "the answer is not a page"
            found.skip(feed_checks.PAGE, why)
    feed_checks.judge_skew(found, page.skew_s)
    hashes = _hashes(config, answer.body) if page.mapped else None
    if page.ids:
        return found, Sample(hashes, _try_claims(found, config, page, pacer))
    found.skip(feed_checks.CLAIMS, why)
    return found, Sample(hashes)


def _try_claims(found: Findings, config: Config, page: FirstPage, pacer: Pacer) -> Removed:
    """Try by a few more requests what the feed says of its ends, of single cars, of changes.

    Returns the removed cars.
    """
    asker = FeedAsker(config, pacer)
    rules, paginator, ids = config.api.pagination, load_paginator(config.api), frozenset(page.ids)
    info = PageInfo(page.pages, page.total, page.next_token, page.has_more)
    repeat_hint = paginator.repeat_hint
    if page.paging is not None and page.paging.type != rules.type:
        keys = feed_checks.describe_paging(page.paging).items()
        looks = ", ".join(f"{key}: {value}" for key, value in keys)
        repeat_hint += f"{'; or ' * bool(repeat_hint)}set api.pagination: {{{looks}}}, by its look"
    if (ends := end_facts.try_ends(asker, ids, page.records, info)) is not None:
        end_checks.judge(found, rules, ends, repeat_hint)
    if (following := end_facts.try_next(asker, ids, page.records, info)) is not None:
        end_checks.judge_next(found, rules, following, paginator.next_key, repeat_hint)
    record = config.api.record
    if record is None:
        found.ok(record_checks.NAME, "not asked (api.record: null)")
    elif page.by_id is None:
        seen = f"no record of the first page has all values of {record.path}"
        found.warn(record_checks.NAME, seen, "set api.record.path to columns that cars have")
    else:
        try:
            record_checks.judge(found, record_facts.try_records(asker, record, *page.by_id))
        except PageError as exc:
            found.warn(record_checks.NAME, words(exc), exc.hint)
    removed = _try_delta(found, asker, page)
    asked = f"the API was asked {formatting.plural(asker.requests, 'time')}"
    if names := FeedLists(config.api).names:
        asked += (
            f", for the first list alone ({names[0]}, of {formatting.plural(len(names), 'list')})"
        )
    found.ok("requests", asked)
    return removed


def _try_delta(found: Findings, asker: FeedAsker, page: FirstPage) -> Removed:
    """Try what the API tells of changes; return the removed cars of its first tombstones."""
    api, now = asker.config.api, change_facts.api_time(page.skew_s)
    if api.window.param is not None:
        change_checks.judge_window(found, api.window, page, change_facts.try_window(asker, now))
    if api.removals.path is None:
        return ()
    facts = change_facts.try_removals(asker, now)
    change_checks.judge_removals(found, api.removals.path, facts)
    return facts.times


def _reach(found: Findings, config: Config) -> bool:
    """Judge name and TLS; say whether a request can reach the API."""
    assert config.api.base_url is not None
    host, port, is_tls = way_facts.host_of(config.api.base_url)
    if config.api.proxy is not None:
        found.skip(way_checks.WAY, "a proxy (api.proxy) makes the connection")
        return True
    within_s = min(config.api.timeout.connect_s, 10.0)
    lookup = way_facts.resolve(host, port, within_s)
    if not way_checks.judge_lookup(found, lookup):
        found.skip(way_checks.WAY, "the host has no address")
        return False
    if not is_tls:
        is_local = all(ipaddress.ip_address(each).is_loopback for each in lookup.addresses)
        way_checks.judge_plain_http(found, config, is_local=is_local)
        return True
    certificate = way_facts.read_certificate(host, port, config.api, within_s)
    way_checks.judge_certificate(found, certificate)
    return not certificate.error


def _hashes(config: Config, body: bytes) -> Hashes:
    found = {}
    for algorithm in get_args(HashAlgorithm):
        rules = with_algorithm(config.mapping, algorithm)
        content = Mapper.load(replace(config, mapping=rules)).map_page(body)
        found[algorithm] = {str(row[1]): str(row[-1]) for row in content.rows}
    return found


def _examine_database(config: Config, mapper: Mapper | None, sample: Sample) -> list[Group]:
    found, judged = Findings(ExitCode.DATABASE), Findings(ExitCode.DATABASE)
    because = _reach_server(found, config)
    if not because:
        try:
            with server_facts.read_only(config) as connection:
                _judge_server(found, connection, config)
                _judge_tables(judged, connection, config, mapper, sample)
        except CarsyncError as exc:
            # What was judged so far stands; the rest is not known.
            (found if found.missing(server_checks.CHECKS) else judged).failed("session", exc)
            because = "the database session failed"
    if because:
        found.skip(server_checks.CHECKS, because)
        judged.skip(table_checks.CHECKS, because)
    return [Group("database", tuple(found.all)), Group("tables", tuple(judged.all))]


def _reach_server(found: Findings, config: Config) -> str:
    """Judge the way to the server; return why no more can be asked, empty if more can be.

    libpq decides whether the server is reached: what is found here may lack a service file's
    host, a hostaddr, or a name that only libpq knows, and says no more than why it failed.
    """
    try:
        dsn = config.require_dsn()
    except ConfigError as exc:
        hint = supabase_hint(os.environ) or exc.hint
        found.failed("address", ConfigError(exc.problem, hint=hint))
        return "database.dsn is not set"
    trials = []
    for where in places(dsn.reveal()):
        trial = Findings(ExitCode.DATABASE)
        endpoint = server_facts.find_endpoint(*where)
        trials.append((server_checks.judge_endpoint(trial, endpoint), trial))
    # Of several hosts libpq takes the first that answers.
    reached, best = next((trial for trial in trials if trial[0]), trials[0])
    if not best.missing(["endpoint"]):
        found.all += best.all
        return "the server is not reached"
    try:
        shares = server_facts.is_transaction_pooler(config)
    except CarsyncError as exc:
        found.all += best.all
        if not reached:
            return "the server is not reached"
        found.failed("login", exc)
        return "the login failed"
    if reached:
        found.all += best.all
    else:
        found.ok("address", "the connection string leads to a server")
    if shares:
        found.problem(
            "endpoint",
            "a connection pooler in transaction mode: connections share server sessions, so locks "
            "do not hold",
            "connect directly or through a pooler in session mode (on Supabase the Session "
            "pooler, port 5432 instead of 6543)",
            ExitCode.CONFIG,
        )
        return "nothing may be set in the sessions of a transaction pooler"
    return ""


def _judge_server(found: Findings, connection: Connection, config: Config) -> None:
    facts = server_facts.describe_server(connection)
    host = places(config.require_dsn().reveal())[0][0]
    server_checks.judge_kind(found, host, facts)
    server_checks.judge_server(found, facts)
    opened, refused = 1, ""
    writers = config.database.writers if config.engine.type == "local" else 0
    if facts.pooled:
        opened, refused = server_facts.count_sessions(config, writers + PARENT_SESSIONS)
    server_checks.judge_connections(found, facts, writers, opened, refused)


def _judge_tables(
    found: Findings,
    connection: Connection,
    config: Config,
    mapper: Mapper | None,
    sample: Sample,
) -> None:
    target = config.target
    held = server_facts.describe_privileges(connection, target)
    columns = target_columns(mapper) if mapper is not None else ()
    facts = server_facts.describe_tables(connection, config, target, columns)
    pending = facts.pending if facts.error is None else None
    table_checks.judge_privileges(found, str(target), held, pending)
    is_usable = table_checks.judge_tables(found, config, str(target), facts)
    if is_usable and mapper is None:
        found.skip(["hashes"], "the mapping cannot be compiled")
    elif is_usable and mapper is not None:
        overlap = None
        if sample.hashes and facts.rows is not None:
            overlap = server_facts.compare(connection, target, config.sync.source, sample.hashes)
        table_checks.judge_hashes(found, facts, mapper.hash_scheme, overlap, config.sync.source)
    if is_usable and not pending and sample.removed:
        asked = server_facts.since_full(connection, target, config.sync.source, sample.removed)
        compared = server_facts.compare(connection, target, config.sync.source, {"": asked})
        change_checks.judge_known(found, asked, compared.known)
    table_checks.judge_budget(found, server_facts.read_budget(connection, config))
    table_checks.judge_runs(found, facts)
