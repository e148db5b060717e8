"""The fleet: manager, fetchers and writers of a run, started, watched and ended together.

One for all: a multiprocessing.Queue cannot be trusted once a process that used it
was killed (a lock in it may be held for ever), so a fleet is never repaired. When
a child ends abnormally or stops beating, the whole fleet ends and a new one, with
a new queue and manager, takes its place.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import signal
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.queues import Queue
from typing import Any

import psutil

from carsync import failpoints, logging_setup
from carsync.config.sections import Config
from carsync.engine.local.child import run_by_name
from carsync.engine.local.gate_server import GateManager, start_manager
from carsync.engine.messages import (
    FetcherArgs,
    Heartbeat,
    Leases,
    PageFetched,
    PageLease,
    PagesStaged,
    ProbeLease,
    Stop,
    WorkerReady,
    WriterArgs,
)
from carsync.model import Column, MappedPage
from carsync.source.rate_limit import Gate

BOOT_S = 60.0
"""How long a child may take to report that it works."""
SILENCE_S = {"fetcher": 20.0, "writer": 90.0}
"""How long a child may go without a heartbeat; a writer is silent inside one transaction."""
OVERDUE_S = 15.0
"""How far a thread may be past the end of its step (a stopped manager shows here)."""
LAST_BREATH_S = 1.0
"""How long after a child's pipe closed its exit code, which says why, is waited for."""


@dataclass(frozen=True, slots=True)
class WorkerLost:
    """Event: a child died or hangs; the fleet is unusable."""

    name: str
    reason: str


@dataclass(slots=True, eq=False)
class Worker:
    """A child process, its private pipe and what it last said.

    `leaving`: it was asked to end. `capacity` is how many leases of a kind a fetcher may
    hold at once; `pages` and `probes` (by record id) are those it holds.
    """

    name: str
    role: str
    process: BaseProcess
    pipe: Connection
    last_heard_s: float
    ready: bool = False
    overdue_s: float = -math.inf
    capacity: int = 0
    pages: set[int] = field(default_factory=set)
    probes: dict[str, ProbeLease] = field(default_factory=dict)
    leaving: bool = False


