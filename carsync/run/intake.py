"""Intake: every page of the feed into staging. What is done next.

The parent's loop. A page is leased, fetched, queued, staged; only the word that its
transaction committed makes it done. `leases.py` says which page is leased next, and
`retries.py` when one that failed is: no worker waits for it. `page_judge.py` says what an
answer means for the whole feed, `feed_ends.py` whether the feed has ended.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from carsync import failpoints, formatting, timing
from carsync.config.lists import REMOVAL_PAGES, is_removal
from carsync.destination import staging
from carsync.engine.base import Engine
from carsync.engine.messages import (
    BreakerOpened,
    EngineLost,
    Event,
    LimitReached,
    PageFailed,
    PageFetched,
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
    LockedError,
    RejectBudgetError,
    WorkersDiedError,
    revive,
)
from carsync.run.api_health import ApiHealth
from carsync.run.budget.forecast import Forecast
from carsync.run.context import RunContext
from carsync.run.feed_ends import FeedEnds
from carsync.run.leases import Leases
from carsync.run.page_judge import PageJudge
from carsync.run.probes import ProbeRunner
from carsync.run.resume import mark_ledger
from carsync.run.supervisor import TURN_S, EngineSupervisor
from carsync.source.pagination.lists import REMOVALS
from carsync.state import runs

log = logging.getLogger(__name__)

REST_OPENINGS = 2
"""Breaker openings in a row after which the remaining pages, all failed before, are given up."""


class Intake:
    """One run's intake, as a context manager around the engine's life."""

    def __init__(
        self,
        context: RunContext,
        new_engine: Callable[[bool], Engine],
        hear: Callable[[PageFetched], None] = lambda _: None,
    ) -> None:
        """Read with the engines of `new_engine`; `hear` is told of each page first."""
        self._context = context
        self._hear = hear
        self._lists, self._plan = context.lists, context.plan
        self._health = ApiHealth(context.config.limits, context.metrics, time.monotonic)
        self._supervisor = EngineSupervisor(context, new_engine, self._health)
        probes = ProbeRunner(context, self._supervisor, self._health)
        self.probe = probes.ask
        self._ends = FeedEnds(context, probes)
        self._leases = Leases(context, self._health)
        self._judge = PageJudge(context)
        self._forecast = Forecast(context)

    def __enter__(self) -> Intake:
        self._forecast.before_reading()
        self._supervisor.engine.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._supervisor.end()

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
                self._forecast.check()
        except (DatabaseError, WorkersDiedError):
            raise
        except CarsyncError:
            self._drain()
            raise
        if stop.requested:
            log.info("stopping: staging the fetched pages")
            self._drain()

    def _is_done(self) -> bool:
        if not self._plan.is_exhausted or self._leases:
            return False
        if self._plan.staged_count == 0:
            raise self._health.unreadable()
        return self._ends.are_proved()

    def _lease(self) -> None:
        for expired in self._leases.take_expired():
            self._restart(expired)
        self._leases.fill(self._supervisor.engine)

    def _restart(self, expired: PageFailed) -> None:
        """Drop what is staged of a list, and read it from its first page."""
        context = self._context
        dropped, pages = self._plan.restart(expired.page)
        staging.clear(context.connection, context.run.run_id, pages)
        if not is_removal(expired.page):
            context.pages_dropped(dropped, pages)
        words = self._lists.of_page(expired.page, expired.problem)
        context.note(
            f"{words}: what led to this page is not valid any more, so carsync "
            f"drops {formatting.plural(dropped, 'staged page')} and reads the feed from its first "
            "page"
        )
        self._leases.drop(pages)
        self._judge.forget(self._lists.locate(expired.page)[0].index)

    # ── events ───────────────────────────────────────────────────────────────

    def _turn(self, phase: str) -> None:
        """Handle what the engine reports, then let the run be shown and saved."""
        for event in self._supervisor.events(TURN_S):
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
                raise self._error_of(event)

    def _error_of(self, event: WorkerFailed) -> CarsyncError:
        """Return a worker's error; one to which the run is not ours may look into another place."""
        error = revive(event.error, event.problem, event.detail, event.hint)
        if isinstance(error, LockedError):
            run = self._context.run
            known = runs.find_run(self._context.connection, run.run_id)
            if known is not None and known.token == run.token:
                return DatabaseError(
                    f"a worker's database is not that of run {run.run_id}",
                    hint="the database.dsn of each worker must lead to the run's database: "
                    "`carsync check` compares them",
                )
        return error

    def _page_fetched(self, event: PageFetched) -> None:
        self._leases.fetched(event.page)
        self._hear(event)
        self._health.page_came()
        self._context.metrics.page_fetched(event)
        self._plan.observe(event.page, event.records, event.info)
        if over := self._plan.revive_over(event.page):  # the end was told after they had failed
            self._context.metrics.pages_gone(over)
        try:
            self._judge.judge(event)
        except ConfigError as exc:
            if not is_removal(event.page):
                raise
            self._give_up_removals(f"{REMOVALS}: {exc.problem}; {exc.hint}")

    def _pages_staged(self, event: PagesStaged) -> None:
        fresh = tuple(staged for staged in event.pages if self._leases.staged(staged.page))
        rows = event.rows if len(fresh) == len(event.pages) else sum(each.rows for each in fresh)
        self._context.metrics.pages_staged(PagesStaged(fresh, rows, event.busy_s))
        for staged in event.pages:
            self._plan.mark_staged(staged.page, staged.records, staged.info)
        failpoints.reach("intake.staged")

    def _page_failed(self, event: PageFailed) -> None:
        if event.kind is FailureKind.WORKER and self._was_staged(event.page):
            return
        if not self._leases.failed(event):
            return  # it was given up meanwhile
        self._health.page_failed(event)
        delay_s = self._leases.delay_s(event)
        is_expired = delay_s is None and self._leases.has_expired(event)
        is_last = delay_s is None and not is_expired
        self._context.attempt_failed(event, given_up=is_last and not is_removal(event.page))
        if is_expired:
            self._leases.expire(event)
            return
        if delay_s is None:
            self._health.judge_reach(event)
        if delay_s is None and is_removal(event.page):
            self._give_up_removals(self._lists.of_page(event.page, event.problem))
            return
        if event.kind is FailureKind.AUTH:
            raise ApiAuthError(event.problem, hint=event.hint)
        if event.kind is FailureKind.RATE_LIMITED:
            self._health.judge_wait(event.retry_after_s)
            self._health.judge_silence()
        if delay_s is None:
            self._give_up(event.page, event.problem, self._attempt("given_up", event))
            if self._plan.of(event.page).is_unreadable and len(self._lists.all) == 1:
                raise self._health.unreadable()
            if self._plan.is_behind(event.page):
                self._judge.explain_end(event)
            return
        log.debug(
            "page %s, attempt %d: %s; again in %.1f s",
            *(self._lists.label(event.page), event.attempt, event.problem, delay_s),
            extra={**self._attempt("retry", event), "wait_s": round(delay_s, 3)},
        )
        self._leases.retry(event, delay_s)

    def _was_staged(self, page: int) -> bool:
        """Say whether a worker that is lost had staged the page: its last word is lost, too."""
        line = staging.find_page(self._context.connection, self._context.run.run_id, page)
        if line is not None:
            self._pages_staged(PagesStaged((line,), line.rows, 0.0))
        return line is not None

    def _give_up_removals(self, problem: str) -> None:
        """Read no more tombstones in this run; the feed itself is read all the same."""
        if self._plan.removals_problem:  # pages that were in hand
            return
        self._plan.give_up_removals(problem)
        self._leases.drop(REMOVAL_PAGES)
        log.warning(
            "given up: %s", problem, extra={"event": "removals_given_up", "problem": problem}
        )

    def _give_up(self, page: int, problem: str, extra: dict[str, Any]) -> None:
        log.warning("given up: %s", self._lists.of_page(page, problem), extra=extra)
        self._plan.fail(page, problem)

    def _breaker_opened(self, event: BreakerOpened) -> None:
        self._health.breaker_opened(event)
        if self._plan.is_reading_removals and event.openings >= REST_OPENINGS:
            self._give_up_removals(f"{REMOVALS}: {self._health.problem}")
            return
        if event.openings < REST_OPENINGS or not self._give_up_rest(self._health.problem):
            self._health.judge_breaker(event)

    def _give_up_rest(self, problem: str) -> bool:
        """Give up the pages that are left where each has failed before; say whether it was so.

        At the end of a feed with broken pages only their retries are left. These then fail
        in a row because of the pages, and the rest of the feed need not wait for them.
        """
        rest = self._leases.failed_before()
        if rest is None:
            return False
        self._context.metrics.pages_given_up(len(rest))
        for page in rest:
            extra = {
                "event": "page_given_up",
                **self._lists.place(page),
                "problem": problem,
            }
            self._give_up(page, problem, extra)
        self._leases.drop(rest)
        return True

    def _attempt(self, what: str, event: PageFailed) -> dict[str, Any]:
        return {
            "event": f"page_{what}",
            **self._lists.place(event.page),
            "attempt": event.attempt,
            "kind": event.kind,
            "status": event.status,
            "problem": event.problem,
        }

    # ── loss and end of the engine ───────────────────────────────────────────

    def _replace_engine(self, lost: EngineLost) -> None:
        """Start another engine, and lease again what is not staged."""
        self._supervisor.replace(lost)
        mark_ledger(self._context, self._context.run.run_id)
        self._leases.give_back()

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
            for event in self._supervisor.events(TURN_S if at_work else 0):
                if isinstance(event, PagesStaged | PageFetched):
                    with suppress(RejectBudgetError):  # judged by whoever merges
                        self._handle(event)
                elif isinstance(event, EngineLost | WorkerFailed):
                    log.warning("not all fetched pages are staged: %s", _words(event))
                    return
            self._context.tick(engine, "draining")


def _words(event: EngineLost | WorkerFailed) -> str:
    return f"{event.name} {event.reason}" if isinstance(event, EngineLost) else event.problem
