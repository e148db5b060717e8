"""Fingerprints: what may differ between two starts of one run, and what may not."""

from __future__ import annotations

import pytest

from carsync.config.parser import parse
from carsync.config.sections import Config
from carsync.mapping.mapper import Mapper
from carsync.run.fingerprints import differences, fingerprints

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
    "address",
    [
        "https://feed.example.com/v1/",
        "HTTPS://Feed.example.com:443/v1",
        "http://feed.example.com/v1",
        "http://feed.example.com:80/v1",
    ],
)
def test_a_feed_at_the_same_address_written_otherwise_goes_on(address: str) -> None:
    assert prints(API_BASE_URL=address) == prints()


def test_another_key_among_the_parameters_lets_a_run_go_on() -> None:
    one, other = (f"api.params={{country: kr, api_key: {key}}}" for key in ("k1", "k2"))
    assert prints(one) == prints(other) == prints("api.params={country: kr}")


@pytest.mark.parametrize(
    "override",
    [
        "api.base_url=https://feed.example.com:8443/v1",
        "api.base_url=http://feed.example.com:443/v1",
        "api.base_url=https://feed.example.com/V1",
        "api.params={keyword: kia}",
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
