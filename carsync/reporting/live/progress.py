"""Progress of a run on standard error: a live view on a terminal, else now and then a line."""

from __future__ import annotations

import itertools
import logging
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Self, TextIO

from carsync import formatting
from carsync.reporting.live.live_view import LiveState, live_lines
from carsync.reporting.live.progress_line import progress_line
from carsync.reporting.live.terminal import Canvas, can_redraw
from carsync.run.listener import RunListener
from carsync.state.figures import Figures
from carsync.state.runs import Run

LINE_EVERY_S = 5.0
LATER_EVERY_S = 30.0
SETTLED_S = 60.0
"""After so long a phase is told every `LATER_EVERY_S` instead of `LINE_EVERY_S`."""
REDRAW_EVERY_S = 0.25
PACES_KEPT = 120

_LOGGER = logging.getLogger("carsync.progress")


class Progress(RunListener, ABC):
    """Where a run shows how far it is; `update` may be called at any rate."""

    @abstractmethod
    def update(self, figures: Figures, phase: str) -> None:
        """Show the figures of `figures`, taken in `phase` ("fetching", "merging", …)."""

    @abstractmethod
    def message(self, text: str) -> None:
        """Show one sentence that stays."""


def choose_progress(stream: TextIO, environ: Mapping[str, str], *, plain: bool = False) -> Progress:
    """Return the live view where `stream` is a terminal that can redraw, else plain lines.

    `NO_COLOR` (no-color.org) leaves the live view without colours.
    """
    if plain or not can_redraw(stream, environ):
        return PlainProgress()
    return LiveProgress(stream, no_color=bool(environ.get("NO_COLOR")))


class PlainProgress(Progress):
    """A line in the log at once when the phase changes, every 5 s at first, every 30 s later."""

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
        """Log that a phase goes on of which no figures come."""
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


class LiveProgress(Progress):
    """A view that is redrawn in place; log lines scroll by above it.

    It is redrawn by the run's own calls alone, never by a thread of its own: what moves
    proves that the run's loop turns over. Where no figures come (`pulse`), time still
    passes on it.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        no_color: bool = False,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Take the terminal, a monotonic clock in seconds and the time of day."""
        self._canvas = Canvas(stream, no_color=no_color)
        self._stream = stream
        self._clock = clock
        self._now = now
        self._name = ""
        self._figures: Figures | None = None
        self._phase: str | None = None
        self._phase_since = now()
        self._phase_began_s = self._updated_s = self._due_s = 0.0
        self._paces = _Paces()
        self._diverted: list[logging.StreamHandler[TextIO]] = []

    def __enter__(self) -> Self:
        above = _Above(self._canvas)
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is self._stream:
                handler.setStream(above)
                self._diverted.append(handler)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for handler in self._diverted:
            handler.setStream(self._stream)
        self._diverted.clear()
        self._canvas.end()

    def begun(self, run: Run) -> None:
        """Learn which run it is, shown where there is room."""
        which = f"run {run.run_id} · {run.source} → {run.schema_name}.{run.table_name}"
        self._name = formatting.printable(which)

    def update(self, figures: Figures, phase: str) -> None:
        """Redraw where it is due, and at once when the phase changes."""
        now_s = self._clock()
        self._figures, self._updated_s = figures, now_s
        self._paces.add(int(now_s), figures.pages_staged)
        if phase != self._phase:
            self._phase, self._phase_since, self._phase_began_s = phase, self._now(), now_s
            self._due_s = now_s
        self._redraw(now_s)

    def pulse(self) -> None:
        """Let the time move on in the view."""
        self._redraw(self._clock())

    def message(self, text: str) -> None:
        """Print the sentence above the view."""
        self._canvas.write_above(formatting.printable(text))

    def _redraw(self, now_s: float) -> None:
        if self._figures is None or self._phase is None or now_s < self._due_s:
            return
        self._due_s = now_s + REDRAW_EVERY_S
        state = LiveState(
            figures=self._figures,
            phase=self._phase,
            since=self._phase_since,
            in_phase_s=now_s - self._phase_began_s,
            ago_s=now_s - self._updated_s,
            paces=self._paces.per_second(),
            name=self._name,
        )
        self._canvas.draw(lambda width: live_lines(state, width))


class _Paces:
    """How many pages were staged in each of the last seconds."""

    def __init__(self) -> None:
        self._totals: deque[tuple[int, int]] = deque(maxlen=PACES_KEPT)

    def add(self, second: int, pages_staged: int) -> None:
        """Note how many pages were staged by `second`."""
        if self._totals and self._totals[-1][0] == second:
            self._totals[-1] = (second, pages_staged)
        else:
            self._totals.append((second, pages_staged))

    def per_second(self) -> tuple[int, ...]:
        """Return the pages of each whole second, the oldest first."""
        whole = list(self._totals)[:-1]
        return tuple(
            (after - before) // max(till - since, 1)
            for (since, before), (till, after) in itertools.pairwise(whole)
        )


class _Above:
    """A stream for log lines: prints them above the live view, uncut and unstyled."""

    def __init__(self, canvas: Canvas) -> None:
        self._canvas = canvas

    def write(self, text: str) -> int:
        self._canvas.write_above(text)
        return len(text)

    def flush(self) -> None:
        """Do nothing: the canvas has flushed."""
