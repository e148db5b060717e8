"""Tries where the feed goes on, ends and begins, by a few pages beside the first one."""

from __future__ import annotations

from contextlib import suppress

from msgspec import Struct
from msgspec.structs import replace

from carsync.doctor.feed_asker import FeedAsker
from carsync.errors import PageError
from carsync.model import PageInfo
from carsync.source.pagination.base import load_paginator
from carsync.source.pagination.plan import PagePlan

Ids = frozenset[str]


class EndFacts(Struct, frozen=True):
    """What pages beyond both ends of the feed list.

    `behind` is the page behind the last one that the feed reports or, without totals, behind
    all that a run reads; `fault` is why it could not be read. `beside` are the ids of a page
    to compare it with: the last one reported; or the second page where `behind` repeats the
    first; or the page after `behind`. `before_ids` stand on the page before the first one.
    `second_ids` stand on the page after the first one, where that is short and no total tells
    of more.
    """

    first: int
    first_ids: Ids
    behind: int
    has_totals: bool
    behind_ids: Ids = frozenset()
    fault: PageError | None = None
    beside_ids: Ids = frozenset()
    before_ids: Ids = frozenset()
    second_ids: Ids = frozenset()


class NextFacts(Struct, frozen=True):
    """What the first page of a feed that is read page by page names, and what stands there.

    `is_named`: it names a next page, which lists `ids`, or could not be read (`fault`).
    """

    first_ids: Ids
    records: int
    is_named: bool
    total: int | None = None
    ids: Ids = frozenset()
    fault: PageError | None = None


def try_next(asker: FeedAsker, ids: Ids, records: int, info: PageInfo) -> NextFacts | None:
    """Ask for the page that the first one, which holds `ids`, names; None for other feeds."""
    api = asker.config.api
    paginator = load_paginator(api)
    if paginator.parallel or not paginator.next_key:
        return None
    token = info.next_token
    facts = NextFacts(ids, records, token is not None, info.total_records)
    if token is None:
        return facts
    try:
        return replace(facts, ids=asker.list_page(paginator.first + 1, token))
    except PageError as exc:
        return replace(facts, fault=exc)


def try_ends(asker: FeedAsker, ids: Ids, records: int, info: PageInfo) -> EndFacts | None:
    """Ask for two or three pages more than the first one, which holds `ids`.

    None for a feed whose pages cannot be asked for by number.
    """
    api = asker.config.api
    paginator = load_paginator(api)
    if not paginator.parallel:
        return None
    plan = PagePlan(api.pagination, paginator)
    plan.mark_staged(paginator.first, records, info)
    far = paginator.first + api.pagination.max_pages
    facts = EndFacts(paginator.first, ids, plan.page_behind or far, plan.has_totals)
    try:
        behind_ids = asker.list_page(facts.behind)
        beside_ids = _list_beside(asker, facts, behind_ids) if behind_ids else frozenset()
    except PageError as exc:
        return replace(facts, fault=exc)
    before_ids: Ids = frozenset()
    if paginator.first and not paginator.is_exact:
        with suppress(PageError):
            before_ids = asker.look(paginator.first - 1)
    facts = replace(facts, behind_ids=behind_ids, beside_ids=beside_ids, before_ids=before_ids)
    is_short = not facts.has_totals and records < api.pagination.page_size
    if is_short and not behind_ids and info.has_more is not False:
        with suppress(PageError):
            facts = replace(facts, second_ids=asker.look(paginator.first + 1))
    return facts


def _list_beside(asker: FeedAsker, facts: EndFacts, behind_ids: Ids) -> Ids:
    page = facts.behind + 1
    if facts.has_totals:
        page = facts.behind - 1
    elif behind_ids == facts.first_ids:
        page = facts.first + 1
    return facts.first_ids if page == facts.first else asker.look(page)
