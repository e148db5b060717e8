"""Intake: every page of the feed into staging. Leases, retries and measurements.

The parent's loop. A page is leased, fetched, queued, staged; only the word that its
transaction committed makes it done. A failed attempt comes back here, and `retry.py`
says when, or whether, the page is leased again: no worker waits for it.
"""

from __future__ import annotations

import heapq
import logging
import math
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from carsync import failpoints, formatting, timing
from carsync.destination import staging
from carsync.engine.base import Engine
from carsync.engine.messages import (
    BreakerOpened,
    EngineLost,
    Event,
    LimitReached,
    PageFailed,
    PageFetched,
    PageLease,
    PageNamed,
    PagesStaged,
    RateChanged,
    WorkerFailed,
)
from carsync.errors import (
    ApiAuthError,
    CarsyncError,
    ConfigError,
    DatabaseError,
    FailureKind,
    RejectBudgetError,
    WorkersDiedError,
    revive,
)
from carsync.run.api_health import ApiHealth
from carsync.run.context import RunContext
from carsync.run.feed_ends import FeedEnds
from carsync.run.probes import ProbeRunner
from carsync.run.resume import mark_ledger
from carsync.run.supervisor import TURN_S, EngineSupervisor
from carsync.source.pagination.base import end_status_hint
from carsync.source.pagination.repeats import FirstPages, RepeatDetector
from carsync.source.retry import next_delay_s

log = logging.getLogger(__name__)

REST_OPENINGS = 2
"""Breaker openings in a row after which the remaining pages, all failed before, are given up."""
MAX_RESTARTS = 2
"""A feed whose next page is refused is read anew this often in a session."""
FIRST_RETRY_S = 1.0
"""A run whose first request cannot connect tries once more after this long; a server that is only
restarted takes about that. systemd's unit runs again after five minutes in any case."""
MIN_RECORDS_TO_JUDGE = 1000
"""Before this many records were seen, `sync.max_reject_share` ends no run."""


@dataclass(slots=True)
class _Out:
    """A page that is leased and neither staged nor failed; `in_hand`: not even fetched."""

    attempt: int
    in_hand: bool = True


