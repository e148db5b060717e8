"""Pages that list the same records as another: the last one for ever, or the first one always."""

from __future__ import annotations

from array import array


class RepeatDetector:
    """Compares each page with the first one and with its neighbours, in eight bytes a page."""

    def __init__(self, first: int, page_size: int) -> None:
        self._first = first
        self._page_size = page_size
        self._digests = array("Q")  # by page index; 0: not known
        self._first_records = 0
        self.like_the_first = 0
        """How many pages list what the first one does, where that is just full."""

    def find(self, page: int, records: int, digest: int) -> int | None:
        """Note a page; return the page that lists the same records, None where none is known.

        `digest` is of the records' ids; 0: not known.
        """
        index = page - self._first
        if not records or not digest:
            return None
        if index == 0:
            self._first_records = records
        self._digests.extend([0] * (index + 1 - len(self._digests)))
        self._digests[index] = digest
        known = {0, index - 1, index + 1} - {index, -1}
        same = [i for i in known if i < len(self._digests) and self._digests[i] == digest]
        if not same:
            return None
        if 0 in {index, *same} and self._first_records == self._page_size:
            self.like_the_first += 1
        return min(same) + self._first


class FirstPages:
    """Compares the first pages of a feed's lists.

    An API that does not know their parameters answers each of them with the same feed.
    """

    MIN_RECORDS = 10
    """A car may be on several lists; where a first page holds fewer records, chance may do it."""

    def __init__(self) -> None:
        self._lists: dict[int, int] = {}  # by digest

    def find(self, index: int, records: int, digest: int) -> int | None:
        """Note the first page of a list; return another list that begins with the same records.

        `digest` is of the records' ids; 0: not known.
        """
        if records < self.MIN_RECORDS or not digest:
            return None
        other = self._lists.setdefault(digest, index)
        return None if other == index else other
