"""What the headers of real servers tell of their limits, and what is nonsense."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carsync.source.rate_headers import ToldLimit, read_limits, spent_for_s

NOW_S = 1_700_000_000.0
DATE = {"Date": "Tue, 14 Nov 2023 22:13:20 GMT"}  # the same moment


def three(prefix: str, limit: object, remaining: object, reset: object = None) -> dict[str, str]:
    """Return the usual three headers; without a reset two."""
    told = {f"{prefix}-Limit": str(limit), f"{prefix}-Remaining": str(remaining)}
    return told if reset is None else {**told, f"{prefix}-Reset": str(reset)}


def read(headers: dict[str, str], now_s: float = NOW_S) -> list[tuple[object, ...]]:
    """Return name, remaining, reset and limit of each limit told."""
    found = read_limits(headers, now_s)
    return [(told.name, told.remaining, told.reset_s, told.limit) for told in found]


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        pytest.param(
            {"RateLimit-Policy": '"default";q=100;w=60', "RateLimit": '"default";r=50;t=30'},
            [("RateLimit", 50, 30, 100)],
            id="the draft since 08",
        ),
        pytest.param(
            {
                "RateLimit-Policy": '"burst";q=10;w=1, "a, day";q=1000;w=86400;pk=:Ym9i:',
                "RateLimit": '"burst";r=9;t=1,"a, day";r=7',
            },
            [('RateLimit "burst"', 9, 1, 10), ('RateLimit "a, day"', 7, 86400, 1000)],
            id="two policies, one without a reset",
        ),
        pytest.param(
            {"RateLimit-Policy": "100;w=60", "RateLimit": "limit=100, remaining=50, reset=5"},
            [("RateLimit", 50, 5, 100)],
            id="draft 07",
        ),
        pytest.param(three("RateLimit", 100, 0, 30), [("RateLimit", 0, 30, 100)], id="draft 06"),
        pytest.param(
            three("RateLimit", "10, 10;w=1, 50;w=60", 9),
            [("RateLimit", 9, 1, 10)],
            id="draft 03",
        ),
        pytest.param(three("X-RateLimit", 60, 59, 12), [("X-RateLimit", 59, 12, 60)], id="seconds"),
        pytest.param(
            three("x-ratelimit", 5000, 4987, 1_700_003_600),
            [("X-RateLimit", 4987, 3600, 5000)],
            id="GitHub, epoch seconds",
        ),
        pytest.param(
            three("X-Rate-Limit", 15, 3, 1_700_000_900_000),
            [("X-Rate-Limit", 3, 900, 15)],
            id="epoch milliseconds",
        ),
        pytest.param(
            three("X-RateLimit", 5, 4, 1_700_000_001.5), [("X-RateLimit", 4, 1.5, 5)], id="fraction"
        ),
        pytest.param(three("X-RateLimit", 60, 59), [("X-RateLimit", 59, None, 60)], id="Laravel"),
        pytest.param(
            {"X-RateLimit-Remaining": "3", "X-RateLimit-Reset": "12s"},
            [("X-RateLimit", 3, 12, None)],
            id="with its unit",
        ),
        pytest.param(
            {
                "X-RateLimit-Remaining": "1",
                "X-RateLimit-Reset": "1700000002.1",
                "X-RateLimit-Reset-After": "2.1",
            },
            [("X-RateLimit", 1, 2.1, None)],
            id="Discord",
        ),
        pytest.param(
            {
                "X-RateLimit-Limit-Minute": "10",
                "X-RateLimit-Remaining-Minute": "9",
                "X-RateLimit-Remaining-Hour": "99",
                "RateLimit-Limit": "10",
                "RateLimit-Remaining": "9",
                "RateLimit-Reset": "7",
            },
            [
                ("X-RateLimit-minute", 9, 60, 10),
                ("X-RateLimit-hour", 99, 3600, None),
                ("RateLimit", 9, 7, 10),
            ],
            id="Kong",
        ),
        pytest.param(
            {
                "RateLimit-Remaining": "4",
                "RateLimit-Reset-Time": "2023-11-14T22:13:21Z",
                "Quota-Remaining": "0",
                "Quota-Reset-Time": "Wed, 15 Nov 2023 22:13:20 GMT",
            },
            [("RateLimit", 4, 1, None), ("Quota", 0, 86400, None)],
            id="MarketCheck",
        ),
    ],
)
def test_what_servers_tell_is_read(headers: dict[str, str], told: list[tuple[object]]) -> None:
    assert read(headers) == told
    assert read({**headers, **DATE}, NOW_S + 9000) == told  # our clock is wrong, theirs is not


@pytest.mark.parametrize(
    "headers",
    [
        {},
        DATE,
        {"X-RateLimit-Limit": "60"},
        three("X-RateLimit", 60, -1, 30),
        three("X-RateLimit", 60, "many", 30),
        three("X-RateLimit", 60, "", 30),
        three("X-RateLimit", 60, "１２", 30),
        three("X-RateLimit", 0, 0, 30),  # "no limit", as some write it
        {"RateLimit": ""},
        {"RateLimit": '"default"'},
        {"RateLimit": '"default";r=;t=30'},
        {"RateLimit": ';;;=,"'},
        {"X-RateLimit-Policy": "1", "Not-RateLimit-Remaining": "0"},
    ],
)
def test_nonsense_tells_nothing(headers: dict[str, str]) -> None:
    assert read(headers) == []


@pytest.mark.parametrize(
    "reset",
    ["0", "-5", "soon", "1699999990", str(365 * 86400), "1731536000", "nan", "1e9", "9" * 30, ""],
)
def test_a_limit_whose_reset_is_past_or_in_a_year_tells_nothing(reset: str) -> None:
    assert read(three("X-RateLimit", 60, 0, reset)) == []
    assert read({"RateLimit": f'"default";r=0;t={reset}'}) == []
    assert read({"RateLimit": f"limit=5, remaining=0, reset={reset}"}) == []


def test_more_left_than_the_limit_is_no_limit() -> None:
    assert read(three("X-RateLimit", 5, 50, 3)) == [("X-RateLimit", 50, 3, None)]


def test_a_refusal_waits_for_the_limit_that_is_spent() -> None:
    short, long = ToldLimit("a", 0, 3.0), ToldLimit("b", 0, 30.0)
    assert spent_for_s((short, long, ToldLimit("c", 1, 300.0), ToldLimit("d", 0))) == 30.0
    assert spent_for_s((ToldLimit("c", 1, 300.0), ToldLimit("d", 0))) is None


@given(
    st.dictionaries(
        st.sampled_from(
            "RateLimit,RateLimit-Policy,RateLimit-Limit,X-RateLimit-Remaining,X-RateLimit-Reset,"
            "Quota-Remaining,Quota-Reset-Time,Date".split(",")
        ),
        st.text(st.characters(max_codepoint=255)) | st.text('";=,rt0123 remaining'),
    )
)
def test_no_header_is_too_strange(headers: dict[str, str]) -> None:
    for told in read_limits(headers, NOW_S):
        assert told.remaining >= 0
        assert told.reset_s is None or 0 < told.reset_s <= 32 * 86400
