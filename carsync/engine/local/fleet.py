"""The local engine: manager, fetchers and writers, started, watched and ended together.

One for all: a multiprocessing.Queue cannot be trusted once a process that used it
was killed (a lock in it may be held for ever), so a fleet is never repaired. When
a worker ends abnormally or stops beating, the whole fleet ends and a new one, with
a new queue and manager, takes its place.
"""

from __future__ import annotations

import contextlib
import logging
import math
import multiprocessing
import os
import pickle
import signal
import time
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import psutil

from carsync import failpoints, formatting, logging_setup, timing
from carsync.config.sections import Config
from carsync.engine.base import Engine
from carsync.engine.local.child import run_by_name
from carsync.engine.local.gate_server import GateManager, process_of, start_manager
from carsync.engine.local.messages import FetcherArgs, WriterArgs
from carsync.engine.local.page_queue import PageQueue
from carsync.engine.local.reserve import wait_in_reserve
from carsync.engine.local.worker import Worker, exit_words
from carsync.engine.messages import EngineLost, Event, Lease, PageFetched, PagesStaged, TokenIssued
from carsync.mapping.mapper import tombstone_columns
from carsync.model import Column
from carsync.source.allotment import Allotted, waking_clock
from carsync.source.auth.token_store import Token, TokenStore
from carsync.source.deadline import in_time
from carsync.source.rate_limit import Gate

log = logging.getLogger(__name__)

_REAP_S = 10.0
"""Wait this long for a killed process to be gone."""
_FIRST_WRITERS = 2
"""So many writers begin with the fleet; those in reserve begin while the queue stays full."""
_FULL_S = 2.0
"""The queue has stayed full when it was so for this long, at each look."""
_BUSY_PERCENT = 90.0
"""Where the processors were busier meanwhile, another writer would only wait for them, too."""
_ANSWER_S = 5.0
"""A manager that has not answered by then hangs: the fetchers, which ask it too, will show it."""


