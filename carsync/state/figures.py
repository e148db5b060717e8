"""The figures of a run: one record, which metrics makes and everybody else holds or extends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from carsync.state.api_use import ApiUse, Quota

Pause = Literal["rate_limited", "limit", "breaker"]
"""Why nobody asks the API for a while: the API said so (Retry-After), nothing is left of a limit
that it tells, or it kept failing."""


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """How long the API took to answer, in seconds: the mean, and percentiles within 1 %."""

    mean_s: float
    p50_s: float
    p95_s: float
    p99_s: float


class Slowed(msgspec.Struct, frozen=True, kw_only=True):
    """The API refused requests (`by`: HTTP 503), and the rate fell; requests per second.

    `is_over`: the rate is the configured one again. `is_told`: no refusal was needed, the API
    tells its limit (`by`: X-RateLimit).
    """

    by: str
    rate: float
    lowest: float
    is_over: bool = False
    is_told: bool = False


class KeptFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a run at one moment that its samples and its checkpoint keep, too.

    Rates are per second. `rows_staged` counts the whole run; `rejects`, `attempts`, `retries`,
    `errors` (by class) and `wire_bytes` count one session. `pages_per_s` is the rate of the
    last half minute, as is `recent_rows_per_s`; `recent_latency_…` are percentiles of the last
    half minute to minute, None where nothing was answered.
    """

    elapsed_s: float = 0.0
    pages_planned: int | None = None
    pages_given_up: int = msgspec.field(default=0, name="pages_failed")
    rows_staged: int = 0
    rejects: int = 0
    pages_per_s: float = 0.0
    recent_rows_per_s: float = 0.0
    recent_latency_p50_s: float | None = None
    recent_latency_p95_s: float | None = None
    recent_latency_p99_s: float | None = None
    queue_depth: int = 0
    rss_bytes: int = 0
    wire_bytes: int = 0
    attempts: int = 0
    retries: int = 0
    errors: dict[str, int] = {}
    breaker_openings: int = 0


class Figures(KeptFigures, frozen=True, kw_only=True):
    """All figures of a run at one moment; None where nothing can be said yet.

    `pages_staged` counts this session, `pages_resumed` those that an earlier one had staged.
    `latency_…` are those of all good answers. Mean rates end with the last page staged, so that
    the merge does not dilute them. `error_rate` is the share of attempts at pages that failed;
    `attempts` and `errors` count all requests; refusals that made the rate fall are no failures.
    `allowed_per_s_mean` is the rate that requests were allowed at, after the warm-up and with
    nothing for the time of a Retry-After; None without a limit. For `paused_s` seconds more no
    page is asked for, because of `pause`. `lists_done` counts the feed's lists that were read, or
    cannot be, `lists_planned` all; 0: it has none. `requests` counts those of the run by kind, an
    earlier session's too; `api_use` those of all runs; `quotas` are told by the API's own headers.
    `tombstones` counts the records of the feed of removals that the whole run has staged.
    """

    pages_resumed: int
    pages_staged: int
    records: int
    pages_per_s_mean: float
    pages_per_s_after_warmup: float | None
    rows_per_s: float
    writer_rows_per_busy_s: float | None
    eta_s: float | None
    latency_mean_s: float | None
    latency_p50_s: float | None
    latency_p95_s: float | None
    latency_p99_s: float | None
    body_bytes: int
    error_rate: float
    probes: dict[str, int]
    queue_depth_peak: int
    rss_by_process: dict[str, int]
    rss_peak_bytes: int
    rss_slope_mb_per_min: float | None
    paused_s: float = 0.0
    pause: Pause | None = None
    allowed_per_s_mean: float | None = None
    slowed: Slowed | None = None
    lists_planned: int = 0
    lists_done: int = 0
    requests: dict[str, int] = {}
    api_use: ApiUse | None = None
    quotas: tuple[Quota, ...] = ()
    tombstones: int = 0

    @property
    def pages_done(self) -> int:
        """The pages of the whole run that are staged."""
        return self.pages_resumed + self.pages_staged

    @property
    def latency(self) -> Latency | None:
        """The answer times of the session so far; None before the first answer."""
        mean, p50 = self.latency_mean_s, self.latency_p50_s
        p95, p99 = self.latency_p95_s, self.latency_p99_s
        if mean is None or p50 is None or p95 is None or p99 is None:
            return None
        return Latency(mean_s=mean, p50_s=p50, p95_s=p95, p99_s=p99)

    def kept(self) -> dict[str, Any]:
        """Return the fields of `KeptFigures` by name, to make another record of them."""
        return {name: getattr(self, name) for name in KeptFigures.__struct_fields__}


def rss_by_role(rss_by_process: Mapping[str, int]) -> dict[str, list[int]]:
    """Group the memory of processes, in bytes, by what the processes are for.

    >>> rss_by_role({"parent": 5, "fetcher-1": 7, "fetcher-2": 8})
    {'parent': [5], 'fetcher': [7, 8]}
    """
    roles: dict[str, list[int]] = {}
    for process, size_bytes in rss_by_process.items():
        roles.setdefault(process.partition("-")[0], []).append(size_bytes)
    return roles
