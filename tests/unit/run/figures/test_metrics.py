"""Figures against exact computations, and the acceptance checks on them."""

from __future__ import annotations

import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from carsync.config.lists import PAGES_EACH
from carsync.engine.messages import (
    PageFailed,
    PageFetched,
    PagesStaged,
    ProbeAnswered,
    RateChanged,
)
from carsync.errors import FailureKind
from carsync.model import PageInfo, ProbeVerdict, StagedPage
from carsync.run.figures.metrics import MemorySlope, Metrics
from carsync.state.figures import Slowed
from tests.support.fake_clock import FakeClock

MB = 10**6


def fetched(latency_s: float = 0.2, rejects: int = 0) -> PageFetched:
    return PageFetched(1, 100, rejects, latency_s, 40_000, 390_000, PageInfo(2000, 200_000))


def failed(kind: FailureKind) -> PageFailed:
    return PageFailed(
        page=1,
        attempt=1,
        kind=kind,
        problem="it failed",
        hint="",
        status=None,
        retry_after_s=None,
        latency_s=0.1,
    )


def staged(pages: int, rows: int = 100, busy_s: float = 0.01) -> PagesStaged:
    lines = tuple(StagedPage(page, rows, 0, rows, PageInfo()) for page in range(1, pages + 1))
    return PagesStaged(lines, pages * rows, busy_s)


class TestPauses:
    def test_the_longest_pause_is_told_until_it_is_over(self) -> None:
        clock = FakeClock()
        metrics = Metrics(clock)
        assert (metrics.snapshot(10, 0).pause, metrics.snapshot(10, 0).paused_s) == (None, 0.0)
        metrics.breaker_opened(60.0)
        metrics.pause("rate_limited", 5.0)
        assert (metrics.snapshot(10, 0).pause, metrics.snapshot(10, 0).paused_s) == ("breaker", 60)
        clock.advance(50)
        metrics.pause("rate_limited", 30.0)
        metrics.pause("rate_limited", 1.0)
        got = metrics.snapshot(10, 0)
        assert (got.pause, got.paused_s) == ("rate_limited", 30.0)
        clock.advance(30)
        assert metrics.snapshot(10, 0).pause is None


class TestAllowedRate:
    def test_the_mean_leaves_out_the_warm_up_and_counts_a_silence_as_nothing(self) -> None:
        clock = FakeClock()
        metrics = Metrics(clock, warmup_s=30.0, requests_per_second=20.0)
        clock.advance(40)  # 10 s at 20/s
        metrics.rate_changed(RateChanged(2.0, "HTTP 503"))
        clock.advance(10)  # 10 s at 2/s
        metrics.pause("rate_limited", 20.0)
        clock.advance(20)
        assert metrics.snapshot(None, 0).allowed_per_s_mean == pytest.approx(220 / 40)

    def test_without_a_limit_the_mean_begins_with_the_first_one(self) -> None:
        clock = FakeClock()
        metrics = Metrics(clock, warmup_s=0.0)
        clock.advance(100)
        assert metrics.snapshot(None, 0).allowed_per_s_mean is None
        metrics.rate_changed(RateChanged(10.0, "HTTP 429"))
        clock.advance(5)
        assert metrics.snapshot(None, 0).allowed_per_s_mean == pytest.approx(10.0)

    def test_the_lowest_rate_is_told_and_whether_it_is_over(self) -> None:
        metrics = Metrics(FakeClock(), requests_per_second=20.0)
        assert metrics.snapshot(None, 0).slowed is None
        for rate, reason in ((10.0, "HTTP 420"), (5.0, "HTTP 420"), (20.0, "")):
            metrics.rate_changed(RateChanged(rate, reason))
        slowed = Slowed(by="HTTP 420", rate=20.0, lowest=5.0, is_over=True)
        assert metrics.snapshot(None, 0).slowed == slowed

    def test_refusals_that_slowed_the_run_are_no_failed_attempts(self) -> None:
        metrics = Metrics(FakeClock(), requests_per_second=20.0)
        metrics.page_fetched(fetched())
        metrics.page_failed(failed(FailureKind.RATE_LIMITED))
        assert metrics.snapshot(None, 0).error_rate == 0.5
        metrics.rate_changed(RateChanged(10.0, "HTTP 429"))
        assert metrics.snapshot(None, 0).error_rate == 0


