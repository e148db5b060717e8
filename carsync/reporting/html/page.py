"""One run as a page of HTML that needs nothing else: no network, no script, no other file.

The page is a template with escaping switched on (Jinja2): what comes from the feed is text
wherever it stands. Only the style sheet and the drawings of `charts.py`, which escapes for
itself, go in as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jinja2
from msgspec import Struct

from carsync import formatting
from carsync.columns import BOOKKEEPING
from carsync.formatting import Tone
from carsync.model import RowAction
from carsync.reporting.html import charts, time_series
from carsync.reporting.html.charts import Chart
from carsync.reporting.html.data import ReportData
from carsync.reporting.views import wording
from carsync.reporting.views.cost import kinds
from carsync.reporting.views.layout import TONES
from carsync.state.api_use import used_words
from carsync.state.changes import ChangedCar
from carsync.state.figures import Figures

TITLE_CHARS = 80
TEXT_CHARS = 240
SENTENCE_CHARS = 1000
CHANGED_SHOWN = 4
"""At most this many changed columns of an example are shown."""
TABLE_ROWS = 24
"""At most this many moments stand in the table under a chart."""

ACTION_NAMES: dict[RowAction, str] = {
    "inserted": "New",
    "updated": "Updated",
    "reactivated": "Back",
    "deactivated": "Gone",
    "deleted": "Taken out again",
}


class Drawing(Struct, frozen=True):
    """A chart as the template shows it: the SVG, what to read in it, and its table."""

    chart: Chart
    svg: str
    finding: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    legend: bool = False


def render(data: ReportData, template: str, style: str) -> str:
    """Return the page: `template` filled with `data`, `style` being its style sheet.

    Raises `jinja2.TemplateError` where the template is not one of this module's.
    """
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(_FILTERS)
    return environment.from_string(template).render(
        run=data,
        style=style,
        tone=tone(data),
        tiles=tiles(data),
        counts=counts(data),
        notes=[*data.related, *wording.further(data.notes, data.problem, data.detail)],
        actions=ACTION_NAMES,
        values=[(column.name, wording.column_values(column)) for column in data.columns],
        absent=", ".join(column.name for column in data.columns if column.is_absent),
        drawings=drawings(data),
        error_total=sum(data.errors.values()),
        bar=charts.share_bar,
    )


def tone(data: ReportData) -> Tone:
    """Say how the outcome is to be read: the state's tone, unless a complete run has a blemish."""
    if data.exit_code not in {None, 0} and data.state == "complete":
        return "warn"
    return TONES[data.state]


def tiles(data: ReportData) -> list[tuple[str, str, str]]:
    """Return name, figure and small print of each key figure; none where no end is recorded."""
    seen = data.figures
    if seen is None:
        return []
    done, planned = seen.pages_done, seen.pages_planned
    of_planned = "" if planned is None else f"of {planned:,} · {formatting.share(done, planned)}"
    rejects = (data.counts or {}).get("rejected", seen.rejects)
    rejected = f"{rejects:,} rejected" if rejects else "none rejected"
    speed = f"{formatting.rate(seen.pages_per_s_mean)} pages/s"
    unpacked = f"{formatting.size(seen.body_bytes)} unpacked"
    failed, median, slope = sum(seen.errors.values()), seen.latency_p50_s, seen.rss_slope_mb_per_min
    share = f"{failed:,} failed ({100 * seen.error_rate:.1f} %), {seen.retries:,} retried"
    requests = sum(seen.requests.values()) or seen.attempts
    growth = "all processes" if slope is None else wording.slope(slope).replace("-", "−")
    return [
        ("Duration", formatting.duration(data.duration_s or 0.0), "from start to end"),
        ("Pages staged", f"{done:,}", of_planned),
        ("Rows staged", f"{seen.rows_staged:,}", rejected),
        ("Mean speed", speed, f"{formatting.rate(seen.rows_per_s)} rows/s"),
        ("Answer time", _latency(median), _slower(seen)),
        ("Requests", f"{requests:,}", share if failed else "none failed"),
        *_cost_tiles(seen),
        ("Received", formatting.size(seen.wire_bytes), unpacked),
        ("Peak memory", formatting.size(seen.rss_peak_bytes), growth),
    ]


