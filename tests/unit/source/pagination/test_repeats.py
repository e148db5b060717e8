"""Pages that list the same records as another."""

from __future__ import annotations

import pytest

from carsync.source.pagination.repeats import FirstPages, RepeatDetector


def found(pages: list[tuple[int, int]], size: int = 2, records: int = 2) -> list[int | None]:
    detector = RepeatDetector(1, size)
    return [detector.find(page, records, digest) for page, digest in pages]


@pytest.mark.parametrize(
    ("pages", "others"),
    [
        ([(1, 7), (2, 8), (3, 9)], [None, None, None]),
        ([(1, 7), (2, 8), (3, 8)], [None, None, 2]),
        ([(1, 7), (3, 8), (2, 8)], [None, None, 3]),  # they come in any order
        ([(1, 7), (2, 8), (5, 7)], [None, None, 1]),
        ([(2, 8), (4, 8)], [None, None]),  # neighbours and the first page alone are compared
        ([(1, 7), (1, 7)], [None, None]),  # the same page once more is no other
        ([(1, 0), (2, 0)], [None, None]),  # not known is not equal
    ],
)
def test_a_page_is_compared_with_the_first_and_its_neighbours(
    pages: list[tuple[int, int]], others: list[int | None]
) -> None:
    assert found(pages) == others


def test_empty_pages_are_no_repeats() -> None:
    assert found([(1, 7), (2, 7)], records=0) == [None, None]


@pytest.mark.parametrize(("records", "stuck"), [(1, 0), (2, 2), (3, 0)])
def test_only_a_first_page_that_is_just_full_may_hide_others(records: int, stuck: int) -> None:
    """A shorter one is the whole feed, and so is a longer one than was asked for."""
    detector = RepeatDetector(1, 2)
    for page in (1, 2, 3):
        detector.find(page, records, 7)
    assert detector.like_the_first == stuck


def test_pages_may_be_numbered_from_zero() -> None:
    detector = RepeatDetector(0, 2)
    assert [detector.find(page, 2, 7) for page in (0, 1)] == [None, 0]


@pytest.mark.parametrize(
    ("starts", "others"),
    [
        ([(0, 10, 7), (1, 10, 8)], [None, None]),
        ([(0, 10, 7), (1, 10, 7), (2, 10, 7)], [None, 0, 0]),
        ([(0, 10, 7), (0, 10, 7)], [None, None]),  # read again
        ([(0, 9, 7), (1, 9, 7)], [None, None]),  # a few cars may be on both
        ([(0, 10, 0), (1, 10, 0)], [None, None]),
    ],
)
def test_lists_that_begin_alike_are_told(
    starts: list[tuple[int, int, int]], others: list[int | None]
) -> None:
    detector = FirstPages()
    assert [detector.find(*start) for start in starts] == others
