"""How views are laid out on a terminal of 80 columns: columns, bars, series, lines."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from itertools import zip_longest

from carsync import formatting
from carsync.formatting import SPARKS, Tone
from carsync.model import MergeCounts, RunState

WIDTH = 80
_GUTTER = 4

_COUNTS = (
    *("seen", "inserted", "updated", "reactivated", "unchanged"),
    *("deactivated", "held", "rejected", "duplicate", "stale"),
)

TONES: dict[RunState, Tone] = {
    "running": "good",
    "merging": "good",
    "interrupted": "warn",
    "failed": "bad",
    "partial": "warn",
    "held": "warn",
    "complete": "good",
    "abandoned": "plain",
}


def bar(part: int, whole: int | None, width: int) -> str:
    """Draw a bar of `width` characters; it is full only where `part` is all of `whole`.

    >>> bar(812, 2000, 10), bar(1999, 2000, 4), bar(3, None, 4)
    ('████░░░░░░', '███░', '░░░░')
    """
    filled = min(width * part // whole, width) if whole else 0
    return "█" * filled + "░" * (width - filled)


def spark(values: Sequence[float | None], width: int) -> str:
    """Draw a series, from 0 to its peak, in at most `width` characters; None leaves a gap.

    Where there are more values than characters, each stands for the highest of several.

    >>> spark([0, 1, None, 4, 8], 5), spark([1, 8, 2, 2], 2)
    ('▁▁ ▄█', '█▂')
    """
    cells = min(width, len(values))
    peaks = []
    for n in range(cells):
        part = values[n * len(values) // cells : (n + 1) * len(values) // cells]
        peaks.append(max((value for value in part if value is not None), default=None))
    top = max((peak for peak in peaks if peak is not None), default=0.0) or 1.0
    last = len(SPARKS) - 1
    return "".join(
        " " if peak is None else SPARKS[min(max(math.ceil(peak / top * (last + 1)) - 1, 0), last)]
        for peak in peaks
    )


def parts(text: str, width: int) -> list[str]:
    """Break a text at its " · ", and where one part alone is too wide, at blanks or anywhere.

    >>> parts("mean 410 ms · p50 401 ms · p95 512 ms", 26)
    ['mean 410 ms · p50 401 ms', 'p95 512 ms']
    """
    lines: list[str] = []
    for part in text.split(" · "):
        if lines and len(lines[-1]) + 3 + len(part) <= width:
            lines[-1] += f" · {part}"
        else:
            lines += textwrap.wrap(part, max(width, 1)) or [""]
    return lines


def columns(
    rows: Iterable[tuple[str, str]], indent: int = 2, width: int | None = None
) -> list[str]:
    """Lay out name and value in two aligned columns; an empty name continues the value above.

    A value that is too long for `width` columns in all continues on the next line.

    >>> columns([("run", "42"), ("pages", "7 of 9")])
    ['  run    42', '  pages  7 of 9']
    >>> columns([("run", "42 · took 3 s")], width=15)
    ['  run  42', '       took 3 s']
    """
    table = list(rows)
    names = max((len(name) for name, _ in table), default=0)
    lines = []
    for name, value in table:
        broken = [value] if width is None else parts(value, width - indent - names - 2)
        for nth, part in enumerate(broken):
            lines.append(f"{'':{indent}}{'' if nth else name:<{names}}  {part}".rstrip())
    return lines


def counts_grid(counts: MergeCounts, width: int = WIDTH) -> list[str]:
    """Lay out the counts of a merge, numbers aligned: in two columns of five where they fit."""
    cells = [f"  {name:<12}{getattr(counts, name):>11,}" for name in _COUNTS]
    rare = (("removed", counts.removed), ("kept", counts.kept))
    more = [f"  {name:<12}{count:>11,}" for name, count in rare if count]
    half = len(cells) // 2
    if width < 2 * len(cells[0]) + 4:
        return cells + more
    pairs = zip(cells[:half], cells[half:], strict=True)
    return [f"{left}    {right}" for left, right in pairs] + more


def column_width(number: int, width: int) -> int:
    """Return how wide each of `number` columns is that stand side by side on `width` in all.

    >>> column_width(2, 140), column_width(1, 80)
    (68, 80)
    """
    return (width + _GUTTER) // number - _GUTTER


def side_by_side(blocks: Sequence[Sequence[str]], column: int) -> list[str]:
    """Set blocks of lines beside each other, each `column` columns wide.

    >>> side_by_side([["a", "b"], ["c"]], 3)
    ['a      c', 'b']
    """
    rows = zip_longest(*blocks, fillvalue="")
    gutter = " " * _GUTTER
    return [gutter.join(f"{line:<{column}}" for line in row).rstrip() for row in rows]


def wrap(name: str, text: str, color: bool = False, width: int = WIDTH) -> list[str]:
    """Lay out a sentence behind its bold name, broken at `width` columns."""
    head = f"{name}: "
    first, *rest = textwrap.wrap(
        text, width, initial_indent=head, subsequent_indent=" " * len(head)
    ) or [head]
    return [formatting.paint(f"{name}:", "strong", color) + first[len(name) + 1 :], *rest]


def title(name: str, state: RunState | None, color: bool, width: int = WIDTH) -> str:
    """Lay out a line of `width` columns: a run's name and its state (None: no run yet)."""
    word = state or "no run yet"
    tone: Tone = TONES[state] if state else "warn"
    gap = " " * max(width - len(name) - len(word), 1)
    return formatting.paint(name, "strong", color) + gap + formatting.paint(word, tone, color)
