"""Signs of page drift: what the feed reported of itself, and how it moved during the run."""

from __future__ import annotations


class DriftDetector:
    """Follows reported totals and page sizes, in constant memory."""

    def __init__(self) -> None:
        self.total_pages = Extent()
        self.total_records = Extent()
        self.sizes = PageSizes()
        self._found: list[str] = []

    def add(self, sign: str) -> None:
        """Note a sign that was found elsewhere."""
        self._found.append(sign)

    def signs(self, filled: int, first_page: int) -> tuple[str, ...]:
        """Return, for people, the signs that records moved between pages while they were read.

        `filled` is the number of pages up to the last one that held a record,
        which may be short.
        """
        signs = list(self._found)
        if self.total_records.moved:
            signs.append(f"the reported total moved {self.total_records}")
        if self.total_pages.moved:
            signs.append(f"the reported last page moved {self.total_pages}")
        short = self.sizes.first_short
        if short is not None and short + 1 < filled:
            signs.append(f"page {short + first_page:,} had fewer records than other pages")
        return tuple(signs)


class Extent:
    """The first value reported and between which it moved; None where there was none."""

    def __init__(self) -> None:
        self.first: int | None = None
        self.lowest: int | None = None
        self.highest: int | None = None

    def add(self, value: int | None) -> None:
        """Note a reported value."""
        if value is not None:
            self.first = value if self.first is None else self.first
            self.lowest = _least(self.lowest, value)
            self.highest = max(self.highest or 0, value)

    @property
    def moved(self) -> bool:
        """Whether different values were reported."""
        return self.lowest != self.highest

    def __str__(self) -> str:
        return f"between {self.lowest:,} and {self.highest:,}"


class PageSizes:
    """The most records a page held, and the first page (by index) that held fewer."""

    def __init__(self) -> None:
        self.largest = 0
        self.first_short: int | None = None
        self._first: int | None = None

    def add(self, index: int, records: int) -> None:
        """Note a page that held `records` records, at least one."""
        short = None
        if records < self.largest:
            short = index
        elif records > self.largest:  # all pages before were short
            short, self.largest = self._first, records
        self._first = _least(self._first, index)
        if short is not None:
            self.first_short = _least(self.first_short, short)


def _least(known: int | None, value: int) -> int:
    return value if known is None else min(known, value)
