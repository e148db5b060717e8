"""Requests for single records by id, over the engine and under the same limits as pages."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Collection, Mapping, Sequence

from msgspec.structs import replace

from carsync import failpoints, timing
from carsync.engine.messages import (
    EngineLost,
    LimitReached,
    PageLease,
    ProbeAnswered,
    ProbeLease,
    RateChanged,
    WorkerFailed,
)
from carsync.errors import FailureKind, revive
from carsync.model import ProbeVerdict
from carsync.run.api_health import ApiHealth
from carsync.run.context import RunContext
from carsync.run.supervisor import TURN_S, EngineSupervisor
from carsync.source.retry import RATE_LIMITED_SHARE

log = logging.getLogger(__name__)

ATTEMPTS = 4
"""One record is asked for this often in a round, where an attempt fails for a while.

As for pages, `RATE_LIMITED_SHARE` times as often where a limiter refuses.
"""
_PASSING = frozenset(
    {
        FailureKind.RATE_LIMITED,
        FailureKind.SERVER,
        FailureKind.NETWORK,
        FailureKind.TIMEOUT,
        FailureKind.WORKER,
    }
)


Key = str | int | None
"""What is asked for: a record's id, or a page's number."""


class ProbeRunner:
    """Asks round by round over the supervisor's present engine."""

    def __init__(
        self, context: RunContext, supervisor: EngineSupervisor, health: ApiHealth
    ) -> None:
        self._context = context
        self._supervisor = supervisor
        self._health = health
        self._round = 0
        self._is_proved = False  # a record was answered for: a 403 from then on is a limiter's
        self.no_row: dict[str, str] = {}
        """The records that were found and make no row, and why."""
        self._out: dict[Key, ProbeLease] = {}  # asked, not yet answered

    def ask(self, record_ids: Sequence[str], pages: Mapping[str, int]) -> dict[str, ProbeVerdict]:
        """Ask for records and return id → verdict, without the ids that got no answer in time.

        For an id in `pages` that page is asked whether it lists the record. Raises the
        error of a worker that cannot go on, and `WorkersDiedError`.
        """
        self._round += 1
        answers = self._answers([self._lease(i, pages.get(i)) for i in record_ids])
        return {answer.record_id: answer.verdict for answer in answers if answer.record_id}

    def look(self, page: int) -> ProbeAnswered | None:
        """Ask what a page lists, without staging it; None where no usable answer came."""
        return self.look_at([page])[page]

    def look_at(self, pages: Sequence[int]) -> dict[int, ProbeAnswered | None]:
        """Ask what each of the pages lists, as `look` does of one."""
        self._round += 1
        leases = [ProbeLease(None, self._round, PageLease(page, self._round)) for page in pages]
        found: dict[int, ProbeAnswered | None] = dict.fromkeys(pages)
        for answer in self._answers(leases):
            if answer.page is not None and answer.verdict is not ProbeVerdict.NOTHING:
                found[answer.page] = answer
        return found

    def _answers(self, leases: Sequence[ProbeLease]) -> Collection[ProbeAnswered]:
        answers: dict[Key, ProbeAnswered] = {}
        failed: Counter[Key] = Counter()
        self._out.clear()
        waiting = deque(leases)
        patience_s = timing.current().probe_patience_s
        patient_until_s = time.monotonic() + patience_s
        while not self._should_end() and self._hand_out(waiting):
            for event in self._supervisor.events(TURN_S):
                if isinstance(event, EngineLost):
                    waiting.extend(self._out.values())
                    self._out.clear()
                    self._supervisor.replace(event)
                    break
                if isinstance(event, WorkerFailed):
                    raise revive(event.error, event.problem, event.detail, event.hint)
                if isinstance(event, RateChanged):
                    self._health.rate_changed(event)
                if isinstance(event, LimitReached):
                    self._health.limit_reached(event)
                if not isinstance(event, ProbeAnswered):
                    continue
                if (asked := self._take(event)) is None:
                    continue
                answers[event.key] = event
                if event.verdict is not ProbeVerdict.NOTHING:
                    patient_until_s = time.monotonic() + patience_s
                elif event.failure in _PASSING and failed[asked.key] + 1 < self._most(event):
                    failed[asked.key] += 1
                    waiting.append(asked)  # behind all others; the gate keeps what it was told
            if time.monotonic() > patient_until_s:
                log.warning("no usable answer by id for %.0f s: no more by-id requests", patience_s)
                break
            self._context.tick(self._supervisor.engine, "proving")
        return answers.values()

    def _should_end(self) -> bool:
        return self._context.stop.requested or self._context.requests.problem is not None

    def _lease(self, record_id: str, page: int | None) -> ProbeLease:
        if page is None:
            values = self._context.addresses.get(record_id, ())
            return ProbeLease(record_id, self._round, values=values)
        token = self._context.plan.token(page)
        return ProbeLease(record_id, self._round, PageLease(page, self._round, token=token))

    def _take(self, event: ProbeAnswered) -> ProbeLease | None:
        """Return what was asked; None: nothing of this round."""
        if event.retry_after_s is not None:
            self._health.silence(event.retry_after_s)
        asked = self._out.get(event.key)
        if asked is None or asked.attempt != event.attempt:
            return None  # an answer to an earlier round, which was given up
        del self._out[event.key]
        self._is_proved |= event.verdict is not ProbeVerdict.NOTHING
        self._context.metrics.probe(event, by_id=asked.page is None)
        if asked.page is None and event.record_id is not None:
            self._hear(event, event.record_id)
        if event.failure is not None:
            what = f"page {asked.page}" if event.record_id is None else event.record_id
            log.debug("asked for %s: %s", what, event.detail, extra={"event": "probe_failed"})
        return asked

    def _hear(self, event: ProbeAnswered, record_id: str) -> None:
        """Keep what the API said of a record; its last word counts."""
        self._context.said_by_id[record_id] = event.detail
        if event.no_row:
            self.no_row[record_id] = event.no_row
        if event.row is not None:
            self._context.rows_by_id[record_id] = event.row

    def _most(self, event: ProbeAnswered) -> int:
        """Return how often a record is asked for; patiently where the API is known to be up."""
        is_refused = event.failure is FailureKind.RATE_LIMITED
        is_up = self._health.has_pages or self._is_proved
        return ATTEMPTS * RATE_LIMITED_SHARE if is_refused and is_up else ATTEMPTS

    def _hand_out(self, waiting: deque[ProbeLease]) -> bool:
        """Hand out as much as the engine has room for; say whether any answer is still to come."""
        engine = self._supervisor.engine
        if room := min(engine.room(), len(waiting)):
            proved = self._is_proved
            leases = [replace(waiting.popleft(), is_proved=proved) for _ in range(room)]
            self._out.update((lease.key, lease) for lease in leases)
            engine.lease(leases)
            failpoints.reach("probe.leased")
        return bool(waiting or self._out)
