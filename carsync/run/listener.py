"""Who is told how a run goes: the terminal, the log, files, a service manager, a web hook.

A watcher never decides anything, and one that fails never fails the run.
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
    """Told by the parent, in its main thread, what happens; a context manager around the run.

    Every method does nothing unless overridden, and must return within milliseconds:
    the run waits for it.
    """

    def begun(self, run: Run) -> None:
        """Learn that the run has its id; `run.resumed_at` is set where it goes on."""

    def update(self, figures: Figures, phase: str) -> None:
        """Learn the figures, taken in `phase` ("fetching", "merging", …); several times a second.

        Where the run waits for one long statement nothing comes but `pulse`.
        """

    def pulse(self) -> None:
        """Learn that the parent's loop turns over, in every phase; several times a second."""

    def message(self, text: str) -> None:
        """Learn one sentence for the operator."""

    def attempt_failed(self, event: PageFailed, *, given_up: bool) -> None:
        """Learn that one attempt at a page failed; `given_up`: the last one."""

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
    """Several watchers as one; a watcher that raises is told nothing more, and the log says so."""

    def __init__(self, watchers: Sequence[RunListener]) -> None:
        self._watchers = list(watchers)

    def begun(self, run: Run) -> None:
        """Tell all."""
        self._tell(lambda watcher: watcher.begun(run))

    def update(self, figures: Figures, phase: str) -> None:
        """Tell all."""
        self._tell(lambda watcher: watcher.update(figures, phase))

    def pulse(self) -> None:
        """Tell all."""
        self._tell(lambda watcher: watcher.pulse())

    def message(self, text: str) -> None:
        """Tell all."""
        self._tell(lambda watcher: watcher.message(text))

    def attempt_failed(self, event: PageFailed, *, given_up: bool) -> None:
        """Tell all."""
        self._tell(lambda watcher: watcher.attempt_failed(event, given_up=given_up))

    def ended(self, report: RunReport) -> None:
        """Tell all."""
        self._tell(lambda watcher: watcher.ended(report))

    def __enter__(self) -> Self:
        for watcher in self._watchers:
            watcher.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for watcher in reversed(self._watchers):
            watcher.__exit__(kind, error, trace)

    def _tell(self, news: Callable[[RunListener], None]) -> None:
        for watcher in list(self._watchers):
            try:
                news(watcher)
            except Exception as exc:
                self._watchers.remove(watcher)
                log.warning("%s failed and is told no more: %r", type(watcher).__name__, exc)
