"""Resuming: what may differ between two starts of one run, and what may not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carsync.config.parser import parse
from carsync.config.sections import Config, Pagination
from carsync.mapping.mapper import Mapper
from carsync.model import PageInfo
from carsync.run.fingerprints import differences, fingerprints
from carsync.run.resume import SHOWN_RANGES, lost_pages, show_pages
from tests.support import snapshots
from tests.support.plans import plan_of

ENVIRONMENT = {
    "API_BASE_URL": "https://feed.example.com/v1",
    "API_KEY": "k-123",
    "DATABASE_URL": "postgresql://u:secret@db.example.com:5432/shop",
}


def prints(*overrides: str, **environ: str) -> dict[str, str]:
    config: Config = parse("", {**ENVIRONMENT, **environ}, overrides)
    mapper = Mapper.load(config)
    return fingerprints(config, mapper)


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["limits.requests_per_second=5", "limits.concurrency=2", "limits.retry.max_attempts=2"],
        ["database.writers=1", "database.batch_size=50", "database.load_method=copy"],
        ["sync.deactivate.enabled=false", "sync.max_reject_share=1", "acceptance.max_minutes=1"],
        ["api.timeout.total_s=5", "api.max_body_bytes=5000", "checkpoint.max_age_h=1"],
        ["mapping.columns.vin={path: vin, strip: true}"],
    ],
)
def test_settings_that_change_no_row_let_a_run_go_on(overrides: list[str]) -> None:
    assert differences(prints(), prints(*overrides)) == []


def test_another_key_or_password_lets_a_run_go_on() -> None:
    dsn = "postgresql://u:other@db.example.com:5432/shop"
    assert differences(prints(), prints(API_KEY="k-456", DATABASE_URL=dsn)) == []


@pytest.mark.parametrize(
    "override",
    [
        "api.base_url=https://other.example.com/v1",
        "api.path=/vans",
        "api.params={country: kr}",
        "api.pagination.page_size=50",
        "api.pagination.first_page=0",
        "api.pagination.total_pages=null",
    ],
)
def test_another_feed_or_page_size_begins_anew(override: str) -> None:
    found = differences(prints(), prints(override))
    assert found[0].startswith("the feed's settings changed")


@pytest.mark.parametrize(
    "override",
    [
        "mapping.columns.vin=null",
        "mapping.columns.vin={path: vin}",
        "mapping.columns.location={constant: Seoul}",
        "mapping.hash.algorithm=md5",
        "mapping.hash.fields=[make, model]",
    ],
)
def test_another_mapping_begins_anew(override: str) -> None:
    assert differences(prints(), prints(override)) == ["the mapping or its hash changed"]


@pytest.mark.parametrize(
    ("override", "dsn"),
    [
        ("database.table=vans", ENVIRONMENT["DATABASE_URL"]),
        ("database.schema=shop", ENVIRONMENT["DATABASE_URL"]),
        ("sync.source=other", ENVIRONMENT["DATABASE_URL"]),
        ("sync.source=external", "postgresql://u:secret@db.example.com:5432/other"),
        ("sync.source=external", "postgresql://u:secret@db2.example.com:5432/shop"),
    ],
)
def test_another_table_database_or_source_begins_anew(override: str, dsn: str) -> None:
    found = differences(prints(), prints(override, DATABASE_URL=dsn))
    assert found == ["the target table, its database or sync.source changed"]


def test_an_older_version_s_missing_fingerprint_counts_as_a_change() -> None:
    assert len(differences({}, prints())) == 3


# What the checkpoint calls done and the ledger does not hold

PAGES = st.sets(st.integers(1, 60))


@given(done=PAGES, staged=PAGES)
def test_exactly_the_pages_that_the_ledger_lost_are_named(done: set[int], staged: set[int]) -> None:
    plan = plan_of(Pagination())
    for page in done:
        plan.mark_staged(page, 100, PageInfo(60, 6000))
    checkpoint = snapshots.checkpoint(pages_done=len(done), pages_ranges=plan.ranges())
    assert lost_pages(checkpoint, staged) == sorted(done - staged)


@pytest.mark.parametrize(
    "ranges",
    ["1-", "x", "-5", "5-1", "1-811,", "1--3", "1-500", "1-9" + "9" * 30, "1" * 5000, "1;812"],
)
def test_ranges_that_are_damaged_name_no_page(ranges: str) -> None:
    assert lost_pages(snapshots.checkpoint(pages_ranges=ranges), set()) is None


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
