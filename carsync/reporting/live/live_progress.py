"""Progress of a run as a live view on a terminal, redrawn in place."""

from __future__ import annotations

import itertools
import logging
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Self, TextIO

from carsync import formatting
from carsync.reporting.live.live_view import LiveState, live_lines
from carsync.reporting.live.terminal import Canvas
from carsync.run.listener import RunListener
from carsync.state.figures import Figures
from carsync.state.runs import Run

REDRAW_EVERY_S = 0.25
PACES_KEPT = 120


class LiveProgress(RunListener):
    """Shows a view that is redrawn in place; log lines scroll by above the view.

    Only the run's own calls redraw the view, never a thread: what moves proves that the run's
    loop turns over. Where no figures come (`pulse`), time still passes on the view.
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

    def __exit__(self, *error: object) -> None:
        for handler in self._diverted:
            handler.setStream(self._stream)
        self._diverted.clear()
        self._canvas.end()

    def begun(self, run: Run) -> None:
        """Learn which run is shown; the view names the run where that fits."""
        which = f"run {run.run_id} · {run.source} → {run.target}"
        self._name = formatting.printable(which)

    def update(self, figures: Figures, phase: str) -> None:
        """Redraw every `REDRAW_EVERY_S` seconds, and at once when the phase changes."""
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
    """A stream for log lines, which prints them above the live view, uncut and unstyled."""

    def __init__(self, canvas: Canvas) -> None:
        self._canvas = canvas

    def write(self, text: str) -> int:
        self._canvas.write_above(text)
        return len(text)

    def flush(self) -> None:
        """Do nothing: the canvas has flushed."""
