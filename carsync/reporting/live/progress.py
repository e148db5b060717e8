"""The progress of a run: as JSON lines, as a live view, or as the plain log lines made here."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import TextIO

from carsync import formatting
from carsync.reporting.live.json_log import EventLog
from carsync.reporting.live.live_progress import LiveProgress
from carsync.reporting.live.terminal import can_redraw
from carsync.reporting.views import wording
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
            self._logger.info("%s", wording.progress(figures))
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


def choose_progress(
    stream: TextIO, environ: Mapping[str, str], *, as_json: bool = False, plain: bool = False
) -> RunListener:
    """Return JSON lines if asked for, the live view where `stream` can redraw, else plain lines.

    `NO_COLOR` (no-color.org) leaves the live view without colours.
    """
    if as_json:
        return EventLog()
    if plain or not can_redraw(stream, environ):
        return PlainProgress()
    return LiveProgress(stream, no_color=bool(environ.get("NO_COLOR")))
