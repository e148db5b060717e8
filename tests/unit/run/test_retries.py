"""Which pages are asked for again, and when."""

from __future__ import annotations

from carsync.config.sections import Retry
from carsync.engine.messages import PageFailed
from carsync.errors import FailureKind
from carsync.run.retries import Retries
from tests.support.fake_clock import FakeClock


def failed(page: int, kind: FailureKind = FailureKind.SERVER, attempt: int = 1) -> PageFailed:
    return PageFailed(page, attempt, kind, "HTTP 500", "", 500, None, 0.1)


def test_a_page_waits_until_its_next_attempt_is_due() -> None:
    clock = FakeClock()
    retries = Retries(Retry(), clock, lambda: 0.5)
    retries.add(failed(7), 2.0)
    retries.add(failed(8, attempt=3), 1.0)
    assert (len(retries), sorted(retries.pages), retries.take(())) == (2, [7, 8], None)
    clock.advance(2.0)
    assert [retries.take(()), retries.take(()), retries.take(())] == [(8, 4), (7, 2), None]


def test_pages_of_a_list_that_is_read_anew_are_not_asked_for_again() -> None:
    clock = FakeClock()
    retries = Retries(Retry(), clock, lambda: 0.5)
    for page in range(1, 9):
        retries.add(failed(page), 9.0 - page)
    retries.drop(range(3, 8))
    clock.advance(9.0)
    assert [retries.take(()) for _ in range(4)] == [(8, 2), (2, 2), (1, 2), None]


def test_only_what_a_limiter_refuses_is_asked_for_more_often() -> None:
    retries = Retries(Retry(max_attempts=2), FakeClock(), lambda: 0.5)
    for kind, attempts in ((FailureKind.SERVER, 2), (FailureKind.RATE_LIMITED, 6)):
        delays = [retries.judge(failed(kind is FailureKind.SERVER, kind, n)) for n in range(1, 9)]
        assert sum(delay is not None for delay in delays) == attempts - 1
    assert retries.judge(failed(3, FailureKind.AUTH)) is None


def test_a_page_that_ends_workers_takes_few_attempts_of_the_pages_beside_it() -> None:
    """Each round a worker ends with all that it has in hand, as long as page 1 is among that."""
    clock = FakeClock()
    retries = Retries(Retry(max_attempts=6), clock, lambda: 0.5)
    attempts = dict.fromkeys(range(1, 9), 1)
    out, staged = set(attempts), set[int]()
    while out:
        events = [failed(page, FailureKind.WORKER, attempts[page]) for page in out if 1 in out]
        staged |= out if not events else set()
        for event in events:
            if (delay_s := retries.judge(event)) is not None:
                retries.add(event, delay_s)
        out.clear()
        clock.advance(100.0)
        while (taken := retries.take(out)) is not None:
            attempts[taken[0]] = taken[1]
            out.add(taken[0])
    assert staged == set(range(2, 9))
    assert [attempts[page] for page in range(1, 9)] == [6, *([3] * 7)]