class Intake:
    """One run's intake, as a context manager around the engine's life."""

    def __init__(self, context: RunContext, new_engine: Callable[[bool], Engine]) -> None:
        self._context = context
        self._config = context.config
        self._plan = context.plan
        self._health = ApiHealth(context.config.limits, context.metrics, time.monotonic)
        self._supervisor = EngineSupervisor(context, new_engine, self._health)
        probes = ProbeRunner(context, self._supervisor, self._health)
        self.probe = probes.ask
        self._ends = FeedEnds(context, probes)
        self._out: dict[int, _Out] = {}
        self._rate_limited: Counter[int] = Counter()  # 429s by page
        self._due: list[tuple[float, int, int]] = []  # heap of retries: when, page, attempt
        self._is_end_explained = self._is_answered = False
        self._expired: dict[int, PageFailed] = {}  # by list: why its plan must begin anew
        self._restarts: Counter[int] = Counter()  # by list
        self._repeats: dict[int, RepeatDetector] = {}  # by list
        self._starts = FirstPages()
        self._records = 0
        self._rejects = 0

    def __enter__(self) -> Intake:
        self._supervisor.engine.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._supervisor.engine.kill()

    def run(self) -> None:
        """Bring in every page, or raise the error that ended it.

        Returns when each planned page is staged or has failed permanently, or when a
        stop was asked for; what was in hand is staged first, except after a second
        signal or where the database or the processes failed.
        """
        stop = self._context.stop
        try:
            while not stop.requested and not self._is_done():
                self._lease()
                self._turn("fetching")
        except (DatabaseError, WorkersDiedError):
            raise
        except CarsyncError:
            self._drain()
            raise
        if stop.requested:
            log.info("stopping: staging the fetched pages")
            self._drain()

    def _is_done(self) -> bool:
        if not self._plan.is_exhausted or self._out or self._due:
            return False
        if self._plan.staged_count == 0:
            raise self._health.unreadable()
        return self._ends.are_proved()

    # ── leases ───────────────────────────────────────────────────────────────

    def _lease(self) -> None:
        """Fill the engine's room: retries that are due first, then new pages.

        The first request of a session goes alone: it tells whether the key is good.
        """
        if self._expired:
            if self._out:
                return
            for expired in self._expired.values():
                self._restart(expired)
            self._expired.clear()
        engine = self._supervisor.engine
        room = engine.room() if self._is_answered else 1 - len(self._out)
        leases: list[PageLease] = []
        while len(leases) < room and (lease := self._next_lease()) is not None:
            leases.append(lease)
            self._out[lease.page] = _Out(lease.attempt)
        if leases:
            engine.lease(leases)
            failpoints.reach("intake.leased")

    def _next_lease(self) -> PageLease | None:
        if self._due and self._due[0][0] <= time.monotonic():
            _, page, attempt = heapq.heappop(self._due)
        else:
            next_page = self._plan.next_page()
            if next_page is None:
                return None
            page, attempt = next_page, 1
        token, is_proved = self._plan.token(page), self._health.has_pages
        is_over, planned = self._plan.is_over(page), self._plan.of(page).planned
        return PageLease(page, attempt, planned, token, is_proved, is_over)

    def _restart(self, expired: PageFailed) -> None:
        """Drop what is staged of a list, and read it from its first page."""
        context, index = self._context, self._index(expired.page)
        dropped, pages = self._plan.restart(expired.page)
        staging.clear(context.connection, context.run.run_id, pages)
        context.pages_dropped(dropped)
        context.note(
            f"{self._of_page(expired)}: what led to this page is not valid any more, so carsync "
            f"drops {formatting.plural(dropped, 'staged page')} and reads the feed from its first "
            "page"
        )
        self._due = [retry for retry in self._due if retry[1] not in pages]
        heapq.heapify(self._due)
        self._repeats.pop(index, None)
        self._restarts[index] += 1

    def _index(self, page: int) -> int:
        return self._context.lists.locate(page)[0].index

    def _of_page(self, event: PageFailed) -> str:
        return self._context.lists.of_page(event.page, event.problem)

    # ── events ───────────────────────────────────────────────────────────────

    def _turn(self, phase: str) -> None:
        """Handle what the engine reports, then let the run be shown and saved."""
        for event in self._supervisor.engine.events(TURN_S):
            if isinstance(event, EngineLost):
                self._replace_engine(event)
                break
            self._handle(event)
        self._context.tick(self._supervisor.engine, phase)

    def _handle(self, event: Event) -> None:
        match event:
            case PageNamed():
                self._plan.name_next(event.page, event.token)
            case PageFetched():
                self._page_fetched(event)
            case PagesStaged():
                self._pages_staged(event)
            case PageFailed():
                self._page_failed(event)
            case BreakerOpened():
                self._breaker_opened(event)
            case RateChanged():
                self._health.rate_changed(event)
            case LimitReached():
                self._health.limit_reached(event)
            case WorkerFailed():
                raise revive(event.error, event.problem, event.detail, event.hint)

    def _page_fetched(self, event: PageFetched) -> None:
        if (out := self._out.get(event.page)) is not None:
            out.in_hand = False
        self._is_answered = True
        self._health.page_came()
        self._context.metrics.page_fetched(event)
        self._plan.observe(event.page, event.records, event.info)
        if over := self._plan.revive_over(event.page):  # the end was told after they had failed
            self._context.metrics.pages_gone(over)
        self._judge_size(event)
        self._judge_repeats(event)
        self._records += event.records
        self._rejects += event.rejects
        if self._records >= MIN_RECORDS_TO_JUDGE:  # end early where far too many are rejected
            judge_rejects(self._rejects, self._records, self._config.sync.max_reject_share)

    def _judge_size(self, event: PageFetched) -> None:
        """Stop where records lie between pages, because the API serves smaller ones."""
        if (served := self._plan.of(event.page).clamped_to) is None:
            return
        asked = self._config.api.pagination.page_size
        raise ConfigError(
            f"the API serves pages of {formatting.plural(served, 'record')} instead of {asked:,}: "
            "those between two pages would not be read",
            hint=f"set api.pagination.page_size: {served}, or size_param to the name of the "
            "parameter for the page size",
        )

    def _judge_repeats(self, event: PageFetched) -> None:
        """Stop at a page that lists the same records as another: it is no page of its own."""
        feed_list, page = self._context.lists.locate(event.page)
        of = self._plan.list_of(event.page)
        plan = of.plan
        if page == plan.first:
            self._judge_start(feed_list.index, event)
        size = self._config.api.pagination.page_size
        repeats = self._repeats.setdefault(feed_list.index, RepeatDetector(plan.first, size))
        other = repeats.find(page, event.records, event.digest)
        if other is None:
            return
        words = f"page {page:,} lists the same records as page {other:,}"
        if repeats.like_the_first > plan.has_totals:
            hint = self._context.paginator.repeat_hint
            raise ConfigError(f"{words}: only one page can be read", hint=hint)
        if plan.end_at_repeat():
            self._context.note(of.named(f"{words}: the feed ends there"))

    def _judge_start(self, index: int, event: PageFetched) -> None:
        """Stop where lists begin with the same records: the API does not know their parameters."""
        other = self._starts.find(index, event.records, event.digest)
        if other is None:
            return
        names = self._context.lists.names
        params = ", ".join(self._config.api.lists)
        raise ConfigError(
            f"the lists {names[other]} and {names[index]} begin with the same records: the API "
            "may not know the parameter",
            hint=f"check that api.lists names what the API calls it ({params})",
        )

    def _pages_staged(self, event: PagesStaged) -> None:
        self._context.metrics.pages_staged(event)
        for staged in event.pages:
            self._plan.mark_staged(staged.page, staged.records, staged.info)
            self._out.pop(staged.page, None)
        failpoints.reach("intake.staged")

    def _page_failed(self, event: PageFailed) -> None:
        if self._out.pop(event.page, None) is None:
            return  # it was given up meanwhile
        self._is_answered = True
        self._rate_limited[event.page] += event.kind is FailureKind.RATE_LIMITED
        self._health.page_failed(event)
        delay_s = next_delay_s(
            event.kind,
            event.attempt,
            event.retry_after_s,
            self._config.limits.retry,
            random.random,
            rate_limited=self._rate_limited[event.page],
        )
        if event.first_attempts is not None and not self._health.has_answered:
            delay_s = FIRST_RETRY_S if event.attempt < event.first_attempts else None
        if self._plan.is_over(event.page):
            delay_s = 0.0  # not asked for any more: an error behind the end is no page
        is_expired = delay_s is None and self._has_expired(event)
        self._context.attempt_failed(event, given_up=delay_s is None and not is_expired)
        if is_expired:
            self._expired[self._index(event.page)] = event
            return
        if delay_s is None and not self._health.has_answered:
            self._health.judge_reach(event)
        if event.kind is FailureKind.AUTH:
            raise ApiAuthError(event.problem, hint=event.hint)
        if event.kind is FailureKind.RATE_LIMITED:
            self._health.judge_wait(event.retry_after_s)
            self._health.judge_silence()
        if delay_s is None:
            self._give_up(event.page, event.problem, self._attempt("given_up", event))
            if self._plan.of(event.page).is_unreadable and len(self._context.lists.all) == 1:
                raise self._health.unreadable()
            if self._plan.is_behind(event.page):
                self._explain_end(event)
            return
        log.debug(
            "page %s, attempt %d: %s; again in %.1f s",
            self._context.lists.label(event.page),
            event.attempt,
            event.problem,
            delay_s,
            extra={**self._attempt("retry", event), "wait_s": round(delay_s, 3)},
        )
        heapq.heappush(self._due, (time.monotonic() + delay_s, event.page, event.attempt + 1))

    def _has_expired(self, event: PageFailed) -> bool:
        """Say whether a page may be refused because its token was valid for a while only."""
        is_refused = event.kind is FailureKind.CLIENT and event.status is not None
        has_token = self._plan.token(event.page) is not None
        return is_refused and has_token and self._restarts[self._index(event.page)] < MAX_RESTARTS

    def _explain_end(self, event: PageFailed) -> None:
        """Tell once how an error behind the last page is made the feed's end."""
        kinds = {FailureKind.CLIENT, FailureKind.BAD_PAGE}
        has_key = self._config.api.pagination.has_more is not None
        is_named = not self._context.paginator.parallel  # by the page before: no error is the end
        if event.kind not in kinds or self._is_end_explained or has_key or is_named:
            return
        self._is_end_explained = True
        self._context.note(
            f"{self._of_page(event)}; it is behind the last page with "
            "records: " + end_status_hint(self._config.api.pagination, event.status)
        )

    def _give_up(self, page: int, problem: str, extra: dict[str, Any]) -> None:
        log.warning("given up: %s", self._context.lists.of_page(page, problem), extra=extra)
        self._out.pop(page, None)
        self._plan.fail(page, problem)

    def _breaker_opened(self, event: BreakerOpened) -> None:
        self._health.breaker_opened(event)
        if event.openings >= REST_OPENINGS and self._give_up_rest(self._health.problem):
            return
        self._health.judge_breaker(event)

    def _give_up_rest(self, problem: str) -> bool:
        """Give up the pages that are left where each has failed before; say whether it was so.

        At the end of a feed with broken pages only their retries are left. These then fail
        in a row because of the pages, and the rest of the feed need not wait for them.
        """
        in_hand = {page for page, out in self._out.items() if out.in_hand}
        unleased = (self._plan.planned or math.inf) - self._plan.staged_count
        unleased -= len(self._plan.failed) + len(self._out) + len(self._due)
        if unleased > 0 or any(self._out[page].attempt == 1 for page in in_hand):
            return False
        rest = in_hand.union(page for _, page, _ in self._due)
        self._context.metrics.pages_given_up(len(rest))
        for page in rest:
            extra = {"event": "page_given_up", **self._place(page), "problem": problem}
            self._give_up(page, problem, extra)
        self._due.clear()
        return True

    def _attempt(self, what: str, event: PageFailed) -> dict[str, Any]:
        return {
            "event": f"page_{what}",
            **self._place(event.page),
            "attempt": event.attempt,
            "kind": event.kind,
            "status": event.status,
            "problem": event.problem,
        }

    def _place(self, page: int) -> dict[str, Any]:
        """Return the page as the log names it, with its list where the feed has any."""
        feed_list, number = self._context.lists.locate(page)
        return {"page": number, **({"list": feed_list.name} if feed_list.name else {})}

    # ── loss and end of the engine ───────────────────────────────────────────

    def _replace_engine(self, lost: EngineLost) -> None:
        """Start another engine, and lease again what is not staged."""
        self._supervisor.replace(lost)
        mark_ledger(self._context, self._context.run.run_id)
        for page in self._out:
            self._plan.give_back(page)
        self._out.clear()

    def _drain(self) -> None:
        """Let the engine stage what it has in hand.

        Gives up at a second signal, and where a worker fails or hangs: what is not staged
        then is fetched again by the next run.
        """
        engine = self._supervisor.engine
        engine.stop()
        deadline_s = time.monotonic() + timing.current().drain_s
        at_work = True
        while at_work:  # once more after its end, for its last words
            at_work = engine.is_running()
            if self._context.stop.forced or time.monotonic() > deadline_s:
                return
            for event in engine.events(TURN_S if at_work else 0):
                if isinstance(event, PagesStaged | PageFetched):
                    with suppress(RejectBudgetError):  # judged by whoever merges
                        self._handle(event)
                elif isinstance(event, EngineLost | WorkerFailed):
                    log.warning("not all fetched pages are staged: %s", _words(event))
                    return
            self._context.tick(engine, "draining")


def _words(event: EngineLost | WorkerFailed) -> str:
    return f"{event.name} {event.reason}" if isinstance(event, EngineLost) else event.problem


def judge_rejects(rejects: int, records: int, max_share: float) -> None:
    """Raise `RejectBudgetError` when more than `max_share` of the records cannot be mapped."""
    if rejects > max_share * records:
        share, most = formatting.shares(rejects / records, max_share)
        raise RejectBudgetError(
            f"{formatting.part(rejects, records, 'record')} cannot be mapped ({share}), more than "
            f"sync.max_reject_share ({most}); nothing was merged",
            hint="see the reasons with `carsync rejects list`, correct the mapping or raise "
            "sync.max_reject_share, then run again: it reads the whole feed again",
        )
