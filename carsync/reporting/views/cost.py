"""What requests have cost in words: the run's, today's, the budget's, by the API's count. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from carsync import formatting
from carsync.state.api_use import EACH, ApiUse, BudgetUse, Quota

NamedValue = tuple[str, str]
_KINDS = {"pages": "pages", "by_id": "by id", "removals": "removals", "token": "token"}
_ONE = {"pages": "page", "removals": "removal"}


def cost_rows(
    requests: Mapping[str, int], use: ApiUse | None, quotas: Sequence[Quota], now: datetime
) -> list[NamedValue]:
    """Return name and value of each line that there is something to say on."""
    rows = [("requests", by_kind(requests))] if requests else []
    known = use and use.at(now)
    if known is not None and (known.today or known.budget):
        rows.append(("today", f"{by_kind(known.today)} · all runs, UTC"))
    if known is not None and known.budget is not None:
        rows.append(("budget", budget_words(known.budget)))
    told = [quota_words(quota, now) for quota in quotas]
    return rows + [("" if nth else "API tells", words) for nth, words in enumerate(told)]


def by_kind(counts: Mapping[str, int]) -> str:
    """Write how many requests there were, and of which kinds.

    >>> by_kind({"pages": 935, "by_id": 30, "reserved": 4}), by_kind({"pages": 1}), by_kind({})
    ('969: 935 pages, 30 by id, 4 reserved', '1: 1 page', 'none')
    """
    return f"{sum(counts.values()):,}: {kinds(counts)}" if counts else "none"


def kinds(counts: Mapping[str, int]) -> str:
    """Write how many requests of which kinds there were, known kinds first.

    >>> kinds({"reserved": 4, "by_id": 1, "pages": 1})
    '1 page, 1 by id, 4 reserved'
    """
    order = [*(kind for kind in _KINDS if kind in counts), *sorted(counts.keys() - _KINDS.keys())]
    return ", ".join(f"{counts[kind]:,} {_name(kind, counts[kind])}" for kind in order)


def _name(kind: str, count: int) -> str:
    name = _KINDS.get(kind, kind)
    return _ONE.get(kind, name) if count == 1 else name


def budget_words(use: BudgetUse) -> str:
    """Write what is left of a budget, and when it renews.

    >>> from datetime import UTC
    >>> budget_words(BudgetUse.of(1000, "day", 935, datetime(2026, 11, 29, 20, tzinfo=UTC)))
    '65 of 1,000 requests a day left · renews 2026-11-30 00:00:00 UTC'
    """
    left = formatting.part(use.left, use.allowed, "request")
    return f"{left} {EACH[use.per]} left · renews {formatting.moment(use.renews_at)}"


def quota_words(quota: Quota, now: datetime) -> str:
    """Write what the API's own header told last."""
    limit = "" if quota.limit is None else f" of {quota.limit:,.0f}"
    words = f"{quota.name}: {quota.remaining:,.0f}{limit} left"
    if quota.renews_at is not None and quota.renews_at > now:
        return f"{words} · renews {formatting.moment(quota.renews_at)}"
    return f"{words} · told {formatting.moment(quota.told_at)}"
