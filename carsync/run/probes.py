"""Inquiry: single records asked for by id, over the fleet's fetchers and under the same limits."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from carsync import failpoints
from carsync.engine.local.fleet import Fleet, Worker, WorkerLost
from carsync.engine.messages import ProbeAnswered, ProbeLease, WorkerFailed
from carsync.errors import FailureKind, revive
from carsync.model import ProbeVerdict
from carsync.run.metrics import Metrics
from carsync.run.signals import StopSignal

log = logging.getLogger(__name__)

TURN_S = 0.1
PATIENCE_S = 120.0
"""How long requests go on without one usable answer."""
ATTEMPTS = 4
"""How often one record is asked for in a round, where an attempt fails for a while."""
_PASSING = frozenset(
    {FailureKind.RATE_LIMITED, FailureKind.SERVER, FailureKind.NETWORK, FailureKind.TIMEOUT}
)


class ProbeRunner:
    """Asks round by round; `fleet` gives the present fleet, which `restart` replaces when lost.

    `silence` is told the seconds for which the API asked to wait: the next fleet must know.
    """

    def __init__(
        self,
        fleet: Callable[[], Fleet],
        restart: Callable[[WorkerLost], None],
        silence: Callable[[float], None],
        metrics: Metrics,
        stop: StopSignal,
        tick: Callable[[Fleet, str], None],
    ) -> None:
        self._fleet = fleet
        self._restart = restart
        self._silence = silence
        self._metrics = metrics
        self._stop = stop
        self._tick = tick
        self._round = 0

    def ask(self, record_ids: Sequence[str], pages: Mapping[str, int]) -> dict[str, ProbeVerdict]:
        """Ask for records and return id → verdict, without the ids that got no answer in time.

        For an id in `pages` that page is asked whether it lists the record. Raises the
        error of a child that cannot go on, and `WorkersDiedError`.
        """
        verdicts: dict[str, ProbeVerdict] = {}
        failed: Counter[str] = Counter()
        self._round += 1
        waiting = deque(ProbeLease(i, self._round, pages.get(i)) for i in record_ids)
        for fetcher in self._fleet().fetchers:
            fetcher.probes.clear()
        patient_until_s = time.monotonic() + PATIENCE_S
        while self._lease(waiting) and not self._stop.requested:
            for child, event in self._fleet().events(TURN_S):
                if isinstance(event, WorkerLost):
                    for fetcher in self._fleet().fetchers:
                        waiting.extend(fetcher.probes.values())
                    self._restart(event)
                    break
                asked = self._hear(child, event, verdicts)
                if asked is None:
                    continue
                if verdicts[asked.record_id] is not ProbeVerdict.NOTHING:
                    patient_until_s = time.monotonic() + PATIENCE_S
                elif event.failure in _PASSING and failed[asked.record_id] < ATTEMPTS - 1:
                    failed[asked.record_id] += 1
                    waiting.append(asked)  # behind all others; the gate keeps what it was told
            if time.monotonic() > patient_until_s:
                log.warning("no usable answer by id for %.0f s: asking no more", PATIENCE_S)
                break
            self._tick(self._fleet(), "proving")
        return verdicts

    def _hear(
        self, child: Worker, event: Any, verdicts: dict[str, ProbeVerdict]
    ) -> ProbeLease | None:
        """Note an answer in `verdicts` and return what was asked; None for any other event."""
        if isinstance(event, WorkerFailed):
            raise revive(event.error, event.problem, event.detail, event.hint)
        if not isinstance(event, ProbeAnswered):
            return None
        if event.retry_after_s is not None:
            self._silence(event.retry_after_s)
        asked = child.probes.get(event.record_id)
        if asked is None or asked.attempt != event.attempt:
            return None  # an answer to an earlier round, which was given up
        del child.probes[event.record_id]
        verdicts[event.record_id] = event.verdict
        self._metrics.probe(event, by_id=asked.page is None)
        if event.failure is not None:
            log.debug("by-id request for %s: %s", event.record_id, event.detail)
        return asked

    def _lease(self, waiting: deque[ProbeLease]) -> bool:
        """Top up every fetcher; say whether any answer is still to come.

        More than a fetcher can work on might fill the pipe of one that hangs.
        """
        fleet = self._fleet()
        for fetcher in fleet.fetchers:
            room = min(fetcher.capacity - len(fetcher.probes), len(waiting))
            if room > 0:
                leases = tuple(waiting.popleft() for _ in range(room))
                fetcher.probes.update((lease.record_id, lease) for lease in leases)
                fleet.lease(fetcher, leases)
                failpoints.reach("probe.leased")
        return bool(waiting) or any(fetcher.probes for fetcher in fleet.fetchers)