class Fleet:
    """All child processes of a run; built, used and ended on the parent's main thread.

    `idle_s`: for how long nobody has asked the API, so that an earlier fleet's burst is
    not granted again.
    """

    def __init__(
        self,
        config: Config,
        run_id: int,
        token: str,
        columns: tuple[Column, ...],
        *,
        idle_s: float = math.inf,
    ) -> None:
        self._idle_s = idle_s
        self._config = config
        self._run_id = run_id
        self._token = token
        self._columns = columns
        self._context = multiprocessing.get_context("spawn")
        self._manager: GateManager | None = None
        self._gate: Gate | None = None
        self._pages: Queue[MappedPage] | None = None
        self._unstaged = 0
        self.fetchers: list[Worker] = []
        self.writers: list[Worker] = []

    def start(self, *, silence_s: float = 0.0) -> WorkerLost | None:
        """Start manager, fetchers and writers; returns before they are ready.

        No request is sent before `silence_s` seconds from now. Returns what could not be
        started, if anything; the fleet must be killed then.
        """
        try:
            self._start_manager(silence_s)
        except (OSError, EOFError) as exc:
            return WorkerLost("manager", f"did not start ({exc or type(exc).__name__})")
        failpoints.reach("fleet.manager_started")
        try:
            self._start_children()
        except OSError as exc:
            return WorkerLost("a child", f"could not be started ({exc.strerror})")
        failpoints.reach("fleet.started")
        return None

    def _start_manager(self, silence_s: float) -> None:
        # The manager forgets the gate when the last proxy goes; children take theirs from this.
        self._manager, self._gate = start_manager(
            self._context,
            self._config.limits,
            idle_s=self._idle_s,
            silence_s=silence_s,
            within_s=BOOT_S,
        )

    def _start_children(self) -> None:
        limits = self._config.limits
        processes = limits.fetcher_processes or min(os.cpu_count() or 1, limits.concurrency, 4)
        self._pages = self._context.Queue(maxsize=max(8, limits.concurrency))
        for number in range(processes):
            threads = limits.concurrency // processes + (number < limits.concurrency % processes)
            fetcher = FetcherArgs(self._config, threads, os.getpid())
            child = self._spawn("fetcher", number + 1, self._pages, self._gate, fetcher)
            child.capacity = 2 * threads
            self.fetchers.append(child)
        writer = WriterArgs(
            self._config.database,
            self._run_id,
            self._token,
            self._columns,
            os.getpid(),
            self._config.api.auth.key,
        )
        for number in range(self._config.database.writers):
            self.writers.append(self._spawn("writer", number + 1, self._pages, writer))

    def _spawn(self, role: str, number: int, *args: Any) -> Worker:
        ours, theirs = self._context.Pipe()
        name = f"{role}-{number}"
        log_format: logging_setup.Format = "json" if logging_setup.is_json() else "text"
        process = self._context.Process(
            target=run_by_name,
            args=(log_format, f"carsync.engine.local.{role}", f"run_{role}", theirs, *args),
            name=f"carsync {name}",
            daemon=True,
        )
        process.start()
        theirs.close()
        return Worker(name, role, process, ours, time.monotonic())

    @property
    def children(self) -> list[Worker]:
        """All fetchers and writers."""
        return self.fetchers + self.writers

    def pids(self) -> dict[str, int]:
        """Return the process identifiers by child name, the manager's included."""
        pids = {c.name: c.process.pid for c in self.children if c.process.pid is not None}
        if (manager := self._manager_process()) is not None and manager.pid is not None:
            pids["manager"] = manager.pid
        return pids

    def rss(self) -> dict[str, int]:
        """Return the resident memory of every process of the run, the parent included, in bytes."""
        memory: dict[str, int] = {}
        for name, pid in {"parent": os.getpid(), **self.pids()}.items():
            with contextlib.suppress(psutil.Error):
                memory[name] = psutil.Process(pid).memory_info().rss
        return memory

    def queue_depth(self) -> int:
        """Return how many pages are fetched and not staged yet, as the children say."""
        return max(0, self._unstaged)

    def lease(self, fetcher: Worker, leases: tuple[PageLease | ProbeLease, ...]) -> None:
        """Hand leases to a fetcher; a broken pipe shows as `ChildLost` at the next `events`."""
        with contextlib.suppress(OSError):
            fetcher.pipe.send(Leases(leases))

    def events(self, timeout_s: float) -> list[tuple[Worker, Any]]:
        """Wait up to `timeout_s` seconds and return what the children said.

        The silence of any child, or its end where it was not asked for, adds a `ChildLost`.
        """
        pipes = {c.pipe: c for c in self.children if not c.pipe.closed}
        heard: list[tuple[Worker, Any]] = []
        if not pipes:
            time.sleep(timeout_s)
        for ready in wait(list(pipes), timeout_s):
            assert isinstance(ready, Connection)
            child = pipes[ready]
            heard.extend((child, event) for event in self._drain_pipe(child))
        if (lost := self._find_lost()) is not None:
            heard.append(lost)
        return heard

    def _drain_pipe(self, child: Worker) -> list[Any]:
        """Receive all that waits on one pipe; note heartbeats here."""
        events: list[Any] = []
        try:
            while child.pipe.poll(0):
                event = child.pipe.recv()
                child.last_heard_s = time.monotonic()
                match event:
                    case WorkerReady():
                        child.ready = True
                        self._hand_over_queue()
                    case Heartbeat():
                        child.overdue_s = event.overdue_s
                    case _:
                        self._unstaged += _unstaged_by(event)
                        events.append(event)
        except (EOFError, OSError):
            child.pipe.close()
        return events

    def _hand_over_queue(self) -> None:
        """Let go of the queue once every child has it; the parent needs it no more.

        Its semaphores have names in /dev/shm by which spawned children find them, and the
        names go with the parent's queue. So even a SIGKILL of all processes at once, which
        takes multiprocessing's resource tracker along, leaves none behind.
        """
        if all(child.ready for child in self.children):
            self._pages = None

    def _find_lost(self) -> tuple[Worker, WorkerLost] | None:
        now = time.monotonic()
        manager = self._manager_process()
        if manager is not None and manager.exitcode is not None and self.children:
            # Told first: fetchers end when it is gone.
            return self.children[0], WorkerLost("manager", _exit_words(manager.exitcode))
        for child in self.children:
            if child.pipe.closed:
                child.process.join(LAST_BREATH_S)
            if child.leaving and child.process.exitcode == 0:
                continue
            if child.process.exitcode is not None or child.pipe.closed:
                code = child.process.exitcode
                reason = "closed its pipe" if code is None else _exit_words(code)
                return child, WorkerLost(child.name, reason)
            silence_s = now - child.last_heard_s
            if silence_s > (SILENCE_S[child.role] if child.ready else BOOT_S):
                what = "gave no sign of life" if child.ready else "did not start"
                return child, WorkerLost(child.name, f"{what} for {silence_s:.0f} s")
            if child.overdue_s > OVERDUE_S:
                return child, WorkerLost(child.name, f"is overdue by {child.overdue_s:.0f} s")
        return None

    def _manager_process(self) -> BaseProcess | None:
        return getattr(self._manager, "_process", None)

    def stop(self, children: list[Worker], *, drain: bool) -> None:
        """Ask children to end: after what is in hand (`drain`), or at once."""
        for child in children:
            child.leaving = True
            with contextlib.suppress(OSError):
                child.pipe.send(Stop(drain))

    def kill(self) -> None:
        """End every process of the fleet now and reap it; safe to call twice."""
        for process in self._processes():
            if process.pid is not None and process.exitcode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
        for process in self._processes():
            process.join(10)
        for child in self.children:
            child.pipe.close()
        if self._pages is not None:
            self._pages.cancel_join_thread()
            self._pages.close()
        self.fetchers, self.writers = [], []
        self._manager = self._gate = self._pages = None
        self._unstaged = 0

    def _processes(self) -> list[BaseProcess]:
        manager = self._manager_process()
        return [c.process for c in self.children] + ([manager] if manager is not None else [])


def _unstaged_by(event: Any) -> int:
    """Return how many pages more are fetched and not staged yet after `event`."""
    match event:
        case PageFetched():
            return 1
        case PagesStaged():
            return -len(event.pages)
        case _:
            return 0


def _exit_words(code: int) -> str:
    """Say how a process ended.

    >>> _exit_words(-9)
    'was killed by SIGKILL'
    """
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
