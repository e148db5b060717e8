"""The keeper between a real table and a gate: reserved before it is sent, taken back, renewed."""

from __future__ import annotations

from typing import Any

import pytest

from carsync.config.sections import Budget, Limits
from carsync.engine.messages import UNUSED, LimitsTold
from carsync.errors import DatabaseError
from carsync.postgres.wait import Connection
from carsync.run.budget.keeper import BudgetKeeper
from carsync.source.allotment import Allotment, Allotted
from carsync.source.rate_headers import ToldLimit
from carsync.state import requests
from carsync.state.api_use import RESERVED
from carsync.state.requests import Feed
from tests.conftest import TARGET, ask
from tests.support.fake_clock import FakeClock

FEED = Feed(TARGET, "external")


class Gate:
    """The part of an engine that is asked here; `send` is what fetchers do."""

    def __init__(self, clock: FakeClock, keeper: BudgetKeeper) -> None:
        self._clock = clock
        self._keeper = keeper
        self._allotment = Allotment(clock)

    def allot(
        self, requests: int = 0, for_s: float = 0.0, *, afresh: bool = False
    ) -> Allotted | None:
        return self._allotment.add(requests, self._clock() + for_s, afresh=afresh)

    def send(self, most: int) -> int:
        """Send as many of `most` requests as are let through."""
        sent = 0
        while sent < most and not self._allotment.wait_s():
            self._allotment.take()
            self._keeper.made({"pages": 1})
            sent += 1
        return sent

    def send_nothing(self) -> None:
        """Have no token yet when it is one's turn."""
        self._allotment.take()
        self._keeper.made({UNUSED: 1})


class Bench:
    """A keeper with its gate on a clock of their own, over a real table."""

    def __init__(self, conn: Connection, budget: Budget, **limits: Any) -> None:
        self.conn = conn
        self.clock = FakeClock()
        self.pauses: list[float] = []
        given = Limits(budget=budget, **limits)
        self.keeper = BudgetKeeper(given, FEED, self.clock, self.pauses.append)
        self.gate: Any = Gate(self.clock, self.keeper)

    def turn(self) -> None:
        self.clock.advance(0.1)
        self.keeper.turn(self.gate, self.conn)

    def work(self, turns: int = 60) -> int:
        """Send all that is let through in so many turns."""
        sent = 0
        for _ in range(turns):
            sent += self.gate.send(100)
            self.turn()
        return sent

    def stored(self) -> dict[str, int]:
        found = ask(self.conn, "SELECT kind, sum(requests)::int FROM carsync.requests GROUP BY 1")
        return {kind: count for kind, count in found if count}


def test_all_of_it_is_spent_and_no_more(conn: Connection) -> None:
    bench = Bench(conn, Budget(requests=40, per="month"))
    assert bench.work() == 40
    assert bench.stored() == {"pages": 40}
    problem = bench.keeper.problem
    assert problem is not None
    assert problem.problem == "limits.budget is used up: 40 of 40 requests a month"
    assert "run again after" in problem.hint
    assert bench.keeper.left() == 0


def test_a_used_up_budget_ends_no_run_that_needs_no_more(conn: Connection) -> None:
    bench = Bench(conn, Budget(requests=5, per="month"))
    for _ in range(5):
        bench.turn()
        assert bench.gate.send(1) == 1
    for _ in range(30):
        bench.turn()
    assert bench.keeper.problem is None


def test_a_used_up_budget_that_nobody_misses_is_looked_at_once_a_second(
    conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(conn, Budget(requests=5, per="month"))
    for _ in range(5):
        bench.turn()
        bench.gate.send(1)
    reserve, asked = requests.reserve, []

    def count(*args: Any, **keys: Any) -> requests.Reservation:
        asked.append(bench.clock())
        return reserve(*args, **keys)

    monkeypatch.setattr(requests, "reserve", count)
    for _ in range(30):
        bench.turn()
    assert 2 <= len(asked) <= 4
    assert bench.stored() == {"pages": 5}


def test_what_was_not_sent_is_taken_back(conn: Connection) -> None:
    bench = Bench(conn, Budget(requests=1000, per="month"))
    bench.turn()
    assert bench.stored() == {RESERVED: 10}
    assert bench.keeper.left() == 1000
    assert bench.gate.send(3) == 3
    assert bench.keeper.left() == 997
    bench.gate.send_nothing()
    bench.keeper.settle(bench.gate, conn)
    assert bench.stored() == {"pages": 3}
    assert bench.gate.send(1) == 0
    use = bench.keeper.use
    assert use is not None
    assert use.budget is not None
    assert (use.today, use.budget.left) == ({"pages": 3}, 997)


def test_a_short_wait_is_waited_for(conn: Connection, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    bench = Bench(conn, Budget(requests=2, per="hour"), max_wait_s=3700)
    assert bench.work(40) == 2
    assert bench.keeper.problem is None
    assert 0 < bench.pauses[0] <= 3600.5
    assert sum("limits.budget is used up" in line for line in caplog.messages) == 1
    ask(conn, "UPDATE carsync.requests SET hour = hour - interval '1 hour'")  # it renews
    bench.clock.advance(31)
    assert bench.work(20) == 2


def test_an_engine_that_is_not_at_work_gets_nothing(conn: Connection) -> None:
    bench = Bench(conn, Budget(requests=40, per="month"))
    bench.gate.allot = lambda *_, **__: None
    for _ in range(20):
        bench.turn()
    bench.keeper.settle(bench.gate, conn)
    assert bench.stored() == {}


def test_without_a_budget_requests_are_only_counted(conn: Connection) -> None:
    bench = Bench(conn, Budget())
    bench.keeper.open(conn)
    bench.keeper.made({"pages": 3, "by_id": 1})
    bench.turn()
    assert (bench.stored(), bench.keeper.left()) == ({}, None)
    assert bench.keeper.use is not None
    assert bench.keeper.use.today == {"pages": 3, "by_id": 1}
    bench.keeper.write(conn)
    assert bench.stored() == {"pages": 3, "by_id": 1}
    assert requests.read(conn, FEED, None).today == {"pages": 3, "by_id": 1}


def test_a_budget_without_its_table_is_refused_and_counts_are_only_not_kept(
    conn: Connection,
) -> None:
    ask(conn, "DROP TABLE carsync.requests")
    plain = Bench(conn, Budget()).keeper
    plain.open(conn)
    plain.made({"pages": 3})
    plain.write(conn)
    assert (plain.use, plain.sent) == (None, {"pages": 3})
    with pytest.raises(DatabaseError, match="needs a table"):
        Bench(conn, Budget(requests=5)).keeper.open(conn)


def test_the_last_word_on_each_limit_is_kept(conn: Connection) -> None:
    keeper = Bench(conn, Budget()).keeper
    keeper.told(LimitsTold((ToldLimit("RateLimit", 50.0, 30.0, 100.0), ToldLimit("Quota", 7.0))))
    keeper.told(LimitsTold((ToldLimit("RateLimit", 49.0, 30.0, 100.0),)))
    rate, quota = keeper.quotas
    assert (rate.name, rate.remaining, rate.limit) == ("RateLimit", 49, 100)
    assert rate.renews_at is not None
    assert 29 <= (rate.renews_at - rate.told_at).total_seconds() <= 31
    assert (quota.name, quota.remaining, quota.renews_at) == ("Quota", 7, None)
