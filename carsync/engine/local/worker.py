"""A worker process as the parent sees it: what it holds and reports, and when it is lost."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from carsync import timing
from carsync.engine.local import reserve
from carsync.engine.local.messages import Drain, Heartbeat, Leases, WorkerReady
from carsync.engine.messages import Event, Lease, PageFailed, PageFetched, PageLease, ProbeAnswered


@dataclass(slots=True, eq=False)
class Worker:
    """A worker process, its private pipe and what it last reported.

    `leaving`: it was asked to end. `waiting`: it is in reserve. `capacity` is how many leases a
    fetcher may hold at once, `leases` those that it holds: page or record → attempt.
    """

    name: str
    process: BaseProcess
    pipe: Connection
    last_heard_s: float
    silence_s: float
    ready: bool = False
    overdue_s: float = -math.inf
    capacity: int = 0
    leases: dict[int | str | None, int] = field(default_factory=dict)
    leaving: bool = False
    waiting: bool = False

    def begin(self, silence_s: float) -> None:
        """Let a worker in reserve do its work, in which it is never silent for longer."""
        self.waiting, self.ready = False, False
        self.last_heard_s, self.silence_s = time.monotonic(), silence_s
        self._send(reserve.BEGIN)

    def lease(self, leases: Sequence[Lease]) -> None:
        """Hand out leases."""
        for lease in leases:
            name = lease.page if isinstance(lease, PageLease) else lease.key
            self.leases[name] = lease.attempt
        self._send(Leases(tuple(leases)))

    def drain(self) -> None:
        """Ask the worker, once, to finish what it has in hand and to end."""
        if not self.leaving:
            self.leaving = True
            self._send(Drain())

    def _send(self, message: str | Leases | Drain) -> None:
        with suppress(OSError):  # a broken pipe shows where the worker is heard
            self.pipe.send(message)

    def receive(self) -> list[Event]:
        """Return the events that wait on the pipe, having noted what they say of the worker."""
        events: list[Event] = []
        try:
            while self.pipe.poll(0):
                event = self.pipe.recv()
                self.last_heard_s = time.monotonic()
                match event:
                    case WorkerReady() | reserve.IN_RESERVE:
                        self.ready = True
                        continue
                    case Heartbeat():
                        self.overdue_s = event.overdue_s
                        continue
                    case PageFetched() | PageFailed():
                        self.leases.pop(event.page, None)
                    case ProbeAnswered() if self.leases.get(event.key) == event.attempt:
                        del self.leases[event.key]
                events.append(event)
        except (EOFError, OSError):
            self.pipe.close()
        return events

    def find_fault(self) -> str | None:
        """Return in words why the worker is lost: dead, silent or overdue; None where it is not."""
        deadlines = timing.current()
        if self.pipe.closed:
            self.process.join(deadlines.exit_code_s)
        code = self.process.exitcode
        if self.leaving and code == 0:
            return None
        if code is not None or self.pipe.closed:
            return "closed its pipe" if code is None else exit_words(code)
        silence_s = time.monotonic() - self.last_heard_s
        if silence_s > (self.silence_s if self.ready else deadlines.worker_boot_s):
            what = "gave no sign of life" if self.ready else "did not start"
            return f"{what} for {silence_s:.0f} s"
        if self.overdue_s > deadlines.overdue_s:
            return f"is overdue by {self.overdue_s:.0f} s"
        return None


def exit_words(code: int) -> str:
    """Say how a process ended.

    >>> exit_words(-9)
    'was killed by SIGKILL'
    """
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
