"""The simulator's window lets so many requests in, and every kind of its headers tells the same."""

from __future__ import annotations

import pytest

from carsync.demo.window_limit import RATE_HEADERS, RateHeaders, WindowLimit
from carsync.source.rate_headers import read_limits


def test_a_window_lets_its_number_in_and_the_next_request_begins_another() -> None:
    limit = WindowLimit(2, 3.0, "x")
    assert [limit.admit(now_s) for now_s in (10.0, 11.0, 11.5, 12.9, 14.0, 16.9)] == [
        *(0, 0, 2, 1),
        *(0, 0),
    ]


@pytest.mark.parametrize("kind", RATE_HEADERS)
def test_each_kind_tells_what_is_left(kind: RateHeaders) -> None:
    limit = WindowLimit(20, 10.0, kind)
    limit.admit(100.0)
    headers = {name.decode(): text.decode() for name, text in limit.headers(103.5, 1.7e9)}
    (told,) = read_limits(headers, 1.7e9)
    assert (told.remaining, told.limit) == (19, 20)
    assert told.reset_s == (None if kind == "laravel" else pytest.approx(6.75, abs=0.3))
