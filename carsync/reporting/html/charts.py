"""Charts as SVG text: data in, a string out; no file, no clock, no library.

The drawing is as wide as its place on the page and of a fixed height: positions across are
per cent, those down are pixels, so letters keep their size on a phone and on a wide screen.
What stands left and right of the plot lies outside of the SVG's own box; the page leaves
space for it (the class `plot` in `templates/report.css`). Colours are the page's, by the classes
`s1` to `s6`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from msgspec import Struct
from msgspec.structs import replace

PLOT_PX = 150
"""Height of the plot itself."""
TOP_PX = 24
BOTTOM_PX = 38
HEIGHT_PX = TOP_PX + PLOT_PX + BOTTOM_PX
LABEL_GAP_PX = 14
WIDTH = 1000
"""The plot's own units across; they are stretched to the width there is."""

MAX_POINTS = 240
"""More moments than a screen can show are put together."""

_TIME_STEPS_S = (
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800),
    *(3600, 7200, 10800, 21600, 43200, 86400),
)


class Series(Struct, frozen=True):
    """One named line or layer: a value for each moment, None where nothing was measured."""

    name: str
    values: tuple[float | None, ...]


class Chart(Struct, frozen=True):
    """Series over time. `key` names the drawing in its page; `unit` is the axis title.

    `at_s` are seconds, ascending, one for each value of each series. At `breaks_s` lines
    are interrupted and a mark says `break_name`: another session of the run began there.
    `until_s` is where the time axis ends. `whole`: the values are counts, so are the ticks.
    """

    key: str
    title: str
    unit: str
    at_s: tuple[float, ...]
    series: tuple[Series, ...]
    breaks_s: tuple[float, ...] = ()
    break_name: str = "resumed"
    until_s: float = 0.0
    whole: bool = False

    @property
    def end_s(self) -> float:
        """The right end of the time axis."""
        return max(self.until_s, self.at_s[-1] if self.at_s else 0.0, 1.0)


def number_ticks(top: float, most: int = 4, *, whole: bool = False) -> list[float]:
    """Return round ticks from 0 to the first one that is not below `top`, `most` steps at most.

    >>> number_ticks(23), number_ticks(0.07), number_ticks(0), number_ticks(1, whole=True)
    ([0, 10, 20, 30], [0, 0.02, 0.04, 0.06, 0.08], [0, 1], [0, 1])
    """
    if not top > 0 or math.isinf(top):
        return [0, 1]
    power = math.floor(math.log10(top / most))
    if whole:
        power = max(power, 0)
    for exponent in (power, power + 1):
        for digit in (1, 2, 5):
            steps = math.ceil(round(top / (digit * 10.0**exponent), 9))
            if steps <= most:
                return [0, *(_round(n * digit, exponent) for n in range(1, steps + 1))]
    raise AssertionError("ten steps of a power are at most one of the next")


