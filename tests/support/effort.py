"""How hard the fault tests try, and how hard the code under test works.

Fault tests try a seeded sample by default, everything with `bin/test --long`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

is_long = False
"""Set by pytest's option `--long`, before any test is collected."""


def trials(sample: int, everything: int) -> int:
    """Return how many trials to run: `sample` of them, or `everything` in long mode."""
    return everything if is_long else sample


class Effort:
    """How much was done: calls of functions, and bytes looked at by `CountingBytes`."""

    def __init__(self) -> None:
        self.calls = self.scanned = 0


class CountingBytes(bytearray):
    """A bytearray that notes how much of it a search goes through."""

    effort = Effort()

    def count(self, sub: Any, start: Any = 0, *end: Any) -> int:
        """Count, and note all that is behind `start`."""
        self.effort.scanned += len(self) - (start or 0)
        return super().count(sub, start, *end)

    def find(self, sub: Any, start: Any = 0, *end: Any) -> int:
        """Find, and note what lies before the place."""
        place = super().find(sub, start, *end)
        self.effort.scanned += (len(self) if place < 0 else place) - (start or 0)
        return place


@contextmanager
def counted() -> Iterator[Effort]:
    """Count the calls that this thread makes in the block, of functions in C too."""
    effort = CountingBytes.effort = Effort()

    def note(frame: object, event: str, arg: object) -> None:
        effort.calls += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield effort
    finally:
        sys.setprofile(before)
