"""How much of the feed is read in one transaction: few lines where their rows are large. Pure."""

from __future__ import annotations

WINDOW_BYTES = 8_000_000
_FIRST = 200
_FASTER = 8


class WindowSize:
    """Lines, or rows, that are read next: at most `most`, and about `WINDOW_BYTES` of them.

    >>> size = WindowSize(5_000)
    >>> size.lines
    200
    >>> size.note(200, 100_000)
    >>> size.lines
    1600
    >>> size.note(1_600, 800_000_000)
    >>> size.lines
    16
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.lines = min(_FIRST, most)

    def note(self, lines: int, size: int) -> None:
        """Fit the next window to one that had so many lines of so many bytes, or none."""
        fitting = WINDOW_BYTES * lines // size if size else self._most
        self.lines = max(1, min(self._most, fitting, self.lines * _FASTER))
