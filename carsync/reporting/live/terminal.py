"""The terminal: whether it shows colours, whether it redraws, and a block redrawn in place."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TextIO

from rich.console import Console
from rich.text import Text

from carsync import formatting

Line = Text
"""A line with its styles."""

_CANNOT_REDRAW = {"", "dumb", "unknown"}
_ENDLESS = 10_000
_SPARE_COLUMNS = 4  # an arrow or dots take more columns in ASCII

_HIDE_CURSOR, _SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
_ERASE_LINE, _ERASE_BELOW = "\x1b[K", "\x1b[J"


def wants_color(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Say whether to colour what goes to `stream`: a terminal, unless the environment objects.

    `NO_COLOR` (no-color.org) forbids it; `FORCE_COLOR` (force-color.org) asks for it
    where there is no terminal; of both, `NO_COLOR` counts.
    """
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and environ.get("TERM") != "dumb"


def can_redraw(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Say whether `stream` is a terminal with somebody before it, and can move its cursor.

    `TERM=dumb` cannot. A CI's log (`CI` is set) keeps every redrawing, even where it
    plays a terminal.
    """
    watched = environ.get("CI", "").lower() in {"", "0", "false"}
    return stream.isatty() and watched and environ.get("TERM", "") not in _CANNOT_REDRAW


def to_lines(text: str) -> list[Line]:
    """Split a text, its ANSI colours kept, into lines for a `Canvas`."""
    return [Text.from_ansi(line) for line in text.splitlines()]


def columns_of(stream: TextIO, otherwise: int) -> int:
    """Return the width of the terminal that `stream` is; `otherwise` where it is none."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or otherwise
    except (OSError, ValueError):
        return otherwise


class Canvas:
    """A block of lines at the end of what a terminal shows; further output scrolls by above it.

    It follows the terminal's size. Where that shrinks, terminals break the lines that
    have become too long; the block is then found again by counting them so.
    """

    def __init__(self, stream: TextIO, *, no_color: bool = False) -> None:
        self._stream = stream
        self._encoding = getattr(stream, "encoding", None) or "utf-8"
        self._console = Console(
            file=stream, no_color=no_color, highlight=False, force_terminal=True, width=_ENDLESS
        )
        self._render: Callable[[int], Sequence[Line]] | None = None
        self._drawn: list[int] = []  # the widths of the lines that stand there

    def draw(self, render: Callable[[int], Sequence[Line]]) -> None:
        """Show what `render` makes of a width in columns, in place of what was drawn before."""
        self._render = render
        self._redraw("")

    def write_above(self, text: str) -> None:
        """Print `text`, as it is, above the block."""
        self._redraw(text if text.endswith("\n") else f"{text}\n")

    def end(self, *, keep: bool = False) -> None:
        """Take the block away, or `keep` it, and show the cursor again."""
        gone = "" if keep else f"{self._back()}{_ERASE_BELOW}"
        self._render, self._drawn = None, []
        self._write(gone + _SHOW_CURSOR)

    def _redraw(self, above: str) -> None:
        back, columns, rows = self._back(), *self._size()
        lines: list[Line] = []
        if self._render is not None:
            spare = 0 if formatting.fit("█→", self._encoding) == "█→" else _SPARE_COLUMNS
            lines = list(self._render(max(columns - spare, 1)))[: max(rows - 1, 1)]
        for line in lines:
            line.truncate(columns, overflow="crop")
        body = "".join(f"{self._to_ansi(line)}{_ERASE_LINE}\n" for line in lines)
        cleared = _ERASE_BELOW if above else ""
        self._write(f"{_HIDE_CURSOR}{back}{cleared}{above}{body}{_ERASE_BELOW}")
        self._drawn = [line.cell_len for line in lines]

    def _size(self) -> tuple[int, int]:
        """Return columns and rows as they are now; 80 × 24 where nobody knows."""
        try:
            columns, rows = os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):
            columns, rows = 0, 0
        return columns or 80, rows or 24

    def _to_ansi(self, line: Line) -> str:
        with self._console.capture() as captured:
            self._console.print(line, end="", no_wrap=True)
        return captured.get()

    def _back(self) -> str:
        """Return what moves the cursor from below the block to its first line."""
        columns, _ = self._size()
        rows = sum(max(math.ceil(cells / columns), 1) for cells in self._drawn)
        return f"\r\x1b[{rows}A" if rows else ""

    def _write(self, text: str) -> None:
        self._stream.write(formatting.fit(text, self._encoding))
        self._stream.flush()
