"""The present engine of a run: started, and replaced by another when it is lost."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from carsync import formatting, timing
from carsync.engine.base import Engine
from carsync.engine.messages import EngineLost, Event, LimitsTold, RequestsMade
from carsync.errors import WorkersDiedError
from carsync.run.api_health import ApiHealth
from carsync.run.context import RunContext

log = logging.getLogger(__name__)

TURN_S = 0.1


class EngineSupervisor:
    """Keeps one engine at work, within a budget of restarts.

    `new_engine(used)` builds an engine; `used`: another has asked the API just before it.
    A new one sends nothing for as long as the API asked the old one to wait, and no faster.
    """

    def __init__(
        self, context: RunContext, new_engine: Callable[[bool], Engine], health: ApiHealth
    ) -> None:
        self._context = context
        self._new_engine = new_engine
        self._health = health
        self._restarts = 0
        self.engine = new_engine(False)
        """The engine at work."""

    def events(self, timeout_s: float) -> list[Event]:
        """Return what the engine reports, but for what it sent and was told, which is counted."""
        events: list[Event] = []
        for event in self.engine.events(timeout_s):
            if isinstance(event, RequestsMade):
                self._context.requests.made(event.counts)
            elif isinstance(event, LimitsTold):
                self._context.requests.told(event)
            else:
                events.append(event)
        return events

    def end(self) -> None:
        """Take back what the engine did not use, and end it; safe to call twice."""
        self._context.settle(self.engine)
        self.engine.kill()

    def replace(self, lost: EngineLost) -> None:
        """End the engine, wait a moment, and start another.

        Raises `WorkersDiedError` when the budget is spent.
        """
        self.end()
        back_off_s = timing.current().restart_back_off_s
        if self._restarts >= len(back_off_s):
            raise WorkersDiedError(
                f"worker processes kept dying ({formatting.plural(self._restarts, 'restart')})",
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
        until_s = time.monotonic() + back_off_s[self._restarts]
        self._restarts += 1
        while time.monotonic() < until_s and not self._context.stop.requested:
            self._context.tick(self.engine, "restarting")
            time.sleep(TURN_S)
        self.engine = self._new_engine(True)
        health = self._health
        self.engine.start(silence_s=health.silence_s(), lowered_to=health.lowered_to)