def _cost_tiles(seen: Figures) -> list[tuple[str, str, str]]:
    """Return the key figures on what requests have cost, where they are known."""
    found = []
    if seen.requests:
        count = formatting.plural(sum(seen.requests.values()), "request")
        found.append(("Cost", count, kinds(seen.requests)))
    if seen.api_use is not None and seen.api_use.budget is not None:
        budget = seen.api_use.budget
        words = f"{used_words(budget)}, renews {formatting.moment(budget.renews_at)}"
        found.append(("Budget left", f"{budget.left:,}", words))
    for quota in seen.quotas:
        limit = "" if quota.limit is None else f"of {quota.limit:,.0f}, "
        found.append(("API tells", f"{quota.remaining:,.0f} left", f"{limit}{quota.name}"))
    return found


def counts(data: ReportData) -> list[tuple[str, int, str]]:
    """Return name, number and meaning of each count of the merge."""
    if data.counts is None:
        return []
    known = data.counts
    named = [
        ("New", "inserted", "inserted"),
        ("Updated", "updated", "changed in the feed"),
        ("Back", "reactivated", "active again"),
        ("Gone", "deactivated", "deactivated"),
        ("Of them", "removed", "by a tombstone"),
        ("Taken out", "deleted", "inserted by the reverted run"),
        ("Held", "held", "absent, left active"),
        ("Kept", "kept", "otherwise than in the feed, by a trigger of the table"),
        ("Unchanged", "unchanged", "as in the table"),
        ("Rejected", "rejected", "did not fit into a row"),
        ("Duplicates", "duplicate", "listed twice"),
        ("Older", "stale", "changed meanwhile by others"),
    ]
    always = {"inserted", "updated", "reactivated", "deactivated", "unchanged"}
    return [
        (name, known.get(key, 0), meaning)
        for name, key, meaning in named
        if key in always or known.get(key, 0)
    ]


def drawings(data: ReportData) -> list[Drawing]:
    """Draw the run over time; nothing where no samples were kept."""
    if not data.points:
        return []
    drawn = [_drawing(chart) for chart in time_series.lines(data.points)]
    failed = time_series.errors(data.points)
    if failed is not None:
        chart, width_s = failed
        total = sum(value or 0 for series in chart.series for value in series.values)
        finding = f"{formatting.plural(int(total), 'attempt')} failed."
        svg = charts.column_chart(chart, width_s)
        drawn.append(Drawing(chart, svg, finding, *_table(chart, empty="0"), legend=True))
    return drawn


def _drawing(chart: Chart) -> Drawing:
    known = any(value is not None for series in chart.series for value in series.values)
    svg = charts.line_chart(chart) if known else ""
    return Drawing(chart, svg, _finding(chart), *_table(chart))


def changed(car: ChangedCar) -> list[tuple[str, str, str]]:
    """Return column, old and new value of what changed in an example, the first few.

    >>> changed(ChangedCar("1", None, {"mileage": "5", "vin": None}, {"mileage": "6", "vin": "A"}))
    [('mileage', '5', '6'), ('vin', '–', 'A')]
    """
    return [
        (name, _value(car.before.get(name)), _value(value))
        for name, value in sorted(car.after.items())
        if name not in BOOKKEEPING
    ][:CHANGED_SHOWN]


def only_hash(car: ChangedCar) -> bool:
    """Say whether only the columns that carsync itself keeps changed in an updated car."""
    return set(car.after) <= BOOKKEEPING


