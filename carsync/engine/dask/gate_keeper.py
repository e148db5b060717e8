"""The scheduler's part: one gate per feed, that all workers of the cluster ask.

The scheduler is the one process that every worker must reach, and that knows at once which of
them is gone. Whoever is admitted sends within `rate_limit.HORIZON_S`, or not at all; an
admission that nobody used is lost, never handed out again.
"""

from __future__ import annotations

import logging
import pickle
import time
from typing import Any

from distributed import Scheduler
from distributed.diagnostics.plugin import SchedulerPlugin
from msgspec import Struct

from carsync.engine.dask.offers import EXTRA, Offer, offers_of, versions
from carsync.engine.dask.overlay import Overlay
from carsync.model import Column
from carsync.source.allotment import waking_clock
from carsync.source.gate_settings import GateSettings
from carsync.source.rate_limit import ARRIVAL_JITTER_S, Admission, Gate

log = logging.getLogger(__name__)

DRIVER_SILENCE_S = 30.0
"""A run whose parent says nothing for this long is over: nobody is admitted for it."""


ASK_GATE = "carsync-gate"
"""The name of the gate's messages on a worker's stream to the scheduler, and of its answers."""
OVER = "over"
"""The gate's answer for a run that asks no more."""
GateCall = tuple[str, tuple[Any, ...], dict[str, Any]]
"""The name of a method of `Gate`, and its arguments."""
Place = tuple[str, str | None]
"""Table and source, and the label of the workers: under two labels, two databases have a feed."""
_CALLS = frozenset({"admit", "report", "refused", "told", "silence", "allot"})


class Job(Struct, frozen=True):
    """All that workers must know of a run, beside their own configuration; no secret.

    `session` names one engine of a run; run 0 stages nothing. An admission that took longer than
    `late_s` to come is not used.
    """

    session: str
    run_id: int
    token: str
    columns: tuple[Column, ...]
    overlay: Overlay
    offer: Offer
    label: str | None
    late_s: float = ARRIVAL_JITTER_S

    @property
    def place(self) -> Place:
        """What one run at a time is about, and has one gate."""
        return self.offer.place, self.label


class FitWorkers(Struct, frozen=True):
    """The workers that fit a job, and, in words, why others do not.

    `memory` is resident memory in bytes, by the worker's name.
    """

    threads: int
    memory: dict[str, int]
    unfit: dict[str, str]


class _Desk:
    """The gate of one feed, and whose it is at present."""

    def __init__(self, gate: Gate, settings: GateSettings) -> None:
        self.gate = gate
        self.settings = settings
        self.job: Job | None = None
        self.client = ""
        self.is_stopping = False
        self.heard_s = self.asked_s = time.monotonic()
        self.tickets: dict[str, set[int]] = {}  # by worker: requests whose end must be told

    def is_of(self, session: str) -> bool:
        """Say whether this run may still ask."""
        is_theirs = self.job is not None and self.job.session == session
        return is_theirs and time.monotonic() - self.heard_s < DRIVER_SILENCE_S


