"""How past runs are listed: a table that fits the terminal. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from carsync import formatting
from carsync.formatting import Displayed
from carsync.reporting.views.layout import TONES
from carsync.reporting.views.run_details import PastRun


class _Column(Struct, frozen=True):
    """A column of the list; the highest `rank` is left out, or shortened, first."""

    name: str
    value: Callable[[PastRun], str]
    rank: int = 0
    left: bool = False
    short: _Column | None = None


def render_list(
    runs: Sequence[PastRun], now: datetime, width: int, *, color: bool = False
) -> Displayed:
    """Return the runs as a table of at most `width` columns where that is possible."""
    columns = _columns(runs, now)
    while True:
        rows = [[column.value(past) for column in columns] for past in runs]
        widths = [
            max(len(column.name), *(len(row[n]) for row in rows))
            for n, column in enumerate(columns)
        ]
        rank = max(column.rank for column in columns)
        # One blank between them keeps the last columns that would be left out.
        fits = [g for g in (2, 1) if sum(widths) + g * (len(columns) - 1) <= width]
        if (fits and (fits[0] == 2 or rank <= 1)) or rank == 0:
            break
        cut = [column if column.rank < rank else column.short for column in columns]
        columns = [column for column in cut if column is not None]
    gap = " " * (fits[0] if fits else 1)
    head = gap.join(_pad(column.name, column, w) for column, w in zip(columns, widths, strict=True))
    lines = [formatting.paint(head.rstrip(), "strong", color)]
    for past, row in zip(runs, rows, strict=True):
        cells = [_pad(*cell) for cell in zip(row, columns, widths, strict=True)]
        if color:
            place = columns.index(_STATE)
            cells[place] = formatting.paint(cells[place], TONES[past.state], color)
        lines.append(gap.join(cells).rstrip())
    return formatting.display(lines)


def _pad(cell: str, column: _Column, width: int) -> str:
    return f"{cell:<{width}}" if column.left else f"{cell:>{width}}"


def _columns(runs: Sequence[PastRun], now: datetime) -> list[_Column]:
    """Return the columns that say something of these runs."""
    kinds = [] if {past.kind for past in runs} <= {"sync"} else [_KIND]
    lasted = _Column("took", lambda past: _briefly(took(past, now)))
    return [_ID, *kinds, _STATE, _STARTED, lasted, *_FIGURES]


def _started(form: str) -> Callable[[PastRun], str]:
    return lambda past: past.run.started_at.astimezone(UTC).strftime(form)


def took(past: PastRun, now: datetime) -> str:
    """Say how long a run took, or has taken so far; a dash where nobody knows."""
    if past.is_running:
        since = past.run.resumed_at or past.run.started_at
        return formatting.duration(round(max((now - since).total_seconds(), 0)))
    return "–" if past.duration_s is None else formatting.duration(past.duration_s)


def _briefly(duration: str) -> str:
    """Write a duration for a narrow column.

    >>> _briefly("1 h 30 min"), _briefly("0.4 s")
    ('1h 30m', '0.4s')
    """
    return duration.replace(" min", "m").replace(" h", "h").replace(" s", "s").replace(" d", "d")


def _counted(name: str) -> Callable[[PastRun], str]:
    return lambda past: f"{past.run.counts_now.get(name, 0):,}" if past.run.counts_now else "–"


def _pages_per_s(past: PastRun) -> str:
    return formatting.rate(past.report.figures.pages_per_s_mean) if past.report else "–"


_ID = _Column("run", lambda past: str(past.run.run_id))
_KIND = _Column("kind", lambda past: past.kind, left=True)
_STATE = _Column("state", lambda past: past.state, left=True)
_STARTED = _Column(
    "started (UTC)",
    _started("%Y-%m-%d %H:%M"),
    3,
    left=True,
    short=_Column("started UTC", _started("%m-%d %H:%M"), left=True),
)
_FIGURES = (
    _Column("exit", lambda past: "–" if past.run.exit_code is None else str(past.run.exit_code)),
    _Column("seen", _counted("seen"), 1),
    _Column("new", _counted("inserted")),
    _Column("updated", _counted("updated")),
    _Column("back", _counted("reactivated"), 4),
    _Column("gone", _counted("deactivated")),
    _Column("held", _counted("held")),
    _Column("rejected", _counted("rejected"), 5),
    _Column("pages/s", _pages_per_s, 2),
)
