"""Why cars may be missing from a plan whose pages were all read, in words for people."""

from __future__ import annotations

from carsync import formatting
from carsync.source.pagination.plan import PagePlan

ROUND_TOTAL = 1000
"""A total that is a multiple of this may be a cap; one in as many is one by chance."""


def cut(plan: PagePlan) -> str:
    """Why the feed may end at the same depth every night; empty where it may not."""
    length, total = plan.length, plan.reported_records
    if not plan.has_totals:
        ends = plan.is_parallel and length.ends_full and not length.has_ended
        return f"the last page ({length.filled:,}) is full: the feed may be cut there" * ends
    if length.filled < plan.limit and (total or 0) > plan.records:
        return f"page {length.filled + plan.first:,} is empty, but the feed reports more records"
    if total and total % ROUND_TOTAL == 0:
        return f"the reported total is a round {total:,}: the feed may be cut there"
    return ""


def gaps(plan: PagePlan) -> str:
    """Why cars may be missing from the same pages every night; empty where they may not."""
    short, _ = _not_full(plan)
    if not short:
        return ""
    pages = formatting.part(short, plan.length.filled, "page")
    return f"fewer records than elsewhere are on {pages}: cars may be missing there"


def holes(plan: PagePlan) -> int:
    """How many pages are empty between full ones, where no total says that all was read."""
    return _not_full(plan)[1]


def _not_full(plan: PagePlan) -> tuple[int, int]:
    """Count the pages before the last that are short, and empty; 0 where that is no sign.

    Pages before the last are as full as the others, unless an answer was cut. Where most of
    them are not, the feed leaves records out after it cut its pages.
    """
    length, sizes = plan.length, plan.staged_sizes
    if not length.filled:
        return 0, 0
    full = sizes[length.drift.sizes.largest]
    held = sizes.total() - sizes[0]
    short, empty = held - full - (held > 0 and not length.ends_full), length.filled - held
    if plan.is_repeated or not plan.misses_records or short + empty > length.filled / 2:
        return 0, 0
    return short, empty


def open_end(plan: PagePlan, *, is_next_proved: bool = False) -> str:
    """Why the feed may go on behind its last page; empty where that is not likely.

    The page behind it was asked for in vain. Where the last page is not full, and no total
    says otherwise, nothing speaks for a further page. `is_next_proved`: another list of the
    feed names its next pages, so the key for them is right.
    """
    total = plan.reported_records
    if plan.circle and total != plan.records:
        return plan.circle
    if not is_next_proved and _is_lonely(plan):
        return f"the first page is full, and names no next one: check {plan.next_key}"
    is_met = total in {None, plan.records} and not plan.length.ends_full
    if not plan.is_end_unclear or is_met:
        return ""
    return f"page {plan.limit + plan.first:,} may hold more records"


def _is_lonely(plan: PagePlan) -> bool:
    """Whether the feed ended with its first page although more could be expected.

    The key for the next page may then be wrong. A plain "no" is believed.
    """
    names_next = plan.next_key and (not plan.is_parallel or plan.length.has_ended)
    is_told = plan.reported_records == plan.records or plan.only == 1
    is_full = plan.length.first_records >= plan.page_size
    return bool(names_next and is_full and plan.staged_count == 1 and not is_told)
