"""The acceptance checks on the figures of a run."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from carsync.config.sections import Acceptance
from carsync.engine.messages import PageFetched, PagesStaged
from carsync.model import PageInfo, StagedPage
from carsync.run.figures.acceptance import evaluate
from carsync.run.figures.metrics import Metrics
from carsync.state.figures import Figures
from tests.support.fake_clock import FakeClock

MB = 10**6


def fetched(latency_s: float = 0.2, rejects: int = 0) -> PageFetched:
    return PageFetched(1, 100, rejects, latency_s, 40_000, 390_000, PageInfo(2000, 200_000))


def staged(pages: int, rows: int = 100, busy_s: float = 0.01) -> PagesStaged:
    lines = tuple(StagedPage(page, rows, 0, rows, PageInfo()) for page in range(1, pages + 1))
    return PagesStaged(lines, pages * rows, busy_s)


def good_run() -> Figures:
    clock = FakeClock()
    metrics = Metrics(clock, warmup_s=30.0)
    for _ in range(200):
        for _ in range(12):
            metrics.page_fetched(fetched())
        metrics.pages_staged(staged(12, busy_s=0.1))
        metrics.rss({"parent": 100 * MB})
        clock.advance(1)
    return metrics.snapshot(2400, 0)


class TestAcceptance:
    def test_a_good_run_passes_all_five(self) -> None:
        checks = evaluate(Acceptance(), good_run(), 20.0)
        assert [(check.name, check.verdict) for check in checks] == [
            ("duration", "pass"),
            ("pages per second", "pass"),
            ("rows per second of a busy writer", "pass"),
            ("failed attempts", "pass"),
            ("memory growth", "pass"),
        ]
        assert (checks[0].target, checks[0].measured) == ("≤ 25.0 min", "3.3 min")

    @pytest.mark.parametrize(
        ("change", "name"),
        [
            ({"elapsed_s": 1500.1}, "duration"),
            ({"pages_per_s_after_warmup": 9.9}, "pages per second"),
            ({"writer_rows_per_busy_s": 1999.0}, "rows per second of a busy writer"),
            ({"error_rate": 0.051}, "failed attempts"),
            ({"rss_slope_mb_per_min": 10.1}, "memory growth"),
        ],
    )
    def test_each_figure_can_fail_on_its_own(self, change: dict[str, float], name: str) -> None:
        checks = evaluate(Acceptance(), replace(good_run(), **change), 20.0)
        assert [check.name for check in checks if check.verdict == "fail"] == [name]

    def test_targets_met_exactly_pass(self) -> None:
        snapshot = replace(
            good_run(),
            elapsed_s=1500.0,
            pages_per_s_after_warmup=10.0,
            writer_rows_per_busy_s=2000.0,
            error_rate=0.05,
            rss_slope_mb_per_min=10.0,
        )
        assert {check.verdict for check in evaluate(Acceptance(), snapshot, 20.0)} == {"pass"}

    @pytest.mark.parametrize(
        ("rate", "target", "verdict"),
        [(5.0, "≥ 2.5/s", "pass"), (19.0, "≥ 9.5/s", "fail"), (0.0, "≥ 10.0/s", "fail")],
    )
    def test_a_slow_limit_lowers_the_target_for_pages(
        self, rate: float, target: str, verdict: str
    ) -> None:
        snapshot = replace(good_run(), pages_per_s_after_warmup=4.0)
        check = evaluate(Acceptance(), snapshot, rate)[1]
        assert (check.target, check.verdict) == (target, verdict)

    def test_a_run_is_judged_by_the_rate_that_the_api_allowed(self) -> None:
        slow = replace(
            good_run(),
            elapsed_s=2500.0,
            pages_per_s_after_warmup=0.9,
            rows_per_s=90.0,
            writer_rows_per_busy_s=400.0,
            allowed_per_s_mean=1.1,
        )
        checks = evaluate(Acceptance(), slow, 20.0)
        assert {check.verdict for check in checks} == {"pass"}
        tells = {
            check.name: check.target
            for check in evaluate(Acceptance(), replace(slow, rows_per_s=213.6633), 7 / 3)
        }
        assert tells["rows per second of a busy writer"] == "≥ 427/s", "three digits, for people"
        unslowed = evaluate(Acceptance(), replace(slow, allowed_per_s_mean=20.0), 20.0)
        assert [c.name for c in unslowed if c.verdict == "fail"] == ["duration", "pages per second"]

    def test_a_run_too_short_to_judge_is_judged_by_time_and_errors_only(self) -> None:
        clock = FakeClock()
        metrics = Metrics(clock)
        metrics.page_fetched(fetched())
        metrics.pages_staged(staged(1, busy_s=9.0))
        clock.advance(1)
        checks = evaluate(Acceptance(), metrics.snapshot(1, 0), 20.0)
        assert [check.verdict for check in checks] == ["pass", "n/a", "n/a", "pass", "n/a"]
        assert checks[1].measured == "not measured: too short"
        assert checks[2].target == "≥ 2,000/s", "the configured one: nothing was measured"

    def test_a_run_without_a_request_has_no_error_rate(self) -> None:
        checks = evaluate(Acceptance(), Metrics(FakeClock()).snapshot(5, 5), 20.0)
        assert checks[3].verdict == "n/a"

    def test_null_switches_a_target_off(self) -> None:
        off = Acceptance(
            max_minutes=None,
            min_pages_per_second=None,
            min_rows_per_second=None,
            max_error_rate=None,
            max_rss_slope_mb_per_min=None,
        )
        checks = evaluate(off, good_run(), 20.0)
        assert {(check.target, check.verdict) for check in checks} == {("off", "n/a")}
