"""Work of many threads that costs less when done together: who comes first takes the rest along."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Generic, TypeVar


class Item:
    """One thread's part, and whether it is done; `error` is what went wrong with it."""

    def __init__(self) -> None:
        self.is_done = False
        self.error: Exception | None = RuntimeError("what it is part of did not end")


_Item = TypeVar("_Item", bound=Item)


class Together(Generic[_Item]):
    """Does the items of all threads, one batch at a time; thread-safe.

    While one thread does a batch, the items of others gather, and the next thread does these
    together: few are done at once, many in few batches. `choose` returns those that go into one
    batch, the first of them in any case.
    """

    def __init__(
        self,
        do: Callable[[list[_Item]], None],
        choose: Callable[[Sequence[_Item]], list[_Item]] = list,
    ) -> None:
        self._do = do
        self._choose = choose
        self._waiting: list[_Item] = []
        self._list_lock = Lock()
        self._turn = Lock()

    def add(self, item: _Item) -> None:
        """Return once the item is done; raise what went wrong with it or with its batch."""
        with self._list_lock:
            self._waiting.append(item)
        while not item.is_done:
            with self._turn:
                if not item.is_done:
                    self._do_batch()
        if item.error is not None:
            raise item.error

    def _do_batch(self) -> None:
        with self._list_lock:
            batch = self._choose(self._waiting)
            self._waiting = [each for each in self._waiting if each not in batch]
        try:
            self._do(batch)
            for each in batch:
                each.error = None
        except Exception as exc:
            for each in batch:
                each.error = exc
        finally:
            for each in batch:
                each.is_done = True
