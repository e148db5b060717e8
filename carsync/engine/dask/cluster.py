"""The cluster's engine: leases are tasks of a Dask cluster, what workers say are its events.

Workers fetch, map and stage each page themselves. A task's result is nothing: events, which
travel the same way before it, tell what came of a lease. A task that ends without them, or with
a worker that is gone, has failed for its worker's sake, and carsync's own rule says what follows.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import pickle
import queue
import threading
import time
import uuid
from collections.abc import Sequence

import psutil
from distributed import Future

from carsync import formatting, timing
from carsync.config.sections import Config
from carsync.engine.base import Engine, GivenFeed
from carsync.engine.dask.gate_keeper import FitWorkers, Job
from carsync.engine.dask.link import SchedulerLink
from carsync.engine.dask.offers import Offer
from carsync.engine.dask.overlay import difference
from carsync.engine.dask.remote_gate import ANSWER_S, JITTER_S
from carsync.engine.dask.task import serve
from carsync.engine.dask.worker_run import topic_of
from carsync.engine.messages import (
    EngineLost,
    Event,
    Lease,
    PageFailed,
    PageFetched,
    PageLease,
    PagesStaged,
    ProbeAnswered,
    WorkerFailed,
    failed_by_worker,
)
from carsync.errors import ConfigError, FailureKind, WorkersDiedError
from carsync.model import Column
from carsync.source.allotment import Allotted, waking_clock
from carsync.source.gate_settings import GateSettings

log = logging.getLogger(__name__)

_LOOK_S = 1.0
"""How often the scheduler is asked for the workers, which also shows that both are there."""
_RESERVE = 4
"""For so many threads, one lease waits in its worker: the way to the parent and back takes time."""


_Name = tuple[str, str | int | None]
"""What a lease is about: a page, or a record."""


def _name(lease: Lease) -> _Name:
    return ("page", lease.page) if isinstance(lease, PageLease) else ("record", lease.key)


def _answered(event: Event) -> list[_Name]:
    """Return what an event is the last word about."""
    match event:
        case PageFailed():
            return [("page", event.page)]
        case PagesStaged():
            return [("page", staged.page) for staged in event.pages]
        case ProbeAnswered():
            return [("record", event.key)]
    return []


class Cluster(Engine):
    """The workers of a cluster that fit one run.

    `given` is the configuration as the file has it, which workers have, too; `config` is the
    run's. `idle_s` is as for the local engine.
    """

    def __init__(
        self,
        given: GivenFeed,
        config: Config,
        run_id: int,
        token: str,
        columns: tuple[Column, ...],
        *,
        idle_s: float = math.inf,
    ) -> None:
        self._config = config
        self._idle_s = idle_s
        self._concurrency = config.limits.concurrency
        self._settings = GateSettings.of(config.limits, JITTER_S)
        self._job = Job(
            uuid.uuid4().hex[:12],
            run_id,
            token,
            columns,
            difference(given.config, config) | {"limits": config.limits},  # a worker's own are void
            Offer.of(given),
            config.engine.label,
            self._settings.late_s,
        )
        self._link = SchedulerLink(config.engine, self._job.session)
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._out: dict[str, Lease] = {}  # by the task's key
        self._unanswered: set[_Name] = set()
        self._futures: dict[str, Future[None]] = {}
        self._lock = threading.Lock()
        self._number = 0
        self._unstaged: set[int] = set()  # pages
        self._fit = FitWorkers(0, {}, {})
        self._fit_s = self._heard_s = time.monotonic()
        self._lost: EngineLost | None = None
        self._is_draining = False
        self._ended = threading.Event()
        self._told_unfit: set[str] = set()

    # ── start ────────────────────────────────────────────────────────────────

    def start(self, *, silence_s: float = 0.0, lowered_to: float | None = None) -> None:
        """Reach the scheduler, and let its gate be this run's."""
        try:
            self._link.open()
            self._link.client.subscribe_topic(topic_of(self._job), self._hear)
            asked = (self._job, self._settings, self._idle_s, silence_s, lowered_to)
            client = self._link.client.id
            self._link.ask("carsync_open", client=client, asked=pickle.dumps(asked))
            self._look()
        except ConfigError as exc:
            self._events.put(WorkerFailed.of(exc, "the scheduler"))
            return
        except Exception as exc:  # Dask has no type for them
            reason = (
                f"at {self._config.engine.scheduler} cannot be used ({exc or type(exc).__name__})"
            )
            self._lost = EngineLost("the scheduler", reason)
            return
        threading.Thread(target=self._watch, name="carsync-cluster", daemon=True).start()

    def _look(self) -> None:
        """See which workers there are, and that the run is not over for the scheduler."""
        fit: FitWorkers | None = pickle.loads(self._link.ask_of_session("carsync_look"))
        self._heard_s = time.monotonic()
        if fit is None:
            reason = "calls this run over (it heard nothing of it, or another run took its place)"
            self._lost = EngineLost("the scheduler", reason)
            return
        self._fit = fit
        if fit.threads:
            self._fit_s = time.monotonic()
        for name in fit.unfit.keys() - self._told_unfit:
            self._told_unfit.add(name)
            log.warning(
                "worker %s is not used: %s",
                name,
                fit.unfit[name],
                extra={"event": "worker_unfit", "worker": name, "reason": fit.unfit[name]},
            )

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_S) and self._lost is None:
            try:
                self._look()
            except Exception as exc:  # Dask has no type for them
                if not self._ended.is_set():
                    reason = f"does not answer ({exc or type(exc).__name__})"
                    self._lost = EngineLost("the scheduler", reason)

    # ── work ─────────────────────────────────────────────────────────────────

    def room(self) -> int:
        """Return how many leases may be handed out: a request each, over all workers.

        Where every thread may ask, each worker has a few leases more in reserve, and gets them
        several at a time.
        """
        threads = self._fit.threads
        if threads > self._concurrency:
            return self._concurrency - len(self._out)
        room = threads + threads // _RESERVE - len(self._out)
        return room if room > threads // (2 * _RESERVE) else 0

    def lease(self, leases: Sequence[Lease]) -> None:
        """Hand out leases as tasks, each under a key of its own attempt."""
        if not self._link.is_open or self._lost is not None:
            return  # the next events say so
        keys = [self._key(lease) for lease in leases]
        with self._lock:
            self._out.update(zip(keys, leases, strict=True))
            self._unanswered.update(map(_name, leases))
        resource = self._job.offer.resource(self._job.label)
        try:
            futures = self._link.client.map(
                serve,
                [self._job.session] * len(leases),
                [pickle.dumps(lease) for lease in leases],
                key=keys,
                resources={resource: 1},
                retries=0,
                pure=False,
            )
        except (OSError, RuntimeError) as exc:
            self._lost = EngineLost("the scheduler", f"takes no work ({exc})")
            return
        self._futures.update(zip(keys, futures, strict=True))
        for future in futures:
            future.add_done_callback(self._end)

    def _key(self, lease: Lease) -> str:
        """Name a task, as the scheduler's pages show it."""
        self._number += 1
        what = f"page-{lease.page}" if isinstance(lease, PageLease) else "by-id"
        run, session = self._job.run_id, self._job.session
        return f"carsync-{run}-{what}-attempt-{lease.attempt}-{session}-{self._number}"

    def _end(self, future: Future[None]) -> None:
        """Take a task off the list; where its events did not, say what became of its lease."""
        with self._lock:
            lease = self._out.pop(str(future.key), None)
            self._futures.pop(str(future.key), None)
            is_answered = lease is None or _name(lease) not in self._unanswered
        if lease is None:
            return
        if future.status == "cancelled":  # the scheduler knows nothing of it any more
            self._lost = self._lost or EngineLost("the scheduler", "let go of this run's leases")
            return
        if is_answered or self._is_draining:
            return
        words = self._words(future) if future.status == "error" else "its worker told nothing"
        self._events.put(failed_by_worker(lease, words))

    def _words(self, future: Future[None]) -> str:
        """Say why a task failed."""
        try:
            exc = future.exception(timeout=ANSWER_S)
        except Exception as unread:  # whatever it is, the lease must not be out for ever
            exc = unread
        if type(exc).__name__ == "KilledWorker":
            return f"its worker was lost ({exc.last_worker.name})"
        return f"its worker failed ({exc!r})"

    def _hear(self, event: tuple[float, bytes]) -> None:
        """Take events of a worker; another session's are nobody's."""
        session, worker, events = pickle.loads(event[1])
        if session != self._job.session:
            return
        for told in events:
            is_key = isinstance(told, PageFailed) and told.kind is FailureKind.AUTH
            if is_key or isinstance(told, WorkerFailed):
                log.warning("worker %s: %s", worker, told.problem)
        with self._lock:
            for told in events:
                self._unanswered.difference_update(_answered(told))
        for told in events:
            self._events.put(told)

    def events(self, timeout_s: float) -> list[Event]:
        """Wait up to `timeout_s` seconds and return what the workers reported."""
        heard: list[Event] = []
        with contextlib.suppress(queue.Empty):
            heard.append(self._events.get(timeout=timeout_s))
            while True:
                heard.append(self._events.get_nowait())
        for event in heard:
            if isinstance(event, PageFetched):
                self._unstaged.add(event.page)
            elif isinstance(event, PagesStaged):
                self._unstaged.difference_update(staged.page for staged in event.pages)
            elif isinstance(event, PageFailed):
                self._unstaged.discard(event.page)
        if self._lost is not None:
            heard.append(self._lost)
        elif (waited_s := time.monotonic() - self._fit_s) > timing.current().no_workers_s:
            heard.append(self._no_workers(waited_s))
        return heard

    def _no_workers(self, waited_s: float) -> WorkerFailed:
        unfit = [f"{name}: {why}" for name, why in self._fit.unfit.items()]
        error = WorkersDiedError(
            f"no worker of the cluster was fit for this run for {formatting.duration(waited_s)}",
            detail="; ".join(unfit[:3]) or f"{self._config.engine.scheduler} has no workers",
            hint="start `carsync worker` with this very configuration; `carsync check` tells more",
        )
        return WorkerFailed.of(error, "the cluster")

    def allot(
        self, requests: int = 0, for_s: float = 0.0, *, afresh: bool = False
    ) -> Allotted | None:
        """Tell the scheduler's gate; None where it is out of reach."""
        if not self._link.is_open or self._lost is not None:
            return None
        until_s = waking_clock() + for_s
        try:
            _, theirs_s = self._link.ask_gate("allot", 0, 0.0, afresh=False)
            left_s = until_s - waking_clock()  # their clock was read before this
            allotted, _ = self._link.ask_gate("allot", requests, theirs_s + left_s, afresh=afresh)
        except OSError:
            return None
        return allotted if isinstance(allotted, Allotted) else None

    # ── end ──────────────────────────────────────────────────────────────────

    def stop(self) -> None:
        """Let nobody begin another request; what is in hand is staged."""
        self._is_draining = True
        with contextlib.suppress(OSError):
            self._link.ask_of_session("carsync_stop")

    def is_running(self) -> bool:
        """Return whether a lease is out, and there is anybody who may have it in hand."""
        return bool(self._out) and self._lost is None and self._fit.threads > 0

    def kill(self) -> None:
        """Let go of all tasks and of the cluster; safe to call twice."""
        self._ended.set()
        with self._lock:
            self._out.clear()
            self._futures.clear()
        self._link.close(is_lost=self._lost is not None)

    # ── measurements ─────────────────────────────────────────────────────────

    def memory(self) -> dict[str, int]:
        """Return the resident memory of the parent and of the workers, in bytes."""
        own = psutil.Process(os.getpid()).memory_info().rss
        return {"parent": own, **self._fit.memory}

    def queue_depth(self) -> int:
        """Return how many pages are fetched and not staged yet, as the workers say."""
        return len(self._unstaged)
