"""Resuming: which of the pages that the checkpoint calls done the ledger lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carsync.config.api_sections import Pagination
from carsync.model import PageInfo
from carsync.run.resume import SHOWN_RANGES, lost_pages, show_pages
from tests.support import snapshots
from tests.support.plans import plan_of

# What the checkpoint calls done and the ledger does not hold

PAGES = st.sets(st.integers(1, 60))


@given(done=PAGES, staged=PAGES)
def test_exactly_the_pages_that_the_ledger_lost_are_named(done: set[int], staged: set[int]) -> None:
    plan = plan_of(Pagination())
    for page in done:
        plan.mark_staged(page, 100, PageInfo(60, 6000))
    checkpoint = snapshots.checkpoint(pages_done=len(done), pages_ranges=plan.ranges())
    assert lost_pages(checkpoint, staged.__contains__) == sorted(done - staged)


@pytest.mark.parametrize(
    "ranges",
    ["1-", "x", "-5", "5-1", "1-811,", "1--3", "1-500", "1-9" + "9" * 30, "1" * 5000, "1;812"],
)
def test_ranges_that_are_damaged_name_no_page(ranges: str) -> None:
    assert lost_pages(snapshots.checkpoint(pages_ranges=ranges), set().__contains__) is None


@given(st.sets(st.integers(1, 3000), min_size=1))
def test_pages_are_named_briefly_and_all_are_counted(pages: set[int]) -> None:
    text = show_pages(sorted(pages))
    named, _, rest = text.partition(" and ")
    assert len(named.split(", ")) <= SHOWN_RANGES
    assert len(text) <= 60
    counted = sum(len(range(*bounds(part))) for part in named.split(", "))
    assert counted + int(rest.removesuffix(" more").replace(",", "") or 0) == len(pages)


def bounds(text: str) -> tuple[int, int]:
    """Return start and stop of a range as it is shown."""
    low, _, high = text.partition("-")
    return int(low), int(high or low) + 1