class GateKeeper(SchedulerPlugin):
    """Serves the gates, as handlers of the scheduler: arguments and answers are pickled."""

    name = "carsync"
    idempotent = True

    def __init__(self) -> None:
        self._desks: dict[Place, _Desk] = {}
        self._scheduler: Scheduler | None = None

    async def start(self, scheduler: Scheduler) -> None:
        """Serve from now on."""
        self._scheduler = scheduler
        scheduler.handlers |= {
            "carsync_versions": versions,
            "carsync_open": self._open,
            "carsync_look": self._look,
            "carsync_job": self._find_job,
            "carsync_gate": self._ask_gate,
            "carsync_stop": self._stop,
            "carsync_close": self._close,
        }
        scheduler.stream_handlers[ASK_GATE] = self._hear_worker

    def is_busy(self, place: Place) -> bool:
        """Say whether a run of the feed is at work, which may use the whole rate."""
        desk = self._desks.get(place)
        return desk is not None and desk.job is not None and desk.is_of(desk.job.session)

    # ── the run's parent ─────────────────────────────────────────────────────

    def _open(self, client: str, asked: bytes) -> bytes:
        """Give the feed's gate to a run; an earlier run asks no more.

        The gate of that run goes on where it can, so that no second burst is granted, and what
        the API asked for holds.
        """
        job, settings, idle_s, silence_s, lowered_to = pickle.loads(asked)
        desk = self._desks.get(job.place)
        now_s = time.monotonic()
        if self.is_busy(job.place):
            log.warning("another run of %s takes over", job.offer.place)
        if desk is None or desk.settings != settings:
            if desk is not None:
                idle_s = min(idle_s, now_s - desk.asked_s)
            desk = _Desk(settings.build(idle_s=idle_s, lowered_to=lowered_to), settings)
            self._desks[job.place] = desk
        elif settings.has_budget:
            desk.gate.allot(0, 0.0, afresh=True)
        desk.job, desk.client, desk.is_stopping = job, client, False
        desk.heard_s = now_s
        self._forget_tickets(desk, list(desk.tickets))
        if silence_s > 0:
            desk.gate.silence(silence_s)
        return b""

    def _look(self, session: str) -> bytes:
        """Return the `FitWorkers` of a run; None where it is over for the scheduler."""
        desk = self._desk_of(session)
        if desk is None or desk.job is None:
            return pickle.dumps(None)
        desk.heard_s = time.monotonic()
        assert self._scheduler is not None
        job, threads = desk.job, 0
        memory: dict[str, int] = {}
        unfit: dict[str, str] = {}
        for worker in self._scheduler.workers.values():
            offers = offers_of(worker.extra.get(EXTRA, []))
            misfits = [job.offer.misfit(offer, job.label) for offer in offers]
            if "" in misfits:
                threads += worker.nthreads
                memory[str(worker.name)] = int(worker.metrics.get("memory", 0))
            else:
                near = [words for words in misfits if not words.startswith("it reads")]
                unfit[str(worker.name)] = (near or misfits or ["it is no worker of carsync"])[0]
        return pickle.dumps(FitWorkers(threads, memory, unfit))

    def _stop(self, session: str) -> bytes:
        """Let nobody begin another request for this run; what is in hand is staged."""
        if (desk := self._desk_of(session)) is not None:
            desk.is_stopping = True
        return b""

    def _close(self, session: str) -> bytes:
        """End a run's part; its gate waits for the next run of the feed."""
        if (desk := self._desk_of(session)) is not None:
            desk.job = None
        return b""

    def remove_client(self, scheduler: Scheduler, client: str) -> None:
        """A run whose parent is gone is over."""
        for desk in self._desks.values():
            if desk.client == client:
                desk.job = None

    # ── workers ──────────────────────────────────────────────────────────────

    def _find_job(self, session: str) -> bytes:
        desk = self._desk_of(session)
        return pickle.dumps(desk.job if desk else None)

    def _hear_worker(self, worker: str, session: str, number: int, calls: bytes) -> None:
        """Answer a worker on its stream, which costs less than a call; nothing may be raised.

        A worker that was given up may have said something before: nobody waits for an answer.
        """
        assert self._scheduler is not None
        if worker not in self._scheduler.stream_comms:
            return
        try:
            answers = self._ask_gate(session, worker, calls)
        except Exception:
            log.exception("the gate cannot answer %s", worker)
            answers = b""
        message = {"op": ASK_GATE, "number": number, "answers": answers}
        self._scheduler.worker_send(worker, message)

    def _ask_gate(self, session: str, worker: str, calls: bytes) -> bytes:
        """Call methods of the gate in turn; return their answers, or `OVER`, and the time.

        The time is the scheduler's `waking_clock`.
        """
        desk = self._desk_of(session)
        answers = [self._answer(desk, worker, call) for call in pickle.loads(calls)]
        return pickle.dumps((answers, waking_clock() if desk else 0.0))

    def _answer(self, desk: _Desk | None, worker: str, call: GateCall) -> Any:
        name, args, kwargs = call
        if desk is None or (name == "admit" and desk.is_stopping):
            return OVER
        assert name in _CALLS
        answer: Any = getattr(desk.gate, name)(*args, **kwargs)
        tickets = desk.tickets.setdefault(worker, set())
        if name == "told":
            tickets.discard(args[0])
        if isinstance(answer, Admission) and answer.granted:
            desk.asked_s = time.monotonic()
            if answer.ticket:
                tickets.add(answer.ticket)
        return answer

    def remove_worker(self, scheduler: Scheduler, worker: str, **kwargs: Any) -> None:
        """The requests of a worker that is gone are answered as far as anybody will know."""
        for desk in self._desks.values():
            self._forget_tickets(desk, [worker])

    def _forget_tickets(self, desk: _Desk, workers: list[str]) -> None:
        for worker in workers:
            for ticket in desk.tickets.pop(worker, ()):
                desk.gate.told(ticket, (), False)

    def _desk_of(self, session: str) -> _Desk | None:
        return next((desk for desk in self._desks.values() if desk.is_of(session)), None)