class TestCounters:
    def test_counts_what_the_children_report(self) -> None:
        metrics = Metrics(FakeClock())
        metrics.page_fetched(fetched(rejects=2))
        metrics.page_fetched(fetched())
        metrics.page_failed(failed(FailureKind.TIMEOUT))
        metrics.page_failed(failed(FailureKind.SERVER))
        metrics.page_failed(failed(FailureKind.SERVER), given_up=True)
        metrics.pages_staged(staged(2, rows=99))
        metrics.breaker_opened(60.0)
        metrics.probe(ProbeAnswered("a", 1, ProbeVerdict.GONE, 0.1))
        metrics.probe(ProbeAnswered("b", 1, ProbeVerdict.GONE, 0.1))
        metrics.probe(ProbeAnswered("c", 1, ProbeVerdict.ALIVE, 0.1))
        metrics.queue_depth(7)
        metrics.queue_depth(3)
        got = metrics.snapshot(10, 0)
        assert (got.records, got.rejects, got.pages_staged, got.rows_staged) == (200, 2, 2, 198)
        assert (got.wire_bytes, got.body_bytes) == (80_000, 780_000)
        assert (got.attempts, got.retries, got.pages_given_up) == (8, 2, 1)
        assert got.errors == {"timeout": 1, "server_error": 2}
        assert got.error_rate == pytest.approx(0.6)
        assert got.breaker_openings == 1
        assert got.probes == {"gone": 2, "alive": 1}
        assert (got.queue_depth, got.queue_depth_peak) == (3, 7)

    def test_a_list_that_is_read_anew_loses_its_own_records_alone(self) -> None:
        metrics = Metrics(FakeClock())
        for page in (1, 2, PAGES_EACH + 1):
            metrics.page_fetched(replace(fetched(rejects=page % 2), page=page))
            metrics.pages_staged(staged(1))
        metrics.pages_dropped(2, range(PAGES_EACH))
        metrics.pages_dropped(0, range(PAGES_EACH))
        got = metrics.snapshot(None, 0)
        assert (got.pages_staged, got.records, got.rejects) == (1, 100, 1)

    def test_a_run_that_did_nothing_yet_has_figures_too(self) -> None:
        got = Metrics(FakeClock()).snapshot(None, 0)
        assert (got.pages_per_s, got.pages_per_s_mean, got.rows_per_s, got.error_rate) == (0,) * 4
        assert got.eta_s is None
        assert got.latency_p99_s is None
        assert got.latency_mean_s is None
        assert got.writer_rows_per_busy_s is None


class TestRates:
    def test_the_window_forgets_what_is_older_than_30_s(self) -> None:
        clock = FakeClock()
        metrics = Metrics(clock)
        for pages_per_s in [20] * 60 + [5] * 60:
            metrics.pages_staged(staged(pages_per_s))
            clock.advance(1)
        got = metrics.snapshot(None, 0)
        assert got.pages_per_s == pytest.approx(5, rel=0.04)
        assert got.pages_per_s_mean == pytest.approx(12.5)
        assert got.rows_per_s == pytest.approx(1250)

    def test_a_young_run_is_not_divided_by_the_whole_window(self) -> None:
        clock = FakeClock()
        metrics = Metrics(clock)
        clock.advance(2)
        metrics.pages_staged(staged(30))
        assert metrics.snapshot(None, 0).pages_per_s == pytest.approx(15)

    def test_a_standstill_shows(self) -> None:
        clock = FakeClock()
        metrics = Metrics(clock)
        metrics.pages_staged(staged(100))
        clock.advance(60)
        got = metrics.snapshot(200, 0)
        assert got.pages_per_s == 0
        assert got.eta_s == pytest.approx(60)  # what the whole run so far would need

    def test_a_long_run_takes_no_more_memory_than_a_short_one(self) -> None:
        clock = FakeClock()
        metrics = Metrics(clock)
        for _ in range(1000):
            clock.advance(1)
            metrics.pages_staged(staged(1))
        assert len(metrics._recent_pages._counts) <= 31

    def test_the_merge_does_not_dilute_the_rates_of_reading(self) -> None:
        clock = FakeClock()
        metrics = Metrics(clock, warmup_s=30.0)
        for _ in range(100):
            clock.advance(1)
            metrics.pages_staged(staged(20))
        clock.advance(500)
        got = metrics.snapshot(2000, 0)
        assert got.elapsed_s == pytest.approx(600)
        assert got.pages_per_s_mean == pytest.approx(20)
        assert got.pages_per_s_after_warmup == pytest.approx(20, rel=0.02)

    def test_the_warm_up_is_left_out(self) -> None:
        clock = FakeClock()
        metrics = Metrics(clock, warmup_s=30.0)
        for second in range(130):
            clock.advance(1)
            metrics.pages_staged(staged(1 if second < 29 else 10))
        got = metrics.snapshot(None, 0)
        assert got.pages_per_s_after_warmup == pytest.approx(10, rel=0.02)
        assert got.pages_per_s_mean < 9

    def test_a_run_that_ends_within_its_warm_up_has_no_rate_after_it(self) -> None:
        clock = FakeClock()
        metrics = Metrics(clock, warmup_s=30.0)
        clock.advance(35)
        metrics.pages_staged(staged(700))
        clock.advance(300)
        assert metrics.snapshot(700, 0).pages_per_s_after_warmup is None

    def test_writers_are_measured_while_busy(self) -> None:
        clock = FakeClock()
        metrics = Metrics(clock)
        for _ in range(10):
            clock.advance(5)
            metrics.pages_staged(staged(5, busy_s=0.05))
        assert metrics.snapshot(None, 0).writer_rows_per_busy_s == pytest.approx(10_000)

    def test_the_remaining_time_leaves_out_pages_staged_before_and_pages_given_up(self) -> None:
        clock = FakeClock()
        metrics = Metrics(clock)
        for _ in range(10):
            clock.advance(1)
            metrics.pages_staged(staged(10))
        metrics.page_failed(failed(FailureKind.SERVER), given_up=True)
        assert metrics.snapshot(1001, 500).eta_s == pytest.approx(40)
        assert metrics.snapshot(601, 500).eta_s == 0
        assert metrics.snapshot(None, 500).eta_s is None


