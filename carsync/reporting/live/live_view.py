"""What the live view of a run shows: lines of any width from 30 columns on, without a clock.

Colours are the terminal's own and repeat what words say; nothing is said by dimness.
"""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec import Struct

from carsync import formatting
from carsync.formatting import Tone
from carsync.reporting.views import layout, wording
from carsync.reporting.views.cost import budget_words
from carsync.state.figures import Figures, Pause, rss_by_role

PHASES = {
    "draining": "stopping: fetched pages are staged first",
    "restarting": "a worker died: all workers are replaced, staged pages are kept",
    "proving": "asking the API for the cars that no page listed",
    "deciding": "deciding about the cars that no page listed",
    "merging": "one transaction: readers see all changes or none",
}
"""What happens in a phase whose name does not say it; other phases have no such line."""
_PAUSES: dict[Pause, str] = {
    "rate_limited": "the API asked to wait (429)",
    "limit": "nothing is left of the API's limit",
    "breaker": "the API kept failing, the circuit breaker is open",
}
_PAST_READING = {"proving", "deciding", "merging"}

TWO_COLUMNS, THREE_COLUMNS = 120, 190
_MAX_BAR, _MIN_BAR = 100, 10
_USUAL_COUNTS = 46
"""Columns kept free beside the bar, so that its length does not change with the figures."""

NamedValue = tuple[str, str]


class LiveState(Struct, frozen=True):
    """The figures of a run and what time has made of them: they are `ago_s` seconds old.

    `paces` are pages staged in each of the last seconds; `name` says which run it is.
    """

    figures: Figures
    phase: str
    since: datetime
    in_phase_s: float
    ago_s: float = 0.0
    paces: tuple[int, ...] = ()
    name: str = ""


def live_lines(state: LiveState, width: int) -> list[str]:
    """Return the view in colours, an empty line first, no line longer than `width` columns."""
    figures = state.figures
    lines = ["", *_head(state, width), *_bar(figures, state.ago_s, width)]
    if state.phase in PHASES:
        lines += layout.parts(PHASES[state.phase], width)
    lines += _alarms(figures, state.ago_s, width)
    is_reading = state.phase not in _PAST_READING
    if width < TWO_COLUMNS:
        rows = _short_rows(figures, is_reading)
        return [*lines, *layout.columns(rows, indent=0, width=width)]
    api = [*_api_rows(figures, is_reading), *_pace(state)]
    table, machine = _table_rows(figures, is_reading), _machine_rows(figures)
    blocks = [api, table, machine] if width >= THREE_COLUMNS else [api, [*table, *machine]]
    column = layout.column_width(len(blocks), width)
    laid = [layout.columns(rows, indent=0, width=column) for rows in blocks]
    return [*lines, "", *layout.side_by_side(laid, column)]


def _head(state: LiveState, width: int) -> list[str]:
    elapsed = formatting.duration(int(state.figures.elapsed_s + state.ago_s))
    right = f"elapsed {elapsed}"
    since = f" since {state.since.astimezone(UTC):%H:%M:%S} UTC"
    lasting = f" · {formatting.duration(int(state.in_phase_s))}"
    whole = f" · {state.name}" if state.name else ""
    short = whole[: whole.find(" · ", 1)] if " · " in whole[1:] else whole
    phase = formatting.paint(state.phase, "strong", True)
    # The most that fits beside the elapsed time, else that below.
    for left in (
        *(f"{since}{lasting}{name}" for name in (whole, short, "")),
        *(since, lasting, ""),
    ):
        used = len(state.phase) + len(left)
        if used + 2 + len(right) <= width:
            return [phase + left + " " * (width - used - len(right)) + right]
    return [phase, right]


def _bar(figures: Figures, ago_s: float, width: int) -> list[str]:
    done, planned = figures.pages_done, figures.pages_planned
    if planned is None:
        text = f"{formatting.plural(done, 'page')}, {wording.TOTAL_UNKNOWN}"
    else:
        text = f"{formatting.part(done, planned, 'page')} ({formatting.share(done, planned)})"
    if words := wording.lists(figures.lists_done, figures.lists_planned):
        text += f" · {words}"
    if figures.pages_resumed:
        text += f" · {figures.pages_resumed:,} kept"
    if figures.eta_s:
        text += f" · eta {formatting.duration(max(figures.eta_s - ago_s, 0.0))}"
    beside = min(width - max(len(text), _USUAL_COUNTS) - 2, _MAX_BAR)
    if beside < _MIN_BAR:
        beside = width - len(text) - 2
    is_beside = beside >= _MIN_BAR
    bar = layout.bar(done, planned, beside if is_beside else width)
    bar = formatting.paint(bar, "good", True)
    return [f"{bar}  {text}"] if is_beside else [bar, *layout.parts(text, width)]


