"""An engine and a run that exist only in the test: no process, no database, their own clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from carsync.config.parser import parse
from carsync.engine.base import Engine
from carsync.engine.messages import Event, Lease, ProbeAnswered, ProbeLease
from carsync.model import ProbeVerdict, RunOptions
from carsync.run import intake, leases, probes, supervisor
from carsync.run.context import RunContext
from carsync.run.figures.metrics import Metrics
from carsync.run.listener import RunListener
from carsync.source.allotment import Allotted
from tests.support.fake_clock import FakeClock

ROOM = 4
"""So many leases the engine takes in hand."""


class FakeEngine(Engine):
    """Answers each lease at once by what `answer` gives; `turn_s` passes at each look."""

    def __init__(
        self, clock: FakeClock, answer: Callable[[Any], Sequence[Event]], turn_s: float = 10.0
    ) -> None:
        self.asked = 0
        self.silence_s = 0.0
        """The silence that it was started with."""
        self._clock = clock
        self._answer = answer
        self._turn_s = turn_s
        self._events: list[Event] = []

    def start(self, *, silence_s: float = 0.0, lowered_to: float | None = None) -> None:
        """Note the silence."""
        self.silence_s = silence_s

    def room(self) -> int:
        """Take a few at a time."""
        return ROOM

    def lease(self, leases: Sequence[Lease]) -> None:
        """Answer."""
        self.asked += len(leases)
        for lease in leases:
            if isinstance(lease, ProbeLease) and lease.record_id is None:
                page = lease.page.page if lease.page else None
                found = ProbeAnswered(None, lease.attempt, ProbeVerdict.GONE, 0.1, page=page)
                self._events.append(found)  # the feed ends where it says
            else:
                self._events += self._answer(lease)

    def allot(
        self, requests: int = 0, for_s: float = 0.0, *, afresh: bool = False
    ) -> Allotted | None:
        """Know no budget."""
        return None

    def events(self, timeout_s: float) -> list[Event]:
        """Let time pass and tell what was answered."""
        events, self._events = self._events, []
        self._clock.advance(self._turn_s)
        return events

    def stop(self) -> None:
        """Have nothing in hand."""

    def is_running(self) -> bool:
        """Have no worker."""
        return False

    def kill(self) -> None:
        """Have no worker."""

    def memory(self) -> dict[str, int]:
        """Weigh nothing."""
        return {}

    def queue_depth(self) -> int:
        """Have no queue."""
        return 0


class QuietContext(RunContext):
    """A run without database and checkpoint; nobody is told how it goes."""

    def __init__(self, clock: FakeClock, stop: Any = None) -> None:
        never: Any = SimpleNamespace(requested=False, forced=False)
        super().__init__(parse("", {}), RunOptions(), RunListener(), stop or never)
        self.metrics = Metrics(clock, 30.0)

    def tick(self, engine: Engine, phase: str) -> None:
        """Do nothing."""


def use_clock(monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> None:
    """Let the loops of a run go by `clock`."""
    told = SimpleNamespace(monotonic=clock, sleep=clock.advance)
    for module in (intake, leases, probes, supervisor):
        monkeypatch.setattr(module, "time", told)