class TestLatency:
    def test_reaches_the_snapshot(self) -> None:
        metrics = Metrics(FakeClock())
        for hundredths in range(1, 101):
            metrics.page_fetched(fetched(latency_s=hundredths / 100))
        got = metrics.snapshot(None, 0)
        assert got.latency_mean_s == pytest.approx(0.505)
        assert got.latency_p50_s == pytest.approx(0.50, rel=0.01)
        assert got.latency_p95_s == pytest.approx(0.95, rel=0.01)
        assert got.latency_p99_s == pytest.approx(0.99, rel=0.01)

    def test_of_late_means_the_last_half_minute_to_minute(self) -> None:
        clock = FakeClock()
        metrics = Metrics(clock)
        seen = []
        for latency_s in [1.0] * 60 + [0.1] * 61:
            metrics.page_fetched(fetched(latency_s=latency_s))
            metrics.pages_staged(staged(1, rows=10))
            clock.advance(1)
            seen.append(metrics.snapshot(None, 0).recent_latency_p95_s)
        got = metrics.snapshot(None, 0)
        assert seen[58] == pytest.approx(1.0, rel=0.01)
        assert got.recent_latency_p99_s == pytest.approx(0.1, rel=0.01)
        assert got.latency_p95_s == pytest.approx(1.0, rel=0.01)
        assert got.recent_rows_per_s == pytest.approx(10, rel=0.05)
        clock.advance(60)
        quiet = metrics.snapshot(None, 0)
        assert (quiet.recent_latency_p50_s, quiet.recent_rows_per_s) == (None, 0)


class TestMemory:
    @given(st.floats(-50, 50), st.integers(0, 2**32))
    def test_the_slope_is_that_of_least_squares(self, mb_per_min: float, seed: int) -> None:
        chance = random.Random(seed)
        times = [*sorted(chance.uniform(0, 600) for _ in range(50)), 700.0]
        sizes = [int(500 * MB + mb_per_min * MB * t / 60 + chance.gauss(0, 3 * MB)) for t in times]
        slope = MemorySlope()
        for time, size in zip(times, sizes, strict=True):
            slope.add(time, size, frozenset({"parent"}))
        exact = statistics.linear_regression(times, sizes).slope * 60 / MB
        assert slope.mb_per_min() == pytest.approx(exact, rel=1e-6, abs=1e-6)

    def test_a_process_that_comes_or_goes_is_no_growth(self) -> None:
        slope = MemorySlope()
        for second in range(0, 400, 2):
            names = {"parent"} if second < 100 or second > 300 else {"parent", "writer-1"}
            slope.add(second, len(names) * 100 * MB + second * MB // 10, frozenset(names))
        assert slope.mb_per_min() == pytest.approx(6.0, rel=1e-3)

    def test_a_short_measurement_has_no_slope(self) -> None:
        slope = MemorySlope()
        for second in range(60):
            slope.add(second, second * MB, frozenset({"parent"}))
        assert slope.mb_per_min() is None
        slope.add(60, 60 * MB, frozenset({"parent"}))
        assert slope.mb_per_min() == pytest.approx(60)

    def test_boot_is_left_out_of_the_slope_but_not_of_the_peak(self) -> None:
        clock = FakeClock()
        metrics = Metrics(clock, warmup_s=30.0)
        for second in range(200):
            big = 900 * MB if second < 30 else 300 * MB
            metrics.rss({"parent": 50 * MB, "fetcher-1": big})
            clock.advance(1)
        got = metrics.snapshot(None, 0)
        assert got.rss_slope_mb_per_min == pytest.approx(0, abs=1e-6)
        assert got.rss_peak_bytes == 950 * MB
        assert got.rss_bytes == 350 * MB
        assert got.rss_by_process == {"parent": 50 * MB, "fetcher-1": 300 * MB}
