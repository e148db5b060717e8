"""What a fetcher's threads sent reaches the parent once, and the last word on each limit."""

from __future__ import annotations

from carsync.engine.messages import LimitsTold, RequestsMade
from carsync.engine.tally import Tally
from carsync.source.rate_headers import ToldLimit
from tests.support.fake_clock import FakeClock


def test_counts_are_told_once_and_limits_every_second() -> None:
    clock = FakeClock()
    tally = Tally(clock)
    assert tally.take() == []
    for left in (9.0, 8.0):
        tally.count("pages")
        tally.note([ToldLimit("X-RateLimit", left)])
    tally.count("token")
    told = LimitsTold((ToldLimit("X-RateLimit", 8.0),))
    assert tally.take() == [RequestsMade({"pages": 2, "token": 1}), told]
    tally.note([ToldLimit("X-RateLimit", 7.0)])
    tally.note([])
    assert tally.take() == []
    clock.advance(1.0)
    assert tally.take() == [LimitsTold((ToldLimit("X-RateLimit", 7.0),))]