def text(value: object, chars: int = TEXT_CHARS) -> str:
    r"""Return a text of the feed on one line, without control characters, cut to `chars`.

    >>> text("Kia\u202e\x1b[2J Rio", 9)
    'Kia  [2J…'
    """
    shown = formatting.printable(str(value)).strip()
    return shown if len(shown) <= chars else shown[: chars - 1].rstrip() + "…"


def sentence(value: str) -> str:
    """Return a sentence of carsync, which may quote the feed, with its full stop.

    >>> sentence("run `carsync sync` again"), sentence("Look!")
    ('run `carsync sync` again.', 'Look!')
    """
    shown = text(value, SENTENCE_CHARS)
    return shown if shown.endswith((".", "!", "?", "…")) else shown + "."


def spans(value: str) -> list[tuple[bool, str]]:
    """Return the parts of a text, and of each whether it stands in backticks, which go.

    >>> spans("run `carsync sync` again"), spans("a lone ` goes too")
    ([(False, 'run '), (True, 'carsync sync'), (False, ' again')], [(False, 'a lone  goes too')])
    """
    parts = value.split("`")
    if len(parts) % 2 == 0:
        parts[-2:] = [parts[-2] + parts[-1]]
    return [(bool(n % 2), part) for n, part in enumerate(parts)]


def money(value: float) -> str:
    """Write a price without decimals that are none.

    >>> money(12500.0), money(99.5)
    ('12,500', '99.50')
    """
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def percent(ratio: float) -> str:
    """Write a relative move with its sign.

    >>> percent(0.105), percent(-0.5), percent(12)
    ('+10.5 %', '−50.0 %', '+1,200 %')
    """
    digits = 1 if abs(ratio) < 1 else 0
    return f"{ratio * 100:+,.{digits}f} %".replace("-", "−")


def _value(value: str | None) -> str:
    return "–" if value is None else text(value, 40)


def _table(chart: Chart, empty: str = "–") -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Return head and rows of a chart's figures, at most `TABLE_ROWS` moments of it."""
    few = charts.thinned(chart, TABLE_ROWS)
    moments = [charts.clock(at_s, few.end_s) for at_s in few.at_s]
    columns = [[empty if v is None else charts.number(v) for v in s.values] for s in few.series]
    head = (charts.clock_unit(chart.end_s), *(series.name for series in few.series))
    return head, tuple(zip(moments, *columns, strict=True))


def _finding(chart: Chart) -> str:
    """Say in a sentence what there is to read in a line chart."""
    *others, last = chart.series
    known = sorted(value for value in last.values if value is not None)
    if not known:
        return "Nothing was measured."
    if others:
        first = sorted(v for v in others[0].values if v is not None)
        return (
            f"Most of the time, half of the answers came within {charts.number(_middle(first))} "
            f"{chart.unit}. At worst, 1 in 100 answers took longer than {charts.number(known[-1])}."
        )
    usual, peak = charts.number(_middle(known)), charts.number(known[-1])
    return f"Mostly {usual}, at most {peak} {chart.unit}."


def _middle(ordered: Sequence[float]) -> float:
    return ordered[len(ordered) // 2] if ordered else 0.0


def _latency(seconds: float | None) -> str:
    return "not measured" if seconds is None else formatting.latency(seconds)


def _slower(seen: Figures) -> str:
    if seen.latency is None:
        return ""
    p95, p99 = formatting.latency(seen.latency.p95_s), formatting.latency(seen.latency.p99_s)
    return f"median · p95 {p95} · p99 {p99}"


_FILTERS: dict[str, Callable[..., Any]] = {
    "text": text,
    "sentence": sentence,
    "spans": spans,
    "title_text": lambda value: text(value, TITLE_CHARS),
    "count": formatting.count,
    "plural": formatting.plural,
    "duration": formatting.duration,
    "latency": formatting.latency,
    "moment": formatting.moment,
    "error_name": formatting.error_name,
    "money": money,
    "percent": percent,
    "changed": changed,
    "only_hash": only_hash,
}