def _alarms(figures: Figures, ago_s: float, width: int) -> list[str]:
    """Say, each on lines of its own, what an operator should not overlook."""
    alarms: list[tuple[str, Tone]] = []
    left_s = figures.paused_s - ago_s
    if figures.pause and left_s > 0:
        why = _PAUSES[figures.pause]
        alarms.append((f"paused: {why} · {formatting.duration(left_s)} left", "warn"))
    if words := wording.slowed(figures.slowed):
        alarms.append((words, "warn"))
    if figures.pages_given_up:
        pages = formatting.plural(figures.pages_given_up, "page")
        whose = "no car of their lists" if figures.lists_planned else "no car"
        alarms.append((f"given up: {pages} · {whose} will be deactivated", "bad"))
    return [
        formatting.paint(formatting.paint(line, tone, True), "strong", True)
        for text, tone in alarms
        for line in layout.parts(text, width)
    ]


def _short_rows(figures: Figures, is_reading: bool) -> list[NamedValue]:
    pages_per_s = figures.pages_per_s if is_reading else figures.pages_per_s_mean
    memory = formatting.size(figures.rss_bytes)
    queue = f"{formatting.plural(figures.queue_depth, 'page')} · memory {memory}"
    return [
        ("rate", wording.rates(pages_per_s, figures.rows_per_s)),
        ("rows", wording.rows(figures)),
        ("latency", wording.latency(figures.latency)),
        *_probes(figures),
        ("queue", queue) if is_reading else ("memory", memory),
        ("errors", wording.errors(figures)),
    ]


def _api_rows(figures: Figures, is_reading: bool) -> list[NamedValue]:
    asked = f"{figures.attempts:,} asked · {figures.retries:,} asked again"
    per_s = figures.wire_bytes / figures.elapsed_s if figures.elapsed_s else 0.0
    now = f"{formatting.rate(figures.pages_per_s)} pages/s · " if is_reading else ""
    mean = f"mean {formatting.rate(figures.pages_per_s_mean)}{'' if is_reading else ' pages/s'}"
    return [
        ("rate", now + mean),
        ("latency", wording.latency(figures.latency)),
        ("requests", f"{asked} · {100 * figures.error_rate:.1f} % failed"),
        ("errors", wording.errors(figures)),
        ("traffic", f"{wording.traffic(figures, ' · ')} · {formatting.size(per_s)}/s"),
        *_probes(figures),
        *_budget(figures),
    ]


def _budget(figures: Figures) -> list[NamedValue]:
    """Say what is left of `limits.budget`, where there is one."""
    use = figures.api_use
    return [("budget", budget_words(use.budget))] if use and use.budget else []


def _probes(figures: Figures) -> list[NamedValue]:
    """Say what came of the cars that were asked for by id, if any was."""
    counts = [f"{n:,} {verdict}" for verdict, n in sorted(figures.probes.items())]
    return [("by id", " · ".join(counts))] if counts else []


def _table_rows(figures: Figures, is_reading: bool) -> list[NamedValue]:
    busy = figures.writer_rows_per_busy_s
    writers = "–" if busy is None else f"{formatting.rate(busy)} rows/s while busy"
    queue = f"{formatting.plural(figures.queue_depth, 'page')} · peak {figures.queue_depth_peak:,}"
    return [
        ("rows", wording.rows(figures)),
        ("rate", f"{formatting.rate(figures.rows_per_s)} rows/s"),
        ("writers", writers),
        *([("queue", queue)] if is_reading else []),
    ]


def _machine_rows(figures: Figures) -> list[NamedValue]:
    memory = formatting.size(figures.rss_bytes)
    memory += f" · peak {formatting.size(figures.rss_peak_bytes)}"
    if figures.rss_slope_mb_per_min is not None:
        memory += f" · {wording.slope(figures.rss_slope_mb_per_min)}"
    rows = [("memory", memory)]
    for nth, (role, sizes) in enumerate(rss_by_role(figures.rss_by_process).items()):
        who = role if len(sizes) == 1 else f"{len(sizes)} {role}s"
        rows.append(("" if nth else "of it", f"{formatting.size(sum(sizes))} {who}"))
    return rows


def _pace(state: LiveState) -> list[NamedValue]:
    """Draw the pages of each of the last seconds, of the last half minute."""
    paces = state.paces[-30:]
    if not paces:
        return []
    return [("pace", f"{layout.spark(paces, len(paces))} · up to {max(paces)} pages/s")]
