"""Intake: every page of the feed into staging. Leases, retries, restarts and measurements.

The parent's loop. A page is leased, fetched, queued, staged; only the writer's word
that its transaction committed makes it done. A failed attempt comes back here, and
`retry.py` says when, or whether, the page is leased again: no fetcher waits for it.
"""

from __future__ import annotations

import heapq
import logging
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from carsync import failpoints
from carsync.config.sections import Config
from carsync.engine.local.fleet import Fleet, Worker, WorkerLost
from carsync.engine.messages import (
    BreakerOpened,
    PageFailed,
    PageFetched,
    PageLease,
    PagesStaged,
    WorkerFailed,
)
from carsync.errors import (
    ApiAuthError,
    CarsyncError,
    DatabaseError,
    FailureKind,
    RejectBudgetError,
    WorkersDiedError,
    revive,
)
from carsync.model import ProbeVerdict
from carsync.run.api_health import ApiHealth
from carsync.run.metrics import Metrics
from carsync.run.probes import ProbeRunner
from carsync.run.signals import StopSignal
from carsync.source.pagination.plan import PagePlan
from carsync.source.retry import next_delay_s

log = logging.getLogger(__name__)

TURN_S = 0.1
DRAIN_S = 60.0
"""How long the children may take to finish what they have in hand."""
REST_OPENINGS = 2
"""How often in a row the breaker opens before the last, ever failing pages are given up."""
MAX_RESTARTS = 5
RESTART_BACK_OFF_S = (0.0, 1.0, 2.0, 5.0, 10.0)
MIN_RECORDS_TO_JUDGE = 1000
"""How many records are seen before `sync.max_reject_share` can end a run early."""


