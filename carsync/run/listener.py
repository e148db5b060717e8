"""Listeners of a run: the terminal, the log, files, a service manager.

A listener never decides anything, and a listener that fails never fails the run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from carsync.engine.messages import PageFailed
from carsync.run.report import RunReport
from carsync.state.figures import Figures
from carsync.state.runs import Run

log = logging.getLogger(__name__)


class RunListener:
    """Learns from the parent, in its main thread, what happens; a context manager around the run.

    Every method does nothing unless overridden, and must return within milliseconds:
    the run waits for it.
    """

    def begun(self, run: Run) -> None:
        """Learn that the run has its id; `run.resumed_at` is set where it was resumed."""

    def update(self, figures: Figures, phase: str) -> None:
        """Learn the figures, taken in `phase` ("fetching", "merging", …); several times a second.

        While the run waits for one long statement only `pulse` is called.
        """

    def pulse(self) -> None:
        """Learn that the parent's loop turns over, in every phase; several times a second."""

    def message(self, text: str) -> None:
        """Learn one sentence for the operator."""

    def attempt_failed(self, event: PageFailed, *, given_up: bool) -> None:
        """Learn that one attempt at a page failed; the last one where the page is `given_up`."""

    def ended(self, report: RunReport) -> None:
        """Learn how the run ended; called once, also where it never began (`run_id` None)."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


class Listeners(RunListener):
    """Several listeners as one; one that raises hears nothing more, and the log says so."""

    def __init__(self, listeners: Sequence[RunListener]) -> None:
        self._listeners = list(listeners)

    def begun(self, run: Run) -> None:
        """Pass on to all."""
        self._each(lambda listener: listener.begun(run))

    def update(self, figures: Figures, phase: str) -> None:
        """Pass on to all."""
        self._each(lambda listener: listener.update(figures, phase))

    def pulse(self) -> None:
        """Pass on to all."""
        self._each(lambda listener: listener.pulse())

    def message(self, text: str) -> None:
        """Pass on to all."""
        self._each(lambda listener: listener.message(text))

    def attempt_failed(self, event: PageFailed, *, given_up: bool) -> None:
        """Pass on to all."""
        self._each(lambda listener: listener.attempt_failed(event, given_up=given_up))

    def ended(self, report: RunReport) -> None:
        """Pass on to all."""
        self._each(lambda listener: listener.ended(report))

    def __enter__(self) -> Self:
        for listener in self._listeners:
            listener.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for listener in reversed(self._listeners):
            listener.__exit__(kind, error, trace)

    def _each(self, pass_on: Callable[[RunListener], None]) -> None:
        for listener in list(self._listeners):
            try:
                pass_on(listener)
            except Exception as exc:
                self._listeners.remove(listener)
                log.warning("%s failed and gets no more events: %r", type(listener).__name__, exc)
