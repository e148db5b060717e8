"""Requests for single records by id, over the engine and under the same limits as pages."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence

from carsync import failpoints, timing
from carsync.engine.messages import EngineLost, PageLease, ProbeAnswered, ProbeLease, WorkerFailed
from carsync.errors import FailureKind, revive
from carsync.model import ProbeVerdict
from carsync.run.api_health import ApiHealth
from carsync.run.context import RunContext
from carsync.run.supervisor import TURN_S, EngineSupervisor

log = logging.getLogger(__name__)

ATTEMPTS = 4
"""One record is asked for this often in a round, where an attempt fails for a while."""
_PASSING = frozenset(
    {FailureKind.RATE_LIMITED, FailureKind.SERVER, FailureKind.NETWORK, FailureKind.TIMEOUT}
)


class ProbeRunner:
    """Asks round by round over the supervisor's present engine."""

    def __init__(
        self, context: RunContext, supervisor: EngineSupervisor, health: ApiHealth
    ) -> None:
        self._context = context
        self._supervisor = supervisor
        self._health = health
        self._round = 0
        self._out: dict[str, ProbeLease] = {}  # by record id: asked, not yet answered

    def ask(self, record_ids: Sequence[str], pages: Mapping[str, int]) -> dict[str, ProbeVerdict]:
        """Ask for records and return id → verdict, without the ids that got no answer in time.

        For an id in `pages` that page is asked whether it lists the record. Raises the
        error of a worker that cannot go on, and `WorkersDiedError`.
        """
        verdicts: dict[str, ProbeVerdict] = {}
        failed: Counter[str] = Counter()
        self._round += 1
        self._out.clear()
        waiting = deque(self._lease(record_id, pages.get(record_id)) for record_id in record_ids)
        patience_s = timing.current().probe_patience_s
        patient_until_s = time.monotonic() + patience_s
        while self._hand_out(waiting) and not self._context.stop.requested:
            for event in self._supervisor.engine.events(TURN_S):
                if isinstance(event, EngineLost):
                    waiting.extend(self._out.values())
                    self._out.clear()
                    self._supervisor.replace(event)
                    break
                if isinstance(event, WorkerFailed):
                    raise revive(event.error, event.problem, event.detail, event.hint)
                if not isinstance(event, ProbeAnswered):
                    continue
                if (asked := self._take(event, verdicts)) is None:
                    continue
                if verdicts[asked.record_id] is not ProbeVerdict.NOTHING:
                    patient_until_s = time.monotonic() + patience_s
                elif event.failure in _PASSING and failed[asked.record_id] < ATTEMPTS - 1:
                    failed[asked.record_id] += 1
                    waiting.append(asked)  # behind all others; the gate keeps what it was told
            if time.monotonic() > patient_until_s:
                log.warning("no usable answer by id for %.0f s: no more by-id requests", patience_s)
                break
            self._context.tick(self._supervisor.engine, "proving")
        return verdicts

    def _lease(self, record_id: str, page: int | None) -> ProbeLease:
        if page is None:
            return ProbeLease(record_id, self._round)
        token = self._context.plan.token(page)
        return ProbeLease(record_id, self._round, PageLease(page, self._round, token=token))

    def _take(self, event: ProbeAnswered, verdicts: dict[str, ProbeVerdict]) -> ProbeLease | None:
        """Note an answer in `verdicts` and return what was asked; None: nothing of this round."""
        if event.retry_after_s is not None:
            self._health.silence(event.retry_after_s)
        asked = self._out.get(event.record_id)
        if asked is None or asked.attempt != event.attempt:
            return None  # an answer to an earlier round, which was given up
        del self._out[event.record_id]
        verdicts[event.record_id] = event.verdict
        self._context.metrics.probe(event, by_id=asked.page is None)
        if event.failure is not None:
            log.debug("by-id request for %s: %s", event.record_id, event.detail)
        return asked

    def _hand_out(self, waiting: deque[ProbeLease]) -> bool:
        """Hand out as much as the engine has room for; say whether any answer is still to come."""
        engine = self._supervisor.engine
        if room := min(engine.room(), len(waiting)):
            leases = [waiting.popleft() for _ in range(room)]
            self._out.update((lease.record_id, lease) for lease in leases)
            engine.lease(leases)
            failpoints.reach("probe.leased")
        return bool(waiting or self._out)
