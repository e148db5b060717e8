"""Who comes while a batch is under way is done with the others after it, and hears of its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Event, Thread

import pytest

from carsync.engine.dask.together import Item, Together
from tests.support.site import await_that


class Number(Item):
    """An item with a number."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class Batches:
    """Notes what was done together; the first batch waits for `go`."""

    def __init__(self) -> None:
        self.done: list[list[int]] = []
        self.begun, self.go = Event(), Event()

    def do(self, batch: list[Number]) -> None:
        self.begun.set()
        assert self.go.wait(10)
        self.done.append([each.number for each in batch])
        if any(each.number == 13 for each in batch):
            raise ValueError("thirteen")


def start(work: Callable[[], None]) -> Thread:
    thread = Thread(target=work, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize(("most", "batches"), [(9, [[0], [1, 2, 3]]), (2, [[0], [1, 2], [3]])])
def test_others_gather_while_a_batch_is_under_way(most: int, batches: list[list[int]]) -> None:
    noted = Batches()
    together = Together[Number](noted.do, lambda waiting: list(waiting[:most]))
    threads = [start(partial(together.add, Number(0)))]
    assert noted.begun.wait(10)
    for number in (1, 2, 3):
        threads.append(start(partial(together.add, Number(number))))
        await_that(lambda: len(together._waiting) == len(threads) - 1, "it waits with the others")
    noted.go.set()
    for thread in threads:
        thread.join(10)
    assert noted.done == batches


def test_what_goes_wrong_is_raised_for_each_of_the_batch_alone() -> None:
    noted = Batches()
    noted.go.set()
    together = Together[Number](noted.do)
    with pytest.raises(ValueError, match="thirteen"):
        together.add(Number(13))
    together.add(Number(14))
    assert noted.done == [[13], [14]]


def test_a_batch_that_never_ended_is_not_taken_for_done() -> None:
    def leave(_: list[Number]) -> None:
        raise SystemExit

    item = Number(1)
    with pytest.raises(SystemExit):
        Together[Number](leave).add(item)
    assert item.is_done
    assert isinstance(item.error, RuntimeError)
