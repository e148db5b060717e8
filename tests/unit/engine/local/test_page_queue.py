"""The queue of pages: bounded, and pages grow older on it."""

from __future__ import annotations

import multiprocessing
import queue
import time

import pytest

from carsync.engine.local.page_queue import PageQueue
from carsync.model import MappedPage, PageInfo


def test_pages_grow_older_by_the_time_that_they_lie_on_the_queue() -> None:
    pages = PageQueue(multiprocessing.get_context("spawn"), 2)
    put_s = time.monotonic()
    pages.put(MappedPage(7, ((1, "a"),), (), 1, PageInfo(9), 5.0), 1.0)
    while time.monotonic() - put_s < 0.05:
        time.sleep(0.01)
    page = pages.get(5.0)
    assert (page.page, page.rows, page.info) == (7, ((1, "a"),), PageInfo(9))
    assert 5.05 <= page.age_s <= 5.0 + time.monotonic() - put_s
    pages.finish()


def test_a_full_and_an_empty_queue_keep_nobody_for_ever() -> None:
    pages = PageQueue(multiprocessing.get_context("spawn"), 1)
    with pytest.raises(queue.Empty):
        pages.get(0.01)
    page = MappedPage(1, (), (), 0, PageInfo(), 0.0)
    pages.put(page, 1.0)
    with pytest.raises(queue.Full):
        pages.put(page, 0.01)
    pages.abandon()
    with pytest.raises(ValueError, match="closed"):
        pages.put(page, 0.01)