class Fleet(Engine):
    """All worker processes of a run on this machine.

    `idle_s`: for how long nobody has asked the API, so that an earlier fleet's burst is
    not granted again. `tokens` is the run's own copy of its access token, which outlives a fleet.
    """

    def __init__(
        self,
        config: Config,
        run_id: int,
        token: str,
        columns: tuple[Column, ...],
        *,
        idle_s: float = math.inf,
        tokens: TokenStore | None = None,
    ) -> None:
        self._config = config
        self._run_id = run_id
        self._token = token
        self._columns = columns
        self._idle_s = idle_s
        self._context = multiprocessing.get_context("spawn")
        self._manager: GateManager | None = None
        self._gate: Gate | None = None
        self._tokens: TokenStore | None = None
        self._kept_tokens = TokenStore(time.monotonic) if tokens is None else tokens
        self._pages: PageQueue | None = None
        self._queue_pages = max(8, config.limits.concurrency)
        self._full_since_s: float | None = None
        self._unstaged = 0
        self._lost: EngineLost | None = None
        self._is_draining = False
        self.fetchers: list[Worker] = []
        self.writers: list[Worker] = []

    # ── start ────────────────────────────────────────────────────────────────

    def start(self, *, silence_s: float = 0.0, lowered_to: float | None = None) -> None:
        """Start manager, fetchers and writers; return before they are ready."""
        try:
            # The manager forgets the gate when the last proxy goes; workers take theirs from this.
            self._manager, self._gate, self._tokens = start_manager(
                self._context,
                self._config.limits,
                idle_s=self._idle_s,
                silence_s=silence_s,
                lowered_to=lowered_to,
                token=self._kept_tokens.held(),
                within_s=timing.current().worker_boot_s,
            )
        except (OSError, EOFError) as exc:
            self._lost = EngineLost("manager", f"did not start ({exc or type(exc).__name__})")
            return
        failpoints.reach("fleet.manager_started")
        try:
            self._start_workers()
        except OSError as exc:
            self._lost = EngineLost("a worker", f"could not be started ({exc.strerror})")
            return
        failpoints.reach("fleet.started")

    def _start_workers(self) -> None:
        limits = self._config.limits
        deadlines = timing.current()
        processes = limits.fetchers(os.cpu_count() or 1)
        self._pages = PageQueue(self._context, self._queue_pages)
        for number in range(processes):
            threads = limits.concurrency // processes + (number < limits.concurrency % processes)
            args = FetcherArgs(self._config, threads, os.getpid())
            worker = self._spawn("fetcher", number, self._pages, self._gate, self._tokens, args)
            worker.capacity = 2 * threads
            worker.silence_s = deadlines.fetcher_silence_s
            self.fetchers.append(worker)
        database, secrets = self._config.database, self._config.api.auth.secrets
        job = WriterArgs(
            database,
            self._run_id,
            self._token,
            self._columns,
            os.getpid(),
            secrets,
            tombstone_columns(self._config),
        )
        for number in range(database.writers):
            waits = number >= _FIRST_WRITERS
            worker = self._spawn("writer", number, self._pages, job, waits=waits)
            worker.silence_s = math.inf if waits else deadlines.writer_silence_s
            self.writers.append(worker)

    def _spawn(self, role: str, number: int, *args: Any, waits: bool = False) -> Worker:
        ours, theirs = self._context.Pipe()
        name = f"{role}-{number + 1}"
        log_format = "json" if logging_setup.is_json() else "text"
        called = (log_format, f"{__package__}.{role}", f"run_{role}")
        target: Callable[..., None] = run_by_name
        given: tuple[Any, ...] = (*called, theirs, *args)
        if waits:
            pages, *job = args
            target = wait_in_reserve
            given = (theirs, pages, os.getpid(), pickle.dumps((*called, *job)))
        process = self._context.Process(
            target=target, args=given, name=f"carsync {name}", daemon=True
        )
        process.start()
        theirs.close()
        return Worker(name, process, ours, time.monotonic(), math.inf, waiting=waits)

    # ── work ─────────────────────────────────────────────────────────────────

    def room(self) -> int:
        """Return how many leases the fetchers can take: twice their threads, less those held."""
        return sum(worker.capacity - len(worker.leases) for worker in self.fetchers)

    def lease(self, leases: Sequence[Lease]) -> None:
        """Hand out leases, to each fetcher as many as it has room for, the idlest first."""
        given = 0
        for fetcher in sorted(self.fetchers, key=lambda fetcher: len(fetcher.leases)):
            part = leases[given : given + fetcher.capacity - len(fetcher.leases)]
            if part:
                given += len(part)
                fetcher.lease(part)

    def events(self, timeout_s: float) -> list[Event]:
        """Wait up to `timeout_s` seconds and return what the workers reported.

        The silence of any worker, or its end where it was not asked for, adds `EngineLost`.
        """
        if self._lost is not None:
            return [self._lost]
        pipes = {worker.pipe: worker for worker in self._workers if not worker.pipe.closed}
        heard: list[Event] = []
        if not pipes:
            time.sleep(timeout_s)
        for ready in wait(list(pipes), timeout_s):
            assert isinstance(ready, Connection)
            heard += self._receive(pipes[ready])
        self._lost = self._find_lost()
        self._help_writers()
        if self._lost is not None:
            heard.append(self._lost)
        elif self._is_draining and not any(w.process.is_alive() for w in self.fetchers):
            for writer in self.writers:
                writer.drain()
        return heard

    def allot(
        self, requests: int = 0, for_s: float = 0.0, *, afresh: bool = False
    ) -> Allotted | None:
        """Tell the gate; None where its manager is gone or hangs."""
        gate, until_s = self._gate, waking_clock() + for_s
        if gate is None:
            return None
        ask = partial(gate.allot, requests, until_s, afresh=afresh)
        try:
            return in_time(ask, _ANSWER_S, name="allot")
        except (OSError, EOFError):  # TimeoutError is an OSError
            return None

    def _receive(self, worker: Worker) -> list[Event]:
        events = worker.receive()
        for event in events:
            if isinstance(event, TokenIssued):
                self._keep(event.token)
            elif isinstance(event, PageFetched):
                self._unstaged += 1
            elif isinstance(event, PagesStaged):
                self._unstaged -= len(event.pages)
        self._hand_over_queue()
        return events

    def _keep(self, token: Token) -> None:
        """Keep a new access token for the next fleet, and tell that it came."""
        before = self._kept_tokens.held()
        self._kept_tokens.put(token)
        life = "until it is refused"
        if token.life_s is not None:
            life = f"for {formatting.duration(token.life_s)}"
        log.debug(
            "access token %d of the run came, valid %s",
            token.number,
            life,
            extra={"event": "token_issued", "number": token.number, "valid_s": token.life_s},
        )
        is_replaced = (
            token.refresh is not None and token.refresh != self._config.api.auth.refresh_token
        )
        if is_replaced and (before is None or before.refresh is None):
            log.warning(
                "the API replaced the refresh token: this run goes on with the new one; the next "
                "run begins with api.auth.refresh_token again, and fails if that is used up",
                extra={"event": "refresh_token_replaced"},
            )

    def _help_writers(self) -> None:
        """Let a writer in reserve begin where the queue has stayed full."""
        now_s = time.monotonic()
        if self.queue_depth() < self._queue_pages or self._is_draining:
            self._full_since_s = None
        elif self._full_since_s is None:
            self._full_since_s = now_s
            psutil.cpu_percent()  # the next call tells of the time since this one
        elif now_s - self._full_since_s >= _FULL_S and all(w.ready for w in self.writers):
            waiting = [writer for writer in self.writers if writer.waiting]
            if waiting and psutil.cpu_percent() < _BUSY_PERCENT:
                waiting[0].begin(timing.current().writer_silence_s)
            self._full_since_s = None

    def _hand_over_queue(self) -> None:
        """Let go of the queue once every worker has it; the parent needs it no more.

        Its semaphores have names in /dev/shm by which spawned processes find them, and the
        names go with the parent's queue. So even a SIGKILL of all processes at once, which
        takes multiprocessing's resource tracker along, leaves none behind.
        """
        if all(worker.ready for worker in self._workers):
            self._pages = None

    def _find_lost(self) -> EngineLost | None:
        manager = process_of(self._manager)
        if manager is not None and manager.exitcode is not None and self._workers:
            # Told first: fetchers end when it is gone.
            return EngineLost("manager", exit_words(manager.exitcode))
        lost = ((worker.name, worker.find_fault()) for worker in self._workers)
        return next((EngineLost(name, fault) for name, fault in lost if fault is not None), None)

    # ── end ──────────────────────────────────────────────────────────────────

    def stop(self) -> None:
        """Ask the fetchers to finish; once they have ended, `events` asks the writers to."""
        self._is_draining = True
        for fetcher in self.fetchers:
            fetcher.drain()

    def is_running(self) -> bool:
        """Return whether any worker process is alive."""
        return any(worker.process.is_alive() for worker in self._workers)

    def kill(self) -> None:
        """End every process of the fleet now and reap it; safe to call twice."""
        for process in self._processes().values():
            if process.pid is not None and process.exitcode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
        for process in self._processes().values():
            process.join(_REAP_S)
        for worker in self._workers:
            worker.pipe.close()
        if self._pages is not None:
            self._pages.abandon()
        self.fetchers, self.writers = [], []
        self._manager = self._gate = self._tokens = self._pages = None
        self._unstaged = 0

    # ── measurements ─────────────────────────────────────────────────────────

    @property
    def _workers(self) -> list[Worker]:
        return self.fetchers + self.writers

    def _processes(self) -> dict[str, BaseProcess]:
        processes = {worker.name: worker.process for worker in self._workers}
        if (manager := process_of(self._manager)) is not None:
            processes["manager"] = manager
        return processes

    def pids(self) -> dict[str, int]:
        """Return the process identifiers by name, the manager's included."""
        return {name: p.pid for name, p in self._processes().items() if p.pid is not None}

    def memory(self) -> dict[str, int]:
        """Return the resident memory of every process of the run, the parent included, in bytes."""
        memory: dict[str, int] = {}
        for name, pid in {"parent": os.getpid(), **self.pids()}.items():
            with contextlib.suppress(psutil.Error):
                memory[name] = psutil.Process(pid).memory_info().rss
        return memory

    def queue_depth(self) -> int:
        """Return how many pages are fetched and not staged yet, as the workers say."""
        return max(0, self._unstaged)
