"""The API's health: when it has failed, or asked to wait, for long enough to end the run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from carsync import formatting, timing
from carsync.config.sections import Limits
from carsync.engine.messages import BreakerOpened, LimitReached, PageFailed, RateChanged
from carsync.errors import ApiUnavailableError, CarsyncError, FailureKind, WorkersDiedError
from carsync.run.figures.metrics import Metrics
from carsync.source.retry_after import MAX_RETRY_AFTER_S
from carsync.state.figures import Pause

log = logging.getLogger(__name__)

_API_HINT = "check api.base_url and whether the API is up; run again: it resumes"
_WORKERS_HINT = "look at the log and the memory of the workers; `carsync check` examines them"

LONG_WAIT_S = 10.0
"""A wait for a limit that the API tells is worth a line of the log from here on."""


class ApiHealth:
    """Follows failures and pauses; raises `ApiUnavailableError` once they have lasted too long.

    `problem` is the last failed attempt's, in words.
    """

    def __init__(self, limits: Limits, metrics: Metrics, clock: Callable[[], float]) -> None:
        self._breaker = limits.circuit_breaker
        self._max_wait_s = limits.max_wait_s
        self._metrics = metrics
        self._clock = clock
        self._silent_until_s = 0.0
        self._fetched_s = self._clock()  # when the last page came
        self.has_pages = False
        """Whether any page came in this session."""
        self.has_answered = False
        """Whether any answer came in this session, an error or a page."""
        self.lowered_to: float | None = None
        """The rate in requests per second, where the API made it fall; the gate forgets it, too."""
        self.problem = ""
        self._hint = ""
        self._is_workers = False  # the problem is not the API's
        self._is_told = False  # the rate that the API tells

    def page_came(self) -> None:
        """Note that the API gave a page."""
        self.has_pages = self.has_answered = True
        self._fetched_s = self._clock()

    def page_failed(self, event: PageFailed) -> None:
        """Note why an attempt failed, and for how long the API asked to wait."""
        self.problem, self._hint = event.problem, event.hint
        self._is_workers = event.kind is FailureKind.WORKER
        self.has_answered |= event.status is not None
        if event.retry_after_s is not None:
            self.silence(event.retry_after_s)

    def judge_reach(self, event: PageFailed) -> None:
        """End the run where the API never answered and cannot be reached at all."""
        if event.first_attempts is not None and not self.has_answered:
            raise ApiUnavailableError(
                "the API cannot be reached", detail=self.problem, hint=self._hint or _API_HINT
            )

    def silence(self, retry_after_s: float, why: Pause = "rate_limited") -> None:
        """Remember until when the API asked to wait; the gate forgets it with its manager."""
        retry_after_s = min(retry_after_s, MAX_RETRY_AFTER_S)
        self._metrics.pause(why, retry_after_s)
        self._silent_until_s = max(self._silent_until_s, self._clock() + retry_after_s)

    def rate_changed(self, event: RateChanged) -> None:
        """Note the rate that the API stands or tells, and tell it the first time."""
        extra = {"event": "rate_changed", "rate": event.rate, "reason": event.reason}
        extra["is_told"] = event.is_told
        if event.is_told:
            level = logging.DEBUG if self._is_told else logging.INFO
            words = "the API tells its limit (%s): asking at %.3g requests/s"
        else:
            level = logging.WARNING if self.lowered_to is None else logging.DEBUG
            words = "the API refuses requests (%s): asking at %.3g requests/s, more again by and by"
            self.lowered_to = event.rate
        log.log(level, words, event.reason, event.rate, extra=extra)
        self._is_told |= event.is_told
        self._metrics.rate_changed(event)

    def limit_reached(self, event: LimitReached) -> None:
        """Note that nothing is left of a limit that the API tells, and until when."""
        if event.wait_s > self.silence_s() + 1:
            log.log(
                logging.INFO if event.wait_s >= LONG_WAIT_S else logging.DEBUG,
                "nothing is left of the API's limit (%s): waiting %s",
                event.by,
                formatting.duration(event.wait_s),
                extra={"event": "limit_reached", "wait_s": event.wait_s, "by": event.by},
            )
        self.silence(event.wait_s, "limit")

    def judge_wait(self, retry_after_s: float | None) -> None:
        """End the run where the API asks for a longer wait than `limits.max_wait_s`."""
        if retry_after_s is None or retry_after_s <= self._max_wait_s:
            return
        until = formatting.moment(datetime.now(UTC) + timedelta(seconds=retry_after_s))
        raise ApiUnavailableError(
            f"the API asks to wait {formatting.duration(retry_after_s)}, until {until}",
            detail=f"{self.problem}; limits.max_wait_s is {self._max_wait_s:g}",
            hint="the key's quota is probably used up: run again after that time, it resumes; "
            "lower limits.requests_per_second, or ask the API's people for more",
        )

    def silence_s(self) -> float:
        """Return for how many seconds from now on the API asked to wait."""
        return max(0.0, self._silent_until_s - self._clock())

    def breaker_opened(self, event: BreakerOpened) -> None:
        """Count and tell that the circuit breaker opened."""
        self._metrics.breaker_opened(event.open_s)
        log.warning(
            "circuit breaker open for %.0f s (%d of %d): %s",
            event.open_s,
            event.openings,
            self._breaker.give_up_after,
            self.problem or "requests keep failing",
            extra={"event": "breaker_opened", "openings": event.openings, "open_s": event.open_s},
        )

    def judge_breaker(self, event: BreakerOpened) -> None:
        """End the run where the breaker opened too often in a row."""
        if event.openings >= self._breaker.give_up_after:
            raise ApiUnavailableError(
                f"the API kept failing: the circuit breaker opened "
                f"{formatting.plural(event.openings, 'time')} in a row",
                detail=self.problem,
                hint=self._hint or _API_HINT,
            )

    def judge_silence(self) -> None:
        """End the run where the API refuses everything and asks to wait, on and on."""
        silence_s = timing.current().api_silence_s
        waits_until_s = max(self._clock(), self._silent_until_s)
        if waits_until_s - self._fetched_s > silence_s:
            raise ApiUnavailableError(
                f"the API returned no page and asked to wait, for {silence_s / 60:.0f} minutes",
                detail=self.problem,
                hint="lower limits.requests_per_second, or ask the API's owner about the key's "
                "quota; run again: it resumes",
            )

    def unreadable(self) -> CarsyncError:
        """Return the error for a feed of which no page could be read, or none be staged."""
        if self._is_workers:
            return WorkersDiedError(
                "no worker could bring in a page of the feed",
                detail=self.problem,
                hint=self._hint or _WORKERS_HINT,
            )
        return ApiUnavailableError(
            "no page of the feed could be read", detail=self.problem, hint=self._hint or _API_HINT
        )
