"""The terminal: whether it shows colours, whether it redraws, and a block redrawn in place."""

from __future__ import annotations

import math
import os
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import TextIO

from carsync import formatting, stdio

_CANNOT_REDRAW = {"", "dumb", "unknown"}
_SPARE_COLUMNS = 4  # an arrow or dots take more columns in ASCII

_HIDE_CURSOR, _SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
_ERASE_LINE, _ERASE_BELOW = "\x1b[K", "\x1b[J"
_STYLE_OR_CHARACTER = re.compile(r"\x1b\[[\d;]*m|.", re.DOTALL)
_COLOR = re.compile(r"\x1b\[3\dm")


def wants_color(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Say whether to colour what goes to `stream`: a terminal, unless the environment objects.

    `NO_COLOR` (no-color.org) forbids colours; `FORCE_COLOR` (force-color.org) asks for them
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


def columns_of(stream: TextIO, otherwise: int) -> int:
    """Return the width of the terminal that `stream` is; `otherwise` where it is none."""
    return _size_of(stream)[0] or otherwise


def _size_of(stream: TextIO) -> tuple[int, int]:
    """Return columns and rows; 0 for both where `stream` is no terminal."""
    try:
        return os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return 0, 0


def crop(line: str, columns: int) -> tuple[str, int]:
    r"""Return the start of a line that fits `columns`, and how many columns that start takes.

    Colours take no column and all stay, so that none goes on into the next line; a letter of
    two columns (East Asian Width, UAX #11) is never cut in half.

    >>> crop("\x1b[1mKia\x1b[0m Rio", 5), crop("起亚", 3)
    (('\x1b[1mKia\x1b[0m R', 5), ('起', 2))
    """
    kept, taken, is_full = [], 0, False
    for part in _STYLE_OR_CHARACTER.findall(line):
        width = 0 if len(part) > 1 else _columns(part)
        is_full = is_full or taken + width > columns
        if len(part) > 1 or not is_full:
            kept.append(part)
            taken += width
    return "".join(kept), taken


def _columns(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


class Canvas:
    """A block of lines at the end of what a terminal shows; further output scrolls by above it.

    The block follows the terminal's size. Where that shrinks, terminals break the lines that
    have become too long; the block is then found again by counting them so.
    """

    def __init__(self, stream: TextIO, *, no_color: bool = False) -> None:
        """Take the terminal; with `no_color` only what is bold stays of the lines' styles."""
        self._stream = stream
        self._encoding = getattr(stream, "encoding", None) or "utf-8"
        self._no_color = no_color
        self._render: Callable[[int], Sequence[str]] | None = None
        self._drawn: list[int] = []  # the widths of the lines that stand there

    def draw(self, render: Callable[[int], Sequence[str]]) -> None:
        """Show what `render` makes of a width in columns, in place of what was drawn before."""
        self._render = render
        self._redraw("")

    def write_above(self, text: str) -> None:
        """Print lines, as they are, above the block."""
        self._redraw(text if text.endswith("\n") else f"{text}\n")

    def end(self) -> None:
        """Take the block away and show the cursor again."""
        back = self._back()
        self._render, self._drawn = None, []
        self._write(f"{back}{_ERASE_BELOW}{_SHOW_CURSOR}")

    def _redraw(self, above: str) -> None:
        back, (columns, rows) = self._back(), self._size()
        lines: list[tuple[str, int]] = []
        above = formatting.harmless(above)
        if self._render is not None:
            spare = 0 if formatting.fit("█→", self._encoding) == "█→" else _SPARE_COLUMNS
            rendered = self._render(max(columns - spare, 1))[: max(rows - 1, 1)]
            rendered = [formatting.display_line(line) for line in rendered]
            lines = [crop(_COLOR.sub("", x) if self._no_color else x, columns) for x in rendered]
        body = "".join(f"{line}{_ERASE_LINE}\n" for line, _ in lines)
        cleared = _ERASE_BELOW if above else ""
        self._write(f"{_HIDE_CURSOR}{back}{cleared}{above}{body}{_ERASE_BELOW}")
        self._drawn = [taken for _, taken in lines]

    def _size(self) -> tuple[int, int]:
        columns, rows = _size_of(self._stream)
        return columns or 80, rows or 24

    def _back(self) -> str:
        """Return what moves the cursor from below the block to its first line."""
        columns, _ = self._size()
        rows = sum(max(math.ceil(taken / columns), 1) for taken in self._drawn)
        return f"\r\x1b[{rows}A" if rows else ""

    def _write(self, text: str) -> None:
        stdio.draw(self._stream, formatting.fit(text, self._encoding))
