"""What the live view of a run shows: lines of any width from 30 columns on, without a clock.

Colours are the terminal's own and repeat what words say; nothing is told by dimness.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.text import Text

from carsync import formatting
from carsync.state.figures import Figures

PHASES = {
    "draining": "stopping: what is fetched already is staged first",
    "restarting": "a worker ended unasked: all are replaced, nothing staged is lost",
    "proving": "cars that no page listed are asked for by their ids",
    "deciding": "is it certain that the cars not seen are gone?",
    "merging": "one transaction: readers see all of it or nothing",
}
"""What happens in a phase whose name does not say it; what a watcher is told may be others."""
_PAST_READING = {"proving", "deciding", "merging"}

TWO_COLUMNS, THREE_COLUMNS = 120, 190
_GUTTER = 4
_MAX_BAR, _MIN_BAR = 100, 10
_USUAL_COUNTS = 46
"""Columns kept free beside the bar, so that its length does not change with the figures."""

Row = tuple[str, str]


@dataclass(frozen=True, slots=True)
class LiveState:
    """A figures and what time has made of it: `ago_s` seconds passed since it was taken.

    `paces` are pages staged in each of the last seconds; `name` says which run it is.
    """

    figures: Figures
    phase: str
    since: datetime
    in_phase_s: float
    ago_s: float = 0.0
    paces: tuple[int, ...] = ()
    name: str = ""


def live_lines(state: LiveState, width: int) -> list[Text]:
    """Return the view, an empty line first, no line longer than `width` columns."""
    figures = state.figures
    lines = [Text(), *_head(state, width), *_bar(figures, state.ago_s, width)]
    if state.phase in PHASES:
        lines += [Text(line) for line in formatting.parts(PHASES[state.phase], width)]
    lines += _alarms(figures, state.ago_s, width)
    is_reading = state.phase not in _PAST_READING
    api, table, machine = (
        _api_rows(figures, is_reading),
        _table_rows(figures, is_reading),
        _machine_rows(figures),
    )
    if width >= THREE_COLUMNS:
        blocks = [[*api, *_pace(state)], table, machine]
    elif width >= TWO_COLUMNS:
        blocks = [[*api, *_pace(state)], [*table, *machine]]
    else:
        lines += [Text(line) for line in _block(_short_rows(figures, is_reading), width)]
        return lines
    return [*lines, Text(), *_side_by_side(blocks, width)]


def _head(state: LiveState, width: int) -> list[Text]:
    elapsed = formatting.duration(int(state.figures.elapsed_s + state.ago_s))
    right = f"elapsed {elapsed}"
    since = f" since {state.since.astimezone(UTC):%H:%M:%S} UTC"
    lasting = f" · {formatting.duration(int(state.in_phase_s))}"
    whole = f" · {state.name}" if state.name else ""
    short = whole[: whole.find(" · ", 1)] if " · " in whole[1:] else whole
    # The most that fits beside the elapsed time, else that below.
    for left in (
        *(f"{since}{lasting}{name}" for name in (whole, short, "")),
        *(since, lasting, ""),
    ):
        used = len(state.phase) + len(left)
        if used + 2 + len(right) <= width:
            gap = " " * (width - used - len(right))
            return [Text.assemble((state.phase, "bold"), left, gap, right)]
    return [Text(state.phase, "bold"), Text(right)]


def _bar(figures: Figures, ago_s: float, width: int) -> list[Text]:
    done, planned = figures.pages_resumed + figures.pages_staged, figures.pages_planned
    if planned is None:
        told = f"{formatting.plural(done, 'page')}, total not known yet"
    else:
        told = f"{done:,} of {planned:,} pages ({formatting.share(done, planned)})"
    if figures.pages_resumed:
        told += f" · {figures.pages_resumed:,} kept"
    if figures.eta_s:
        told += f" · eta {formatting.duration(max(figures.eta_s - ago_s, 0.0))}"
    beside = min(width - max(len(told), _USUAL_COUNTS) - 2, _MAX_BAR)
    if beside < _MIN_BAR:
        beside = width - len(told) - 2
    if beside >= _MIN_BAR:
        return [Text.assemble((formatting.bar(done, planned, beside), "green"), f"  {told}")]
    bar = Text(formatting.bar(done, planned, width), "green")
    return [bar, *map(Text, formatting.parts(told, width))]


def _alarms(figures: Figures, ago_s: float, width: int) -> list[Text]:
    """Say, each on lines of its own, what an operator should not overlook."""
    told: list[tuple[str, str]] = []
    left_s = figures.paused_s - ago_s
    if figures.pause and left_s > 0:
        why = {
            "rate_limited": "the API asked for silence (429)",
            "breaker": "the API kept failing, the circuit breaker is open",
        }[figures.pause]
        told.append((f"paused: {why} · {formatting.duration(left_s)} left", "bold yellow"))
    if figures.pages_given_up:
        pages = formatting.plural(figures.pages_given_up, "page")
        told.append((f"given up: {pages} · nobody will be deactivated", "bold red"))
    return [Text(line, style) for text, style in told for line in formatting.parts(text, width)]


def _short_rows(figures: Figures, is_reading: bool) -> list[Row]:
    """Return the figures that count most, for a narrow view."""
    pages_per_s = figures.pages_per_s if is_reading else figures.pages_per_s_mean
    queue = formatting.plural(figures.queue_depth, "page")
    memory = formatting.size(figures.rss_bytes)
    return [
        (
            "rate",
            f"{formatting.rate(pages_per_s)} pages/s · "
            f"{formatting.rate(figures.rows_per_s)} rows/s",
        ),
        ("rows", _rows(figures)),
        ("latency", _latency(figures)),
        *_probes(figures),
        ("queue", f"{queue} · memory {memory}") if is_reading else ("memory", memory),
        ("errors", _errors(figures)),
    ]


def _api_rows(figures: Figures, is_reading: bool) -> list[Row]:
    asked = f"{figures.attempts:,} asked · {figures.retries:,} asked again"
    per_s = figures.wire_bytes / figures.elapsed_s if figures.elapsed_s else 0.0
    now = f"{formatting.rate(figures.pages_per_s)} pages/s · " if is_reading else ""
    mean = f"mean {formatting.rate(figures.pages_per_s_mean)}{'' if is_reading else ' pages/s'}"
    return [
        ("rate", now + mean),
        ("latency", _latency(figures)),
        ("requests", f"{asked} · {100 * figures.error_rate:.1f} % failed"),
        ("errors", _errors(figures)),
        (
            "traffic",
            f"{formatting.size(figures.wire_bytes)} received · "
            f"{formatting.size(figures.body_bytes)} unpacked · {formatting.size(per_s)}/s",
        ),
        *_probes(figures),
    ]


def _probes(figures: Figures) -> list[Row]:
    """Say what came of the cars that were asked for by id, if any was."""
    told = [f"{n:,} {verdict}" for verdict, n in sorted(figures.probes.items())]
    return [("by id", " · ".join(told))] if told else []


def _table_rows(figures: Figures, is_reading: bool) -> list[Row]:
    busy = figures.writer_rows_per_busy_s
    writers = "–" if busy is None else f"{formatting.rate(busy)} rows/s while busy"
    queue = f"{formatting.plural(figures.queue_depth, 'page')} · peak {figures.queue_depth_peak:,}"
    return [
        ("rows", _rows(figures)),
        ("rate", f"{formatting.rate(figures.rows_per_s)} rows/s"),
        ("writers", writers),
        *([("queue", queue)] if is_reading else []),
    ]


def _machine_rows(figures: Figures) -> list[Row]:
    memory = (
        f"{formatting.size(figures.rss_bytes)} · peak {formatting.size(figures.rss_peak_bytes)}"
    )
    if figures.rss_slope_mb_per_min is not None:
        memory += f" · {figures.rss_slope_mb_per_min:+.1f} MB/min"
    number: Counter[str] = Counter()
    size: Counter[str] = Counter()
    for name, rss in figures.rss_by_process.items():
        role = name.rstrip("0123456789-")
        number[role] += 1
        size[role] += rss
    rows = [("memory", memory)]
    for nth, role in enumerate(size):
        who = role if number[role] == 1 else f"{number[role]} {role}s"
        rows.append(("" if nth else "of it", f"{formatting.size(size[role])} {who}"))
    return rows


def _pace(state: LiveState) -> list[Row]:
    """Draw the pages of each of the last seconds, of the last half minute."""
    paces = state.paces[-30:]
    if not paces:
        return []
    return [("pace", f"{formatting.spark(paces, len(paces))} · up to {max(paces)} pages/s")]


def _rows(figures: Figures) -> str:
    rejects = f" · {figures.rejects:,} rejected" if figures.rejects else ""
    return f"{figures.rows_staged:,} staged{rejects}"


def _latency(figures: Figures) -> str:
    return formatting.latencies(
        figures.latency_mean_s,
        figures.latency_p50_s,
        figures.latency_p95_s,
        figures.latency_p99_s,
    )


def _errors(figures: Figures) -> str:
    text = formatting.errors(figures.errors)
    if figures.breaker_openings:
        text += f" · breaker opened {formatting.plural(figures.breaker_openings, 'time')}"
    return text


def _block(rows: Sequence[Row], width: int) -> list[str]:
    """Lay out names and values in two aligned columns of `width` in all."""
    indent = max(len(name) for name, _ in rows) + 2
    lines = []
    for name, value in rows:
        first, *rest = formatting.parts(value, width - indent)
        lines.append(f"{name:<{indent}}{first}")
        lines += [f"{'':<{indent}}{line}" for line in rest]
    return lines


def _side_by_side(blocks: Sequence[Sequence[Row]], width: int) -> list[Text]:
    column = (width + _GUTTER) // len(blocks) - _GUTTER
    laid = [_block(rows, column) for rows in blocks]
    height = max(map(len, laid))
    laid = [[*lines, *[""] * (height - len(lines))] for lines in laid]
    gutter = " " * _GUTTER
    return [
        Text(gutter.join(f"{line:<{column}}" for line in lines).rstrip())
        for lines in zip(*laid, strict=True)
    ]
