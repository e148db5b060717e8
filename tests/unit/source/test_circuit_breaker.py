"""The circuit breaker: opens, probes, closes."""

from __future__ import annotations

from carsync.source.circuit_breaker import PROBE_PATIENCE_S, CircuitBreaker
from tests.support.fake_clock import FakeClock


class TestCircuitBreaker:
    def test_opens_after_so_many_failures_in_a_row(self) -> None:
        clock = FakeClock()
        breaker = CircuitBreaker(3, 60.0, clock)
        assert [breaker.report(ok) for ok in (False, False, True, False, False)] == [0] * 5
        assert (breaker.state, breaker.failures) == ("closed", 2)
        assert breaker.report(False) == 1
        assert (breaker.state, breaker.wait_s()) == ("open", 60)

    def test_one_probe_goes_at_a_time_and_its_success_closes(self) -> None:
        clock = FakeClock()
        breaker = CircuitBreaker(1, 60.0, clock)
        breaker.report(False)
        clock.advance(60)
        assert breaker.wait_s() == 0
        breaker.enter()
        assert breaker.state == "half_open"
        assert 0 < breaker.wait_s() <= 1
        assert breaker.report(True) == 0
        assert (breaker.state, breaker.failures, breaker.openings) == ("closed", 0, 0)

    def test_a_failed_probe_opens_again_and_openings_in_a_row_are_counted(self) -> None:
        clock = FakeClock()
        breaker = CircuitBreaker(2, 60.0, clock)
        breaker.report(False)
        counted = [breaker.report(False)]
        for _ in range(2):
            clock.advance(60)
            breaker.enter()
            counted.append(breaker.report(False))
            assert breaker.wait_s() == 60
        assert counted == [1, 2, 3]

    def test_late_reports_of_earlier_requests_do_not_prolong_or_end_an_opening(self) -> None:
        clock = FakeClock()
        breaker = CircuitBreaker(1, 60.0, clock)
        breaker.report(False)
        clock.advance(59)
        assert (breaker.report(False), breaker.report(True)) == (0, 0)
        assert (breaker.state, breaker.wait_s()) == ("open", 1)

    def test_a_probe_that_never_reports_is_given_up(self) -> None:
        clock = FakeClock()
        breaker = CircuitBreaker(1, 60.0, clock)
        breaker.report(False)
        clock.advance(60)
        breaker.enter()
        clock.advance(PROBE_PATIENCE_S - 0.5)
        assert breaker.wait_s() == 0.5
        clock.advance(0.5)
        assert breaker.wait_s() == 0
        breaker.enter()
        assert breaker.wait_s() > 0
