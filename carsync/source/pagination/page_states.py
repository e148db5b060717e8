"""Which pages of a plan wait, are leased, are staged or have failed."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import IntEnum


class _State(IntEnum):
    WAITING = 0
    LEASED = 1
    STAGED = 2
    FAILED = 3


_STAGED_RUN = re.compile(bytes([_State.STAGED]) + b"+")


class PageStates:
    """The state of each page: a byte for each, up to the highest page ever touched.

    Methods ignore pages in a state that does not fit, so repeated reports do no harm. Pages
    below the first one raise `ValueError`.
    """

    def __init__(self, first: int, is_known: Callable[[int], bool]) -> None:
        """Begin with page `first`; `is_known` says whether a page can be asked for."""
        self.first = first
        self.failed: dict[int, str] = {}
        """Pages given up permanently, and why."""
        # Counted, for the pages are many and each lease asks.
        self.staged_count = self.leased_count = 0
        self._is_known = is_known
        self._states = bytearray()  # by page index
        self._cursor = 0  # no page below waits

    def __len__(self) -> int:
        """Return how many pages there are, up to the highest one ever touched."""
        return len(self._states)

    def index(self, page: int) -> int:
        """Return how many pages lie before a page."""
        index = page - self.first
        if index < 0:
            raise ValueError(f"page {page} lies before the first page")
        return index

    @property
    def last_staged(self) -> int:
        """The index of the last page that is staged, -1 where none is."""
        return self._states.rfind(_State.STAGED)

    def is_staged(self, page: int) -> bool:
        """Say whether a page is staged."""
        return self._state(self.index(page)) == _State.STAGED

    def is_waiting(self, page: int) -> bool:
        """Say whether nobody has asked for a page yet."""
        return self._state(self.index(page)) == _State.WAITING

    def lease_next(self, limit: int) -> int | None:
        """Lease the first of `limit` pages that waits; None where none does, or is known."""
        while self._cursor < limit and self._is_known(self._cursor + self.first):
            index = self._cursor
            self._cursor += 1
            if self._state(index) == _State.WAITING:
                self._grow(index)
                self._set(index, _State.LEASED)
                return index + self.first
        return None

    def give_back(self, page: int) -> None:
        """Let a leased page be leased again."""
        index = self.index(page)
        if self._state(index) == _State.LEASED:
            self._let_wait(index)

    def stage(self, page: int) -> bool:
        """Note that a page is staged; say whether that is new."""
        index = self.index(page)
        self._grow(index)
        if self._states[index] == _State.STAGED:
            return False
        self.failed.pop(page, None)
        self._set(index, _State.STAGED)
        self.staged_count += 1
        return True

    def fail(self, page: int, problem: str) -> None:
        """Give a leased page up permanently, and those that only its answer could name."""
        index = self.index(page)
        if self._state(index) != _State.LEASED:
            return
        self._set(index, _State.FAILED)
        self.failed[page] = problem
        while (index := self._states.find(_State.WAITING, index + 1)) >= 0:
            number = index + self.first
            if not self._is_known(number):
                self._set(index, _State.FAILED)
                self.failed[number] = f"page {page}, before it, could not be read"

    def revive(self, page: int) -> None:
        """Let a page that failed be leased again."""
        del self.failed[page]
        self._let_wait(self.index(page))

    def leave_out_failed(self, end: int) -> list[int]:
        """Forget the failed pages from index `end` on, where no page is staged; return them."""
        gone = [page for page in self.failed if self.index(page) >= end]
        if gone:
            self._cursor = min(self._cursor, end)
            self.leased_count -= self._states.count(_State.LEASED, end)
            del self._states[end:]
        for page in gone:
            del self.failed[page]
        return gone

    def ranges(self) -> str:
        """Return the staged pages as text, such as `1-500,502`; `parse_ranges` reads it."""
        spans = (run.span() for run in _STAGED_RUN.finditer(self._states))
        ends = ((start + self.first, end + self.first - 1) for start, end in spans)
        return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in ends)

    def _state(self, index: int) -> int:
        return self._states[index] if index < len(self._states) else _State.WAITING

    def _set(self, index: int, state: _State) -> None:
        self.leased_count += (state is _State.LEASED) - (self._states[index] == _State.LEASED)
        self._states[index] = state

    def _let_wait(self, index: int) -> None:
        self._set(index, _State.WAITING)
        self._cursor = min(self._cursor, index)

    def _grow(self, index: int) -> None:
        missing = index + 1 - len(self._states)
        if missing > 0:
            self._states.extend(bytes(missing))


def parse_ranges(text: str) -> tuple[range, ...]:
    """Read what `PageStates.ranges` wrote; raises `ValueError` for anything else.

    >>> parse_ranges("1-500,502")
    (range(1, 501), range(502, 503))
    """
    return tuple(_parse_range(part) for part in text.split(",")) if text else ()


def _parse_range(text: str) -> range:
    low, dash, high = text.partition("-")
    pages = range(int(low), int(high if dash else low) + 1)
    if not pages:
        raise ValueError(f"{text!r} is not a range of pages")
    return pages
