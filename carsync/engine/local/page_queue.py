"""The queue between fetchers and writers of one machine."""

from __future__ import annotations

import time
from multiprocessing.context import SpawnContext
from multiprocessing.queues import Queue
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a process in reserve loads this module, and not what pages are made of
    from carsync.model import MappedPage


class PageQueue:
    """A bounded queue of mapped pages, which grow older on their way.

    A page's age is a duration; this queue, which never leaves its machine, adds the time that
    the page spent on it. Raises `queue.Full` and `queue.Empty` as `multiprocessing.Queue` does.
    """

    def __init__(self, context: SpawnContext, most_pages: int) -> None:
        self._queue: Queue[tuple[float, MappedPage]] = context.Queue(most_pages)

    def put(self, page: MappedPage, timeout_s: float) -> None:
        """Put a page on the queue; wait up to `timeout_s` seconds for room."""
        self._queue.put((time.monotonic(), page), timeout=timeout_s)

    def get(self, timeout_s: float) -> MappedPage:
        """Take the next page, as old as it is now; wait up to `timeout_s` seconds for one."""
        put_s, page = self._queue.get(timeout=timeout_s)
        return page.aged(time.monotonic() - put_s)

    def finish(self) -> None:
        """Wait until all that was put has left this process; nothing is put any more."""
        self._queue.close()
        self._queue.join_thread()

    def abandon(self) -> None:
        """Let this process end without waiting for what it has put."""
        self._queue.cancel_join_thread()
        self._queue.close()
