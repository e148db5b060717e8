"""Retry-After and HTTP dates, as servers write them."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carsync.source.retry_after import parse_retry_after

FAR_ZONE = "Sun, 01 Mar 2026 12:00:30 +99999999999999999"


TEN_YEARS_S = 10 * 365 * 86400.0
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC).timestamp()


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            ("0", 0),
            ("7", 7),
            (" 7\t", 7),
            ("1.5", 1.5),
            ("86500", 86_500.0),
            ("9" * 5000, TEN_YEARS_S),
            ("Sun, 01 Mar 2026 12:00:30 GMT", 30),
            ("Sunday, 01-Mar-26 12:00:30 GMT", 30),
            ("Sun Mar  1 12:00:30 2026", 30),
            ("Sun, 01 Mar 2026 11:00:00 GMT", 0),
            ("Sun, 01 Mar 2099 11:00:00 GMT", TEN_YEARS_S),
        ],
    )
    def test_reads_both_forms(self, value: str, seconds: float) -> None:
        assert parse_retry_after(value, NOW) == seconds

    @pytest.mark.parametrize(
        "value",
        [
            None,
            "",
            " ",
            "-5",
            "+5",
            "1e3",
            "0x10",
            "inf",
            "nan",
            "soon",
            "٣",
            "5 s",
            "5,6",
            FAR_ZONE,
        ],
    )
    def test_is_silent_on_garbage(self, value: str | None) -> None:
        assert parse_retry_after(value, NOW) is None

    @pytest.mark.parametrize("wrong_s", [3600, -3600])
    def test_a_date_counts_from_the_date_of_the_answer(self, wrong_s: float) -> None:
        """So a clock of ours that was set wrong neither hammers nor waits."""
        sent = format_datetime(datetime.fromtimestamp(NOW, UTC), usegmt=True)
        until = format_datetime(datetime.fromtimestamp(NOW + 7, UTC), usegmt=True)
        assert parse_retry_after(until, NOW + wrong_s, sent) == 7
        assert parse_retry_after("7", NOW + wrong_s, sent) == 7

    @pytest.mark.parametrize("sent", [None, "", "soon", "5", FAR_ZONE])
    def test_without_a_date_of_the_answer_our_clock_counts(self, sent: str | None) -> None:
        until = format_datetime(datetime.fromtimestamp(NOW + 7, UTC), usegmt=True)
        assert parse_retry_after(until, NOW, sent) == 7

    @given(st.text() | st.text("0123456789:,-+. GMTSunFeb"), st.text() | st.none())
    def test_never_raises_and_stays_within_bounds(self, value: str, sent: str | None) -> None:
        seconds = parse_retry_after(value, NOW, sent)
        assert seconds is None or 0 <= seconds <= TEN_YEARS_S

    @given(st.integers(-1000, 1000))
    def test_reads_the_dates_that_servers_write(self, offset_s: int) -> None:
        value = format_datetime(datetime.fromtimestamp(NOW + offset_s, UTC), usegmt=True)
        assert parse_retry_after(value, NOW) == min(max(offset_s, 0), TEN_YEARS_S)
