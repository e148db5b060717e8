"""Tries what the API tells of changes: windows of several lengths, and the tombstones."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from carsync.config.lists import REMOVALS_FROM
from carsync.doctor.feed_asker import FeedAsker
from carsync.engine.messages import PageLease
from carsync.errors import PageError
from carsync.mapping.mapper import Mapper
from carsync.mapping.record_match import ids_of
from carsync.model import MATCH, REMOVED_AT
from carsync.source import window
from carsync.source.pagination.base import load_paginator

SHORT = timedelta(minutes=5)
BEYOND = timedelta(hours=1)
"""A window that is longer than `api.window.max` by this may be refused."""


class WindowFacts(Struct, frozen=True):
    """What the API lists in a window of `SHORT`: `ids`, of `total` cars where it tells that.

    `refused` is why it lists none. `longest` is why a window of `api.window.max` is refused,
    `beyond` why a longer one is; None where they are served, or were not asked for.
    """

    ids: frozenset[str] = frozenset()
    total: int | None = None
    refused: PageError | None = None
    longest: PageError | None = None
    beyond: PageError | None = None


class RemovalFacts(Struct, frozen=True):
    """The first page of tombstones: their number, and when each readable car went.

    `fault` is why there is no such page. `reasons` are those of tombstones that cannot be read.
    `empty` are the keys below `api.removals` for which no tombstone has a value.
    """

    now: datetime
    records: int = 0
    times: tuple[tuple[str, datetime], ...] = ()
    reasons: tuple[tuple[str, int], ...] = ()
    empty: tuple[str, ...] = ()
    fault: PageError | None = None


def api_time(skew_s: float | None) -> datetime:
    """Return the API's present time, by its distance from this machine's clock."""
    return datetime.fromtimestamp(time.time() + (skew_s or 0.0), UTC)


def try_window(asker: FeedAsker, now: datetime) -> WindowFacts:
    """Ask for windows of three lengths at most, where it is `now` on the API's clock."""
    rules = asker.config.api.window
    try:
        info, ids = _list_changes(asker, now, SHORT)
    except PageError as exc:
        return WindowFacts(refused=exc)
    facts = WindowFacts(ids, info)
    if rules.max is None:
        return facts
    longest = timedelta(seconds=rules.max_s)
    try:
        _list_changes(asker, now, longest + BEYOND)
    except PageError as exc:
        facts = replace(facts, beyond=exc)
        try:
            _list_changes(asker, now, longest)
        except PageError as refused:
            facts = replace(facts, longest=refused)
    return facts


def _list_changes(
    asker: FeedAsker, now: datetime, length: timedelta
) -> tuple[int | None, frozenset[str]]:
    api = asker.config.api
    unlimited = replace(api, window=replace(api.window, max=None))
    config = replace(asker.config, api=window.with_window(unlimited, now - length, now))
    lease = PageLease(load_paginator(api).first, 1)
    page = asker.with_config(config).read(lease).mapped
    return page.info.total_records, frozenset(i for i in ids_of(page) if i is not None)


def try_removals(asker: FeedAsker, now: datetime) -> RemovalFacts:
    """Ask for the tombstones that a first run would ask for, one page of them."""
    api = window.removals_since(asker.config.api, None, now)
    config = replace(asker.config, api=api)
    mapper = Mapper.load_tombstones(config)
    assert mapper is not None
    try:
        first = load_paginator(api).first
        page = asker.with_config(config).read(PageLease(REMOVALS_FROM + first, 1)).mapped
    except PageError as exc:
        return RemovalFacts(now, fault=exc)
    reasons = Counter(f"{reject.column}: {reject.reason}" for reject in page.rejects)
    names = [column.name for column in mapper.columns if column.name != "data_hash"]
    rows = [dict(zip(names, row[1:], strict=True)) for row in page.rows]
    empty = [n for n in names if rows and all(row[n] is None for row in rows)]
    return RemovalFacts(
        now,
        page.records,
        tuple((str(row["id"]), datetime.fromisoformat(row[REMOVED_AT])) for row in rows),
        tuple((words.replace(REMOVED_AT, "at"), n) for words, n in reasons.most_common(3)),
        tuple(f"match.{n[len(MATCH) :]}" if n.startswith(MATCH) else f"set.{n}" for n in empty),
    )
