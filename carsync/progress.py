"""Progress of a run on standard error: a live view on a terminal, else a line every 5 s."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console, Group, RenderableType
from rich.constrain import Constrain
from rich.live import Live
from rich.table import Table
from rich.text import Text

from carsync import figures
from carsync.metrics import Snapshot
from carsync.watching import Watcher

LINE_EVERY_S = 5.0
REDRAW_EVERY_S = 0.25
VIEW_COLUMNS = 80
BAR_COLUMNS = 24

_LOGGER = logging.getLogger("carsync.progress")


class Progress(Watcher, ABC):
    """Where a run shows how far it is; `update` may be called at any rate."""

    @abstractmethod
    def update(self, snapshot: Snapshot, phase: str) -> None:
        """Show the figures of `snapshot`, taken in `phase` ("fetching", "merging", …)."""

    @abstractmethod
    def message(self, text: str) -> None:
        """Show one sentence that stays."""


def choose_progress(stream: TextIO, environ: Mapping[str, str], *, plain: bool = False) -> Progress:
    """Return the live view where `stream` is a terminal that can redraw, else plain lines.

    `TERM=dumb` and `TERM=unknown` cannot redraw; `NO_COLOR` (no-color.org) leaves the
    live view without colours.
    """
    if plain or not stream.isatty() or environ.get("TERM", "dumb") in {"dumb", "unknown"}:
        return PlainProgress()
    return LiveProgress(stream, no_color=bool(environ.get("NO_COLOR")))


class PlainProgress(Progress):
    """One line in the log every `every_s` seconds, and at once when the phase changes."""

    def __init__(
        self,
        *,
        every_s: float = LINE_EVERY_S,
        clock: Callable[[], float] = time.monotonic,
        logger: logging.Logger = _LOGGER,
    ) -> None:
        """Take the pace, a monotonic clock in seconds and where the lines go."""
        self._every_s = every_s
        self._clock = clock
        self._logger = logger
        self._phase: str | None = None
        self._due_s = 0.0

    def update(self, snapshot: Snapshot, phase: str) -> None:
        """Log a line where one is due."""
        now_s = self._clock()
        if phase != self._phase:
            self._phase = phase
            self._logger.info("phase: %s", phase)
        elif now_s < self._due_s:
            return
        else:
            self._logger.info("%s", progress_line(snapshot))
        self._due_s = now_s + self._every_s

    def message(self, text: str) -> None:
        """Log the sentence."""
        self._logger.info("%s", text)


def progress_line(snapshot: Snapshot) -> str:
    """Write the figures of `snapshot` on one line; what is not known yet is left out."""
    parts = [_pages(snapshot)]
    parts.append(f"{figures.rate(snapshot.pages_per_s)} pages/s")
    parts.append(f"{figures.rate(snapshot.rows_per_s)} rows/s")
    if snapshot.latency_p95_s is not None:
        parts.append(f"p95 {figures.latency(snapshot.latency_p95_s)}")
    parts.append(f"queue {snapshot.queue_depth}")
    parts.append(f"errors {figures.errors(snapshot.errors)}")
    if snapshot.pages_failed:
        parts.append(f"given up {figures.plural(snapshot.pages_failed, 'page')}")
    if snapshot.eta_s is not None:
        parts.append(f"eta {figures.duration(snapshot.eta_s)}")
    return " · ".join(parts)


def _pages(snapshot: Snapshot) -> str:
    done, planned = snapshot.pages_resumed + snapshot.pages_staged, snapshot.pages_planned
    if planned is None:
        return f"pages {done}"
    return f"pages {done}/{planned} ({figures.share(done, planned)})"


class LiveProgress(Progress):
    """A view of at most 80 columns that is redrawn in place; log lines scroll by above it.

    It is redrawn by `update` alone, never by a thread of its own: what moves proves
    that the run's loop turns over.
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
        self._console = Console(file=stream, no_color=no_color, highlight=False)
        self._live = Live(
            console=self._console, auto_refresh=False, transient=True, redirect_stdout=False
        )
        self._stream = stream
        self._clock = clock
        self._now = now
        self._phase: str | None = None
        self._phase_since = now()
        self._due_s = 0.0
        self._diverted: list[logging.StreamHandler[TextIO]] = []

    def __enter__(self) -> Self:
        self._live.start()
        self._divert_log()
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
        self._live.stop()

    def _divert_log(self) -> None:
        """Send log lines for the same terminal through the view, lest they tear it apart."""
        above = _Above(self._console)
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is self._stream:
                handler.setStream(above)
                self._diverted.append(handler)

    def update(self, snapshot: Snapshot, phase: str) -> None:
        """Redraw where it is due, and at once when the phase changes."""
        now_s = self._clock()
        if phase != self._phase:
            self._phase, self._phase_since = phase, self._now()
        elif now_s < self._due_s:
            return
        self._due_s = now_s + REDRAW_EVERY_S
        self._live.update(live_view(snapshot, phase, self._phase_since), refresh=True)

    def message(self, text: str) -> None:
        """Print the sentence above the view."""
        self._console.print(Text(text))