class Intake:
    """One run's intake. `tick` is called several times a second for progress and checkpoint.

    `new_fleet(used)` builds a fleet; `used`: another has asked the API just before it.
    `reread_ledger` marks in the plan what the ledger holds, after a fleet was lost.
    `note_failure(event, given_up)` counts and tells a failed attempt at a page.
    """

    def __init__(
        self,
        config: Config,
        plan: PagePlan,
        metrics: Metrics,
        new_fleet: Callable[[bool], Fleet],
        reread_ledger: Callable[[], object],
        stop: StopSignal,
        tick: Callable[[Fleet, str], None],
        note_failure: Callable[[PageFailed, bool], None],
    ) -> None:
        self._config = config
        self._plan = plan
        self._metrics = metrics
        self._new_fleet = new_fleet
        self._reread_ledger = reread_ledger
        self._stop = stop
        self._tick = tick
        self._note_failure = note_failure
        self._fleet = new_fleet(False)
        self._restarts = 0
        self._patience = ApiHealth(config.limits.circuit_breaker, metrics, time.monotonic)
        self._out: dict[int, int] = {}  # page → attempt: leased, not yet staged or failed
        self._rate_limited: Counter[int] = Counter()  # 429s by page
        self._due: list[tuple[float, int, int]] = []  # heap of retries: when, page, attempt
        self._records = 0
        self._rejects = 0
        self._inquiry = ProbeRunner(
            lambda: self._fleet, self._restart, self._patience.silence, metrics, stop, tick
        )

    def __enter__(self) -> Intake:
        if (lost := self._fleet.start()) is not None:
            self._restart(lost)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._fleet.kill()

    def run(self) -> None:
        """Bring in every page, or raise the error that ended it.

        Returns when each planned page is staged or has failed for good, or when a
        stop was asked for; what was in hand is staged first, except after a second
        signal or where the database or the processes failed.
        """
        try:
            while not self._finished() and not self._stop.requested:
                self._lease()
                self._turn("fetching")
        except (DatabaseError, WorkersDiedError):
            raise
        except CarsyncError:
            self._drain()
            raise
        if self._stop.requested:
            log.info("stopping: staging what is in hand")
            self._drain()
        elif self._plan.staged_count == 0:
            raise self._patience.unreadable()

    def probe(self, record_ids: Sequence[str], pages: Mapping[str, int]) -> dict[str, ProbeVerdict]:
        """Ask the API for single records, as `Inquiry.ask` says; `testimony.py` judges them."""
        return self._inquiry.ask(record_ids, pages)

    def _finished(self) -> bool:
        return self._plan.is_exhausted and not self._out and not self._due

    def _lease(self) -> None:
        """Top up every fetcher to twice its threads: retries that are due first, then new pages."""
        for fetcher in self._fleet.fetchers:
            room = fetcher.capacity - len(fetcher.pages)
            leases: list[PageLease] = []
            while len(leases) < room and (lease := self._next_lease()) is not None:
                leases.append(lease)
                self._out[lease.page] = lease.attempt
                fetcher.pages.add(lease.page)
            if leases:
                self._fleet.lease(fetcher, tuple(leases))
                failpoints.reach("intake.leased")

    def _next_lease(self) -> PageLease | None:
        if self._due and self._due[0][0] <= time.monotonic():
            _, page, attempt = heapq.heappop(self._due)
        else:
            next_page = self._plan.next_page()
            if next_page is None:
                return None
            page, attempt = next_page, 1
        return PageLease(page, attempt, self._plan.planned)

    def _turn(self, phase: str) -> None:
        """Handle what the children said, then let the caller show and save it."""
        for child, event in self._fleet.events(TURN_S):
            if isinstance(event, WorkerLost):
                self._restart(event)
                break
            self._handle(child, event)
        self._tick(self._fleet, phase)

    def _handle(self, child: Worker, event: Any) -> None:
        match event:
            case PageFetched():
                child.pages.discard(event.page)
                self._patience.page_came()
                self._metrics.page_fetched(event)
                self._plan.observe(
                    event.page, event.records, event.reported_pages, event.reported_records
                )
                self._judge_rejects(event)
            case PagesStaged():
                self._metrics.pages_staged(event)
                for staged in event.pages:
                    self._plan.mark_staged(
                        staged.page,
                        staged.records,
                        staged.reported_pages,
                        staged.reported_records,
                    )
                    self._out.pop(staged.page, None)
                failpoints.reach("intake.staged")
            case PageFailed():
                child.pages.discard(event.page)
                self._page_failed(event)
            case BreakerOpened():
                self._breaker_opened(event)
            case WorkerFailed():
                raise revive(event.error, event.problem, event.detail, event.hint)

    def _page_failed(self, event: PageFailed) -> None:
        if self._out.pop(event.page, None) is None:
            return  # it was given up meanwhile
        self._rate_limited[event.page] += event.kind is FailureKind.RATE_LIMITED
        self._patience.page_failed(event)
        delay_s = next_delay_s(
            event.kind,
            event.attempt,
            event.retry_after_s,
            self._config.limits.retry,
            random.random,
            rate_limited=self._rate_limited[event.page],
        )
        self._note_failure(event, delay_s is None)
        if event.kind is FailureKind.AUTH:
            raise ApiAuthError(event.problem, hint=event.hint)
        if event.kind is FailureKind.RATE_LIMITED:
            self._patience.judge_silence()
        if delay_s is None:
            log.warning(
                "page %d given up: %s", event.page, event.problem, extra=_attempt("given_up", event)
            )
            self._plan.fail(event.page, event.problem)
            if self._plan.planned is None and self._plan.staged_count == 0:
                raise self._patience.unreadable()  # the first answer decides how to go on
            return
        log.debug(
            "page %d, attempt %d: %s; again in %.1f s",
            event.page,
            event.attempt,
            event.problem,
            delay_s,
            extra={**_attempt("retry", event), "wait_s": round(delay_s, 3)},
        )
        heapq.heappush(self._due, (time.monotonic() + delay_s, event.page, event.attempt + 1))

    def _breaker_opened(self, event: BreakerOpened) -> None:
        self._patience.breaker_opened(event)
        if event.openings >= REST_OPENINGS and self._give_up_rest(self._patience.problem):
            return
        self._patience.judge_breaker(event)

    def _give_up_rest(self, problem: str) -> bool:
        """Give up the pages that are left where each has failed before; say whether it was so.

        At the end of a feed with broken pages only their retries are left. These then fail
        in a row because of the pages, and the rest of the feed need not wait for them.
        """
        in_hand = {page for fetcher in self._fleet.fetchers for page in fetcher.pages}
        unleased = (self._plan.planned or math.inf) - self._plan.staged_count
        unleased -= len(self._plan.failed) + len(self._out) + len(self._due)
        if unleased > 0 or any(self._out[page] == 1 for page in in_hand):
            return False
        rest = in_hand.union(page for _, page, _ in self._due)
        self._metrics.pages_given_up(len(rest))
        for page in rest:
            log.warning(
                "page %d given up: %s",
                page,
                problem,
                extra={"event": "page_given_up", "page": page, "problem": problem},
            )
            self._out.pop(page, None)
            self._plan.fail(page, problem)
        self._due.clear()
        return True

    def _judge_rejects(self, event: PageFetched) -> None:
        """End the run early when far too many records cannot be mapped."""
        self._records += event.records
        self._rejects += event.rejects
        if self._records >= MIN_RECORDS_TO_JUDGE:
            judge_rejects(self._rejects, self._records, self._config.sync.max_reject_share)

    def _restart(self, lost: WorkerLost) -> None:
        """End the fleet, wait a moment, start a new one and lease again what is not staged."""
        self._fleet.kill()
        if self._restarts >= MAX_RESTARTS:
            raise WorkersDiedError(
                f"worker processes kept dying ({self._restarts} restarts)",
                detail=f"{lost.name} {lost.reason}",
                hint="look at the log and at memory (a SIGKILL may be the kernel's OOM killer); "
                "run again: it resumes",
            )
        log.warning(
            "%s %s: restarting all workers",
            lost.name,
            lost.reason,
            extra={"event": "restart", "child": lost.name, "reason": lost.reason},
        )
        back_off_until_s = time.monotonic() + RESTART_BACK_OFF_S[self._restarts]
        self._restarts += 1
        while time.monotonic() < back_off_until_s and not self._stop.requested:
            self._tick(self._fleet, "restarting")
            time.sleep(TURN_S)
        self._reread_ledger()
        for page in self._out:
            self._plan.give_back(page)
        self._out.clear()
        self._fleet = self._new_fleet(True)
        if (again := self._fleet.start(silence_s=self._patience.silence_s())) is not None:
            self._restart(again)

    def _drain(self) -> None:
        """Let fetchers finish, then writers empty the queue.

        Gives up at a second signal, and where a child fails or hangs: what is not staged
        then is fetched again by the next run.
        """
        for group in (self._fleet.fetchers, self._fleet.writers):
            self._fleet.stop(group, drain=True)
            deadline_s = time.monotonic() + DRAIN_S
            at_work = True
            while at_work:  # once more after their end, for their last words
                at_work = any(child.process.is_alive() for child in group)
                if self._stop.forced or time.monotonic() > deadline_s:
                    return
                for child, event in self._fleet.events(TURN_S if at_work else 0):
                    if isinstance(event, PagesStaged | PageFetched):
                        with suppress(RejectBudgetError):  # judged by whoever merges
                            self._handle(child, event)
                    elif isinstance(event, WorkerLost | WorkerFailed):
                        log.warning("not all that was in hand is staged: %s", _words(event))
                        return
                self._tick(self._fleet, "draining")


def _attempt(what: str, event: PageFailed) -> dict[str, Any]:
    """Return the fields of a log line about a failed attempt."""
    return {
        "event": f"page_{what}",
        "page": event.page,
        "attempt": event.attempt,
        "kind": event.kind,
        "status": event.status,
        "problem": event.problem,
    }


def _words(event: WorkerLost | WorkerFailed) -> str:
    return f"{event.name} {event.reason}" if isinstance(event, WorkerLost) else event.problem


def judge_rejects(rejects: int, records: int, max_share: float) -> None:
    """Raise `RejectBudgetError` when more than `max_share` of the records cannot be mapped."""
    if rejects > max_share * records:
        raise RejectBudgetError(
            f"{rejects:,} of {records:,} records cannot be mapped, more than "
            f"sync.max_reject_share ({max_share:.1%})",
            hint="nothing was merged: see the reasons with `carsync rejects list`, mend the "
            "mapping or raise sync.max_reject_share, then run again: it reads the feed anew",
        )
