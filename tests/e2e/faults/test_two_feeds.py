"""Two configurations beside each other: on one table, under one name, in one file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Fill
from tests.support.fake_api import Reply
from tests.support.quick_site import QuickSite
from tests.support.small_feed import SmallFeed, SmallSite


@pytest.fixture
def feeds() -> Iterator[tuple[SmallFeed, SmallFeed]]:
    with SmallFeed() as first, SmallFeed() as second:
        yield first, second


@pytest.fixture
def sites(
    feeds: tuple[SmallFeed, SmallFeed], dsn: str, tmp_path: Path
) -> Iterator[tuple[SmallSite, SmallSite]]:
    """Two feeds, the second with ids of its own, for one table."""
    first, second = feeds
    second.ids = list(range(101, 112))
    sites = QuickSite(first, dsn, tmp_path), QuickSite(second, dsn, tmp_path)
    yield sites
    for site in sites:
        site.close()


@pytest.mark.parametrize(
    "shares_file",
    [False, True],
    ids=["own files", "one file"],
)
@pytest.mark.long
def test_a_source_does_not_live_on_the_success_of_another(
    sites: tuple[SmallSite, SmallSite], shares_file: bool, tmp_path: Path, fill: Fill
) -> None:
    first, second = sites
    second.settings["sync.source"] = "second"
    if shares_file:
        for site in sites:
            site.settings["checkpoint.path"] = str(tmp_path / "one.json")
    fill(first)
    second.feed.show = lambda page: Reply(status=401)
    second.sync(expect=3)
    assert second.run("status", "--max-age", "26h").exit_code == 7
    first_status = first.run("status", "--max-age", "26h")
    if shares_file:
        assert first_status.exit_code == 2
        assert "checkpoint.path" in first_status.err
    else:
        assert first_status.exit_code == 0
    second.feed.show = second.feed.honest_page
    second.sync()
    assert second.run("status", "--max-age", "26h").exit_code == 0
    assert first.living() == {*first.feed.ids, *second.feed.ids}


def test_another_feed_under_the_same_name_takes_no_car(
    sites: tuple[SmallSite, SmallSite], fill: Fill
) -> None:
    first, second = sites
    fill(first)
    refused = second.sync(expect=2)
    assert "sync.source" in refused.report["hint"]
    assert second.feed.arrivals == []
    foreseen = second.start("check").end()
    assert foreseen.exit_code == 2
    assert "--adopt-source" in foreseen.out
    assert first.living() == set(first.feed.ids)

    second.feed.ids = first.feed.ids  # the same feed, at a new address
    adopted = second.start("sync", "--adopt-source").end()
    assert adopted.exit_code == 0
    second.sync()
    first.sync(expect=2)
