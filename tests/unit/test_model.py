"""Records of the domain: what they work out of themselves."""

from __future__ import annotations

import pytest

from carsync.model import ROW_ACTIONS, MappedPage, MergeCounts, PageInfo, RunOptions, Scope, Target


@pytest.mark.parametrize(
    ("options", "scope"),
    [
        (RunOptions(), "whole"),
        (RunOptions(fresh=True), "whole"),
        (RunOptions(max_pages=3), "sample"),
        (RunOptions(dry_run=True), "dry"),
        (RunOptions(dry_run=True, max_pages=3), "dry"),
    ],
)
def test_the_options_say_how_much_of_the_feed_is_read(options: RunOptions, scope: Scope) -> None:
    assert options.scope == scope


def test_a_page_grows_older_and_stays_the_same_otherwise() -> None:
    page = MappedPage(7, ((1, "a"),), (), 1, PageInfo(9), 5.0)
    older = page.aged(2.5)
    assert (older.age_s, page.age_s) == (7.5, 5.0)
    assert older.aged(-2.5) == page


def test_a_target_is_known_by_its_name_and_its_source() -> None:
    target = Target("shop", "cars")
    assert str(target) == "shop.cars"
    assert target.key("feed") == {"schema": "shop", "table": "cars", "source": "feed"}


def test_every_action_on_a_row_is_counted() -> None:
    assert set(ROW_ACTIONS) <= set(MergeCounts.__struct_fields__)
