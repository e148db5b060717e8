"""What a run measured: counters, latency percentiles, rates, memory. Constant in size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from carsync.config.lists import PAGES_EACH, is_removal
from carsync.engine.messages import (
    PageFailed,
    PageFetched,
    PagesStaged,
    ProbeAnswered,
    RateChanged,
)
from carsync.errors import FailureKind
from carsync.model import ProbeVerdict
from carsync.run.figures.latency import LatencyHistogram, RecentLatency
from carsync.state.figures import Figures, Pause, Slowed

WINDOW_S = 30
"""Width of the window of `Figures.pages_per_s`, in seconds."""

MIN_JUDGED_S = 10.0
"""Rates after the warm-up are given once they stand on this many seconds."""

MIN_SLOPE_S = 60.0
"""The memory slope is given once it stands on this many seconds after the warm-up."""


class _Counts(msgspec.Struct):
    """Figures that an event adds to or replaces; their names are those of `Figures`."""

    pages_staged: int = 0
    pages_given_up: int = 0
    records: int = 0
    rejects: int = 0
    wire_bytes: int = 0
    body_bytes: int = 0
    retries: int = 0
    breaker_openings: int = 0
    queue_depth: int = 0
    queue_depth_peak: int = 0
    rss_peak_bytes: int = 0


class Metrics:
    """Counts what the children report to the parent; the run's time begins with the object.

    `clock` gives monotonic seconds. Rates and slope for the acceptance are
    measured from `warmup_s` seconds on (`acceptance.warmup_s`). `requests_per_second` is the
    configured limit, 0 for none.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        warmup_s: float = 30.0,
        requests_per_second: float = 0.0,
    ) -> None:
        self._clock = clock
        self._started_at = clock()
        self._warm_from_s = warmup_s
        self._warm_pages = 0
        self._last_staged_s = 0.0
        self._recent_pages, self._recent_rows = _SlidingCount(), _SlidingCount()
        self._latency = LatencyHistogram()
        self._recent_latency = RecentLatency(WINDOW_S)
        self._errors: Counter[FailureKind] = Counter()
        self._last_errors: dict[int, FailureKind] = {}  # of pages that were given up
        self._probes: Counter[ProbeVerdict] = Counter()
        self._proving = 0
        self._proving_errors: Counter[FailureKind] = Counter()
        self._memory = MemorySlope()
        self._rss: dict[str, int] = {}
        self._counts = _Counts()
        self._read: dict[int, list[int]] = {}  # records and rejects of each list
        self._fetched = self._rows_staged = 0
        self._busy_s = 0.0
        self._paused_until_s: dict[Pause, float] = {}
        self._refused = 0  # attempts that a limiter may have refused
        self._allowed = AllowedRate(requests_per_second, warmup_s)

    def page_fetched(self, event: PageFetched) -> None:
        """Count a good answer."""
        counts = self._counts
        self._fetched += 1
        if not is_removal(event.page):
            counts.records += event.records
            counts.rejects += event.rejects
            read = self._read.setdefault(event.page // PAGES_EACH, [0, 0])
            read[0] += event.records
            read[1] += event.rejects
        counts.wire_bytes += event.wire_bytes
        counts.body_bytes += event.body_bytes
        self._latency.add(event.latency_s)
        self._recent_latency.add(self._elapsed_s(), event.latency_s)

    def page_failed(self, event: PageFailed, *, given_up: bool = False) -> None:
        """Count a failed attempt at a page; the last one where the page is `given_up`."""
        self._errors[event.kind] += 1
        self._refused += event.kind is FailureKind.RATE_LIMITED or event.status in {403, 503}
        if given_up:
            self._counts.pages_given_up += 1
            self._last_errors[event.page] = event.kind
        self._counts.retries += not given_up

    def pages_given_up(self, pages: int) -> None:
        """Count pages that were given up without another attempt."""
        self._counts.pages_given_up += pages

    def pages_gone(self, pages: Iterable[int]) -> None:
        """Take back that pages were given up: the feed does not have them any more."""
        for page in pages:
            self._counts.pages_given_up -= 1
            if (kind := self._last_errors.pop(page, None)) is not None:
                self._errors[kind] -= 1

    def pages_dropped(self, pages: int, numbers: range) -> None:
        """Take back so many staged pages, and the records of the lists that are read anew.

        `numbers` are all that pages of these lists may have.
        """
        self._counts.pages_staged -= pages
        for index in [i for i in self._read if i * PAGES_EACH in numbers]:
            records, rejects = self._read.pop(index)
            self._counts.records -= records
            self._counts.rejects -= rejects

    def pages_staged(self, event: PagesStaged) -> None:
        """Count what a writer committed of the feed's pages."""
        if event.pages and is_removal(event.pages[0].page):
            return
        now_s, pages = self._elapsed_s(), len(event.pages)
        self._counts.pages_staged += pages
        self._rows_staged += event.rows
        self._busy_s += event.busy_s
        self._last_staged_s = now_s
        self._recent_pages.add(now_s, pages)
        self._recent_rows.add(now_s, event.rows)
        if now_s >= self._warm_from_s:
            self._warm_pages += pages

    def probe(self, event: ProbeAnswered, *, by_id: bool = True) -> None:
        """Count a request made to prove that cars are gone.

        With `by_id` the request asked for a record; a page asked once more proves no id.
        """
        self._proving += event.failure is None
        self._probes[event.verdict] += by_id
        if event.failure is not None:
            self._proving_errors[event.failure] += 1

    def breaker_opened(self, open_s: float) -> None:
        """Count an opening of the circuit breaker, which lasts `open_s` seconds."""
        self._counts.breaker_openings += 1
        self.pause("breaker", open_s)

    def pause(self, why: Pause, seconds: float) -> None:
        """Note that nobody asks the API for this many seconds."""
        now_s = self._elapsed_s()
        until_s = now_s + seconds
        if why != "breaker":
            self._allowed.pause(now_s, until_s)
        self._paused_until_s[why] = max(until_s, self._paused_until_s.get(why, 0.0))

    def rate_changed(self, event: RateChanged) -> None:
        """Note the rate that the API is asked at from now on."""
        self._allowed.change(self._elapsed_s(), event)

    def queue_depth(self, pages: int) -> None:
        """Note how many pages wait for a writer."""
        self._counts.queue_depth = pages
        self._counts.queue_depth_peak = max(self._counts.queue_depth_peak, pages)

    def rss(self, bytes_by_name: dict[str, int]) -> None:
        """Note the resident memory of each process, by its name, in bytes."""
        self._rss = dict(bytes_by_name)
        total = sum(bytes_by_name.values())
        self._counts.rss_peak_bytes = max(self._counts.rss_peak_bytes, total)
        now_s = self._elapsed_s()
        if now_s >= self._warm_from_s:
            self._memory.add(now_s, total, frozenset(bytes_by_name))

    def snapshot(self, planned: int | None, resumed_pages: int, resumed_rows: int = 0) -> Figures:
        """Return the figures of this moment; `planned` counts the `resumed_pages` too.

        `rows_staged` counts the `resumed_rows` too, rates do not.
        """
        now_s = self._elapsed_s()
        staged = self._counts.pages_staged
        done = planned is not None and resumed_pages + staged >= planned
        reading_s = self._last_staged_s if done else now_s
        warm_s = reading_s - self._warm_from_s
        recent, mean = self._recent_pages.per_second(now_s), _ratio(staged, reading_s)
        failed = self._errors.total() - (self._refused if self._allowed.slowed else 0)
        errors = self._errors + self._proving_errors
        paused_s, pause = self._longest_pause(now_s)
        return Figures(
            elapsed_s=now_s,
            pages_planned=planned,
            pages_resumed=resumed_pages,
            rows_staged=resumed_rows + self._rows_staged,
            pages_per_s=recent,
            pages_per_s_mean=mean,
            pages_per_s_after_warmup=self._warm_pages / warm_s if warm_s >= MIN_JUDGED_S else None,
            rows_per_s=_ratio(self._rows_staged, reading_s),
            recent_rows_per_s=self._recent_rows.per_second(now_s),
            writer_rows_per_busy_s=self._rows_staged / self._busy_s if self._busy_s else None,
            eta_s=self._eta_s(planned, resumed_pages, recent or mean),
            latency_mean_s=self._latency.mean(),
            attempts=self._fetched + self._proving + errors.total(),
            errors={kind.value: count for kind, count in errors.items()},
            error_rate=_ratio(failed, self._fetched + failed),
            probes={verdict.value: count for verdict, count in self._probes.items()},
            rss_bytes=sum(self._rss.values()),
            rss_by_process=dict(self._rss),
            rss_slope_mb_per_min=self._memory.mb_per_min(),
            paused_s=paused_s,
            pause=pause,
            allowed_per_s_mean=self._allowed.mean(now_s),
            slowed=self._allowed.slowed,
            **_percentiles("latency", self._latency),
            **_percentiles("recent_latency", self._recent_latency.histogram(now_s)),
            **msgspec.structs.asdict(self._counts),
        )

    def _elapsed_s(self) -> float:
        return self._clock() - self._started_at

    def _longest_pause(self, now_s: float) -> tuple[float, Pause | None]:
        left = ((until_s - now_s, why) for why, until_s in self._paused_until_s.items())
        return max(((s, why) for s, why in left if s > 0), default=(0.0, None))

    def _eta_s(self, planned: int | None, resumed: int, pages_per_s: float) -> float | None:
        if planned is None:
            return None
        left = max(0, planned - resumed - self._counts.pages_staged - self._counts.pages_given_up)
        if not left:
            return 0.0
        return left / pages_per_s if pages_per_s else None


class AllowedRate:
    """The rate that the API is asked at: the `configured` one (0: no limit), or what it stands.

    The mean begins at `from_s` seconds, and knows no time without a limit.
    """

    def __init__(self, configured: float, from_s: float) -> None:
        self.slowed: Slowed | None = None
        self._rate = self._configured = configured
        self._until_s = from_s
        self._sum = self._covered_s = 0.0

    def change(self, now_s: float, event: RateChanged) -> None:
        """Note that the rate is another from now on."""
        self._cover(now_s, self._rate)
        self._rate = rate = event.rate
        before = self.slowed.by if self.slowed else ""  # only who was refused knows why
        self.slowed = Slowed(
            by=event.reason or before,
            is_told=event.is_told,
            rate=rate,
            lowest=min(rate, self.slowed.lowest) if self.slowed else rate,
            is_over=rate == self._configured,
        )

    def pause(self, now_s: float, until_s: float) -> None:
        """Note that no request is allowed until then."""
        self._cover(now_s, self._rate)
        self._cover(until_s, 0.0)

    def mean(self, now_s: float) -> float | None:
        """Return the mean rate up to now; None where nothing is known of it."""
        self._cover(now_s, self._rate)
        return self._sum / self._covered_s if self._covered_s else None

    def _cover(self, until_s: float, rate: float) -> None:
        seconds = until_s - self._until_s
        if seconds <= 0:
            return
        self._until_s = until_s
        if self._rate:
            self._sum += seconds * rate
            self._covered_s += seconds


class MemorySlope:
    """Growth of a sum over processes: least squares in one pass (Welford's recurrences).

    The sum jumps when a process comes or goes, which is no growth. So each set
    of processes has its own mean, and all of them share one slope.
    """

    def __init__(self) -> None:
        self._names: frozenset[str] = frozenset()
        self._samples = 0
        self._mean_s = self._mean_bytes = 0.0
        self._covered_s = self._until_s = 0.0
        self._sum_ss = self._sum_sb = 0.0

    def add(self, now_s: float, total_bytes: int, names: frozenset[str]) -> None:
        """Note the memory of the processes `names` at `now_s` seconds."""
        if names != self._names:
            self._names, self._samples, self._until_s = names, 0, now_s
            self._mean_s = self._mean_bytes = 0.0
        self._samples += 1
        self._covered_s += now_s - self._until_s
        self._until_s = now_s
        before_s = now_s - self._mean_s
        self._mean_s += before_s / self._samples
        self._mean_bytes += (total_bytes - self._mean_bytes) / self._samples
        self._sum_ss += before_s * (now_s - self._mean_s)
        self._sum_sb += before_s * (total_bytes - self._mean_bytes)

    def mb_per_min(self) -> float | None:
        """Return the slope in MB (10**6 bytes) per minute; None below `MIN_SLOPE_S` seconds."""
        if self._covered_s < MIN_SLOPE_S or not self._sum_ss:
            return None
        return self._sum_sb / self._sum_ss * 60 / 1e6


class _SlidingCount:
    """Events in the last `WINDOW_S` seconds, counted by the second."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}

    def add(self, now_s: float, count: int) -> None:
        second = int(now_s)
        self._counts[second] = self._counts.get(second, 0) + count
        for old in [s for s in self._counts if s <= second - WINDOW_S]:
            del self._counts[old]

    def per_second(self, now_s: float) -> float:
        first = int(now_s) - WINDOW_S + 1
        total = sum(count for second, count in self._counts.items() if second >= first)
        return _ratio(total, min(now_s, now_s - first))


def _percentiles(name: str, histogram: LatencyHistogram) -> dict[str, Any]:
    return {f"{name}_p{percent}_s": histogram.percentile(percent) for percent in (50, 95, 99)}


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0