def time_ticks(end_s: float, most: int = 5) -> list[float]:
    """Return round moments from 0 to `end_s` or just below, in seconds, `most` steps at most.

    >>> time_ticks(103), time_ticks(1500)
    ([0, 30, 60, 90], [0, 300, 600, 900, 1200, 1500])
    """
    days = math.ceil(end_s / 86400 / most)
    step = next((s for s in _TIME_STEPS_S if end_s / s <= most), 86400 * days)
    return [n * step for n in range(int(end_s // step) + 1)]


def clock(at_s: float, end_s: float) -> str:
    """Write a moment of a span that ends at `end_s`: minutes:seconds, from an hour on h:min.

    >>> clock(90, 103), clock(5400, 7200), clock(200_000, 300_000)
    ('1:30', '1:30', '2 d 7 h')
    """
    if end_s >= 2 * 86400:
        hours = int(at_s // 3600)
        return f"{hours // 24} d {hours % 24} h" if hours % 24 else f"{hours // 24} d"
    whole = int(at_s) // 60 if end_s >= 3600 else int(at_s)
    return f"{whole // 60}:{whole % 60:02d}"


def clock_unit(end_s: float) -> str:
    """Say what `clock` writes.

    >>> clock_unit(60)
    'time (min:s)'
    """
    if end_s >= 2 * 86400:
        return "time (days, hours)"
    return "time (h:min)" if end_s >= 3600 else "time (min:s)"


def line_chart(chart: Chart) -> str:
    """Draw the series as lines, with their names at their ends where there are several.

    A single line is filled down to zero. A value with none beside it becomes a dot.
    """
    highest = _peak([value for series in chart.series for value in series.values])
    ticks = number_ticks(highest or 0.0, whole=chart.whole)
    top, end_s = ticks[-1], chart.end_s
    drawn, dots, ends = [], [], []
    for number, series in enumerate(chart.series, start=1):
        runs = _unbroken(chart, series)
        points = [[(_x(at, end_s), _y(value, top)) for at, value in run] for run in runs]
        if len(chart.series) == 1:
            drawn += [_area(run, number) for run in points if len(run) > 1]
        drawn += [_path(run, number) for run in points if len(run) > 1]
        dots += [_dot(*run[0], number) for run in points if len(run) == 1]
        if points and len(chart.series) > 1:
            ends.append((TOP_PX + points[-1][-1][1], series.name, number))
    return _frame(chart, ticks, _inner(drawn) + "".join(dots) + _end_labels(ends))


def column_chart(chart: Chart, width_s: float) -> str:
    """Draw the series as columns stacked on each other, each `width_s` wide from its moment on."""
    stacks = list(zip(*(series.values for series in chart.series), strict=True))
    sums = [sum(value or 0.0 for value in stack) for stack in stacks]
    ticks = number_ticks(max(sums, default=0.0), whole=chart.whole)
    top, end_s = ticks[-1], chart.end_s
    drawn = []
    for at, stack in zip(chart.at_s, stacks, strict=True):
        left, right = _x(at, end_s), _x(min(at + width_s, end_s), end_s)
        floor = 0.0
        for number, value in enumerate(stack, start=1):
            if value:
                y, bottom = _y(floor + value, top), _y(floor, top)
                floor += value
                drawn.append(
                    f'<rect class="s{number}" x="{left:.1f}" y="{y:.1f}" '
                    f'width="{max(right - left - 2, 1):.1f}" height="{max(bottom - y, 1):.1f}"/>'
                )
    return _frame(chart, ticks, _inner(drawn))


def share_bar(share: float, number: int = 1) -> str:
    """Draw a bar for a cell of a table: `share` of its width, from 0 to 1.

    The cell beside the bar holds the number, so that the bar is silent to a screen reader.
    """
    width = 100 * min(max(share, 0.0), 1.0)
    return (
        '<svg class="bar" aria-hidden="true" width="100%" height="10">'
        f'<rect class="s{number}" width="{width:.2f}%" height="10"/></svg>'
    )


def thinned(chart: Chart, most: int = MAX_POINTS) -> Chart:
    """Put neighbouring moments together until there are `most` at most; each keeps its peak.

    Moments of two sessions are never put together.
    """
    per = math.ceil(len(chart.at_s) / most)
    if per <= 1:
        return chart
    edges = [0]
    for i in range(1, len(chart.at_s)):
        crosses = any(chart.at_s[i - 1] < at <= chart.at_s[i] for at in chart.breaks_s)
        if crosses or i - edges[-1] >= per:
            edges.append(i)
    spans = list(zip(edges, [*edges[1:], len(chart.at_s)], strict=True))
    return replace(
        chart,
        at_s=tuple(chart.at_s[start] for start, _ in spans),
        series=tuple(
            Series(s.name, tuple(_peak(s.values[start:stop]) for start, stop in spans))
            for s in chart.series
        ),
        until_s=chart.end_s,
    )


def describe(chart: Chart) -> str:
    """Return what the chart shows in words, for those who do not see it."""
    parts = []
    for series in chart.series:
        known = [value for value in series.values if value is not None]
        if known:
            parts.append(
                f"{series.name}: from {number(known[0])} to {number(known[-1])}, "
                f"lowest {number(min(known))}, highest {number(max(known))}"
            )
    whole = f"{chart.unit} over {clock(chart.end_s, chart.end_s)} {clock_unit(chart.end_s)}"
    return f"{whole}. {'; '.join(parts) or 'Nothing was measured'}."


def number(value: float) -> str:
    """Write a value or a tick: as many decimals as it needs, two at most.

    >>> number(1500.0), number(0.25), number(12.34), number(2.0)
    ('1,500', '0.25', '12.3', '2')
    """
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _frame(chart: Chart, ticks: Sequence[float], content: str) -> str:
    """Put axes, grid and the words for a screen reader around the drawing."""
    top, end_s, key = ticks[-1], chart.end_s, escape(chart.key)
    parts = [
        f'<svg class="chart" role="img" aria-labelledby="{key}-title {key}-desc" '
        f'width="100%" height="{HEIGHT_PX}">',
        f'<title id="{key}-title">{escape(chart.title)}</title>',
        f'<desc id="{key}-desc">{escape(describe(chart))}</desc>',
        f'<text class="unit" x="-8" y="10">{escape(chart.unit)}</text>',
    ]
    for tick in ticks:
        y = TOP_PX + _y(tick, top)
        kind = "grid" if tick else "axis"
        parts.append(f'<line class="{kind}" x1="0" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="end" x="-8" y="{y + 4:.1f}">{number(tick)}</text>')
    base = TOP_PX + PLOT_PX
    for at in time_ticks(end_s):
        x = at / end_s * 100
        parts.append(
            f'<line class="axis" x1="{x:.2f}%" x2="{x:.2f}%" y1="{base}" y2="{base + 4}"/>'
            f'<text class="middle" x="{x:.2f}%" y="{base + 17}">{clock(at, end_s)}</text>'
        )
    parts.append(f'<text class="unit end" x="100%" y="{base + 33}">{clock_unit(end_s)}</text>')
    return "".join([*parts, content, *_breaks(chart), "</svg>"])


def _breaks(chart: Chart) -> list[str]:
    """Mark where another session began, above the lines; its words on the side with space."""
    drawn = []
    for at in chart.breaks_s:
        x = at / chart.end_s * 100
        side, shift = ("end", -4) if x > 60 else ("start", 4)
        drawn.append(
            f'<line class="break" x1="{x:.2f}%" x2="{x:.2f}%" '
            f'y1="{TOP_PX}" y2="{TOP_PX + PLOT_PX}"/>'
            f'<text class="break {side}" x="{x:.2f}%" dx="{shift}" y="{TOP_PX + 10}">'
            f"{escape(chart.break_name)}</text>"
        )
    return drawn


def _inner(drawn: Sequence[str]) -> str:
    """Put what is drawn in the plot's own units into the plot's place."""
    return (
        f'<svg x="0" y="{TOP_PX}" width="100%" height="{PLOT_PX}" overflow="visible" '
        f'viewBox="0 0 {WIDTH} {PLOT_PX}" preserveAspectRatio="none">{"".join(drawn)}</svg>'
    )


def _path(points: Sequence[tuple[float, float]], number: int) -> str:
    return f'<path class="line s{number}" d="{_route(points)}"/>'


def _area(points: Sequence[tuple[float, float]], number: int) -> str:
    first, last = points[0][0], points[-1][0]
    route = f"{_route(points)}L{last:.1f} {PLOT_PX}L{first:.1f} {PLOT_PX}Z"
    return f'<path class="area s{number}" d="{route}"/>'


def _route(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _dot(x: float, y: float, number: int) -> str:
    return f'<circle class="s{number}" cx="{100 * x / WIDTH:.2f}%" cy="{TOP_PX + y:.1f}" r="3"/>'


def _end_labels(ends: Sequence[tuple[float, str, int]]) -> str:
    """Write each line's name at its end, names pushed apart where lines end close together."""
    lowest: float = TOP_PX + PLOT_PX
    drawn = ""
    for y, name, number in sorted(ends, reverse=True):  # from the bottom up
        y = min(y, lowest)
        lowest = y - LABEL_GAP_PX
        drawn += f'<text class="label s{number}" x="100%" dx="7" y="{y + 4:.1f}">'
        drawn += f"{escape(name)}</text>"
    return drawn


def _unbroken(chart: Chart, series: Series) -> list[list[tuple[float, float]]]:
    """Cut a series where a value is missing and where another session begins."""
    runs: list[list[tuple[float, float]]] = [[]]
    before = -math.inf
    for at, value in zip(chart.at_s, series.values, strict=True):
        if value is None or any(before < b <= at for b in chart.breaks_s):
            runs.append([])
        if value is not None:
            runs[-1].append((at, value))
        before = at
    return [run for run in runs if run]


def _peak(values: Sequence[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _x(at_s: float, end_s: float) -> float:
    return WIDTH * at_s / end_s


def _y(value: float, top: float) -> float:
    return PLOT_PX * (1 - value / top)


def _round(digits: int, exponent: int) -> float:
    """Return `digits` × 10^`exponent` without the dust of binary fractions."""
    value = digits * 10.0**exponent
    return round(value) if exponent >= 0 else round(value, -exponent)
