"""How views are laid out on a terminal of 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import zip_longest

from carsync import formatting
from carsync.formatting import Tone
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


def counts_grid(counts: MergeCounts, width: int = WIDTH) -> list[str]:
    """Lay out the counts of a merge, numbers aligned: in two columns of five where they fit."""
    cells = [f"  {name:<12}{getattr(counts, name):>11,}" for name in _COUNTS]
    more = [f"  {'kept':<12}{counts.kept:>11,}"] if counts.kept else []
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
