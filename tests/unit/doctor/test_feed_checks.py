"""The feed judged: first page, pace and clock."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from carsync.config.parser import parse
from carsync.doctor import feed_checks, way_checks
from carsync.doctor.feed_checks import FirstPage
from carsync.doctor.findings import Findings
from carsync.doctor.way_checks import Certificate, Lookup
from carsync.errors import FailureKind
from carsync.errors import PageError as Fault
from carsync.exit_codes import ExitCode
from carsync.mapping.discovery import PageLayout
from carsync.model import PageInfo
from carsync.source.pagination.base import load_paginator
from tests.support.findings import bad, judged
from tests.support.findings import keyed_config as config

PAGE = FirstPage(
    latency_s=0.4,
    wire_bytes=39_000,
    skew_s=0.3,
    layout=PageLayout("data", 100, "meta.last_page", "meta.total", 2000, 200_000),
    records=100,
    pages=2000,
    total=200_000,
    mapped=100,
)


def test_a_page_as_the_configuration_has_it_is_fine() -> None:
    found = judged(feed_checks.judge_page, config(), PAGE)
    assert bad(found) == {}
    assert "2,000 pages take 1 min 40 s at 20 pages/s" in found[-1].seen


@pytest.mark.parametrize(
    ("page", "name", "words"),
    [
        ({"mapped": 98, "reasons": (("make: missing", 2),)}, "mapping", "warning: 98 of 100"),
        ({"mapped": 40, "reasons": (("\x1b[2Jbad", 60),)}, "mapping", "problem: 40 of 100"),
        ({"records": 20, "pages": 10_000, "mapped": 20}, "page size", "pagination.page_size: 20"),
        ({"records": 20, "pages": None, "total": 60, "mapped": 20}, "page size", "page_size: 20"),
        ({"records": 60, "mapped": 60}, "page size", "problem: page 1 of 2,000 holds 60"),
        ({"records": 200, "pages": 1000, "mapped": 200}, "page size", "page_size: 200"),
        ({"pages": None, "total": None}, "totals", "warning: no number at meta.last_page"),
        ({"latency_s": 4.0}, "pace", "about 4.0 pages/s"),
        ({"pages": 90_000, "total": 9_000_000}, "pace", "acceptance allows 25 min"),
        ({"records": 0, "mapped": 0, "layout": None}, "records", "warning: the first page "
         "has no record"),
    ],
)  # fmt: skip
def test_what_a_page_lacks_is_named(page: dict[str, Any], name: str, words: str) -> None:
    seen = replace(PAGE, **page)
    info = PageInfo(seen.pages, seen.total)
    objection = load_paginator(config().api).find_fault(1, seen.records, info, None)
    found = bad(judged(feed_checks.judge_page, config(), replace(seen, objection=objection)))
    assert list(found) == [name]
    assert words in found[name]
    assert "\x1b" not in found[name]


def test_a_feed_without_totals_by_design_is_fine() -> None:
    text = "{records: data, total_pages: null, total_records: null}"
    asked = parse(f"api: {{base_url: 'https://x.test', pagination: {text}}}", {})
    blind = replace(PAGE, pages=None, total=None, layout=PageLayout("data", 100))
    assert bad(judged(feed_checks.judge_page, asked, blind)) == {}
    seen = bad(judged(feed_checks.judge_page, asked, replace(PAGE, pages=None, total=None)))
    assert "total_records: meta.total" in seen["totals"]


def test_an_answer_of_another_shape_names_the_keys_to_set() -> None:
    fault = Fault(FailureKind.BAD_PAGE, "no page", detail="there is no list at data")
    layout = PageLayout("result.items", 20, "pages", None, 3)
    found = bad(judged(feed_checks.judge_page, config(), replace(PAGE, fault=fault, layout=layout)))
    wanted = "{records: result.items, total_pages: pages, total_records: null}"
    assert found["records"].startswith("problem: there is no list at data")
    assert wanted in found["records"]


@pytest.mark.parametrize(
    ("fault", "name", "words"),
    [
        (Fault(FailureKind.AUTH, "refused", status=401, hint="API_KEY"), "key", "API_KEY"),
        (Fault(FailureKind.CLIENT, "HTTP 404", status=404), "answer", "api.path"),
        (Fault(FailureKind.RATE_LIMITED, "HTTP 429", status=429), "answer", "lower"),
        (Fault(FailureKind.SERVER, "HTTP 500", status=500), "answer", "later"),
        (Fault(FailureKind.TIMEOUT, "late"), "answer", "api.timeout"),
    ],
)
def test_a_request_that_failed_is_explained(fault: Fault, name: str, words: str) -> None:
    found = bad(judged(feed_checks.judge_failure, fault))
    assert list(found) == [name]
    assert words in found[name]


def test_clocks_are_judged() -> None:
    assert (
        bad(judged(feed_checks.judge_skew, 12.0)) == bad(judged(feed_checks.judge_skew, None)) == {}
    )
    assert "1 min 30 s behind" in bad(judged(feed_checks.judge_skew, 90.0))["clock"]
    assert "ahead of" in bad(judged(feed_checks.judge_skew, -90.0))["clock"]


def test_the_checks_of_a_sound_feed_are_those_that_are_named_in_their_order() -> None:
    found = Findings(ExitCode.API)
    way_checks.judge_lookup(found, Lookup("a.test", ["192.0.2.1"]))
    way_checks.judge_certificate(found, Certificate("", 80, "A CA", "TLSv1.3"))
    feed_checks.judge_page(found, config(), PAGE)
    feed_checks.judge_skew(found, 0.0)
    names = [*(finding.name for finding in found.all), *feed_checks.CLAIMS]
    assert names == list(feed_checks.CHECKS)


def test_a_budget_of_fewer_requests_than_pages_is_warned_of() -> None:
    few = parse("limits: {budget: {requests: 10, per: hour}}", {})
    found = bad(judged(feed_checks.judge_page, few, replace(PAGE, pages=11)))
    assert "limits.budget allows 10 an hour" in found["pace"]
