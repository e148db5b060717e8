"""Progress of a run as lines in the log: one at every new phase, more as time passes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from carsync import formatting
from carsync.reporting.live.progress_line import progress_line
from carsync.run.listener import RunListener
from carsync.state.figures import Figures

LINE_EVERY_S = 5.0
LATER_EVERY_S = 30.0
SETTLED_S = 60.0
"""A phase older than this is logged every `LATER_EVERY_S` instead of `LINE_EVERY_S`."""

_LOGGER = logging.getLogger("carsync.progress")


class PlainProgress(RunListener):
    """Logs a line when the phase changes, every 5 s at first, every 30 s later."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        logger: logging.Logger = _LOGGER,
    ) -> None:
        """Take a monotonic clock in seconds and where the lines go."""
        self._clock = clock
        self._logger = logger
        self._phase: str | None = None
        self._since_s = self._due_s = self._updated_s = clock()

    def update(self, figures: Figures, phase: str) -> None:
        """Log a line where one is due."""
        self._updated_s = now_s = self._clock()
        if phase != self._phase:
            self._phase, self._since_s = phase, now_s
            self._logger.info("phase: %s", phase)
            self._plan_next(now_s)
        elif now_s >= self._due_s:
            self._logger.info("%s", progress_line(figures))
            self._plan_next(now_s)

    def pulse(self) -> None:
        """Log how long the phase has lasted where no figures come."""
        now_s = self._clock()
        if self._phase and now_s >= self._due_s and now_s - self._updated_s >= LINE_EVERY_S:
            lasting = formatting.duration(round(now_s - self._since_s))
            self._logger.info("phase: %s, for %s now", self._phase, lasting)
            self._plan_next(now_s)

    def message(self, text: str) -> None:
        """Log the sentence."""
        self._logger.info("%s", text)

    def _plan_next(self, now_s: float) -> None:
        settled = now_s - self._since_s >= SETTLED_S
        self._due_s = now_s + (LATER_EVERY_S if settled else LINE_EVERY_S)