class _Above:
    """A stream for log lines: prints them above the live view, uncut and unstyled."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def write(self, text: str) -> int:
        self._console.out(text, end="", highlight=False)
        return len(text)

    def flush(self) -> None:
        self._console.file.flush()


def live_view(snapshot: Snapshot, phase: str, phase_since: datetime) -> RenderableType:
    """Return what the terminal shows: bar, rates, latency, queue, memory, errors, ETA."""
    head = Table.grid(expand=True)
    head.add_column()
    head.add_column(justify="right")
    since = phase_since.astimezone(UTC).strftime("%H:%M:%S")
    elapsed = f"elapsed {figures.duration(round(snapshot.elapsed_s))}"
    head.add_row(Text.assemble((phase, "bold"), (f" since {since} UTC", "dim")), elapsed)
    body = Table.grid(padding=(0, 2))
    body.add_column(style="dim", no_wrap=True)
    body.add_column()
    for name, value in _live_rows(snapshot):
        body.add_row(name, value)
    return Constrain(Group(Text(), head, _bar(snapshot), body), VIEW_COLUMNS)


def _bar(snapshot: Snapshot) -> Text:
    done, planned = snapshot.pages_resumed + snapshot.pages_staged, snapshot.pages_planned
    text = Text(figures.bar(done, planned, BAR_COLUMNS), "green")
    if planned is None:
        text.append(f"  {figures.count(done)} pages, total not known yet", "default")
    else:
        counts = f"{figures.count(done)} of {figures.count(planned)}"
        text.append(f"  {counts} ({figures.share(done, planned)})", "default")
    if snapshot.eta_s is not None:
        text.append(f" · eta {figures.duration(snapshot.eta_s)}", "default")
    return text


def _live_rows(snapshot: Snapshot) -> list[tuple[str, str | Text]]:
    rows: list[tuple[str, str | Text]] = [
        (
            "rate",
            f"{figures.rate(snapshot.pages_per_s)} pages/s · "
            f"{figures.rate(snapshot.rows_per_s)} rows/s",
        ),
        ("rows", _rows(snapshot)),
        (
            "latency",
            figures.latencies(
                snapshot.latency_mean_s,
                snapshot.latency_p50_s,
                snapshot.latency_p95_s,
                snapshot.latency_p99_s,
            ),
        ),
        (
            "queue",
            f"{figures.plural(snapshot.queue_depth, 'page')} · "
            f"memory {figures.size(snapshot.rss_bytes)}",
        ),
        ("errors", _errors(snapshot)),
    ]
    return rows


def _rows(snapshot: Snapshot) -> str:
    rejects = f" · {snapshot.rejects:,} rejected" if snapshot.rejects else ""
    return f"{snapshot.rows_staged:,} staged{rejects}"


def _errors(snapshot: Snapshot) -> Text:
    text = Text(figures.errors(snapshot.errors))
    if snapshot.breaker_openings:
        text.append(f" · breaker opened {figures.plural(snapshot.breaker_openings, 'time')}")
    if snapshot.pages_failed:
        text.append(f" · given up {figures.plural(snapshot.pages_failed, 'page')}", "bold red")
    return text
