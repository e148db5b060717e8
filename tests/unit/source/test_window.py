"""Windows: since when changes are asked for, and how that is written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from carsync.config.api_sections import Api, Removals, Window
from carsync.errors import ConfigError
from carsync.source.pagination.lists import FeedLists
from carsync.source.window import (
    Watermark,
    asked_from,
    needed_from,
    parameter,
    removals_since,
    with_window,
)

MARK = datetime(2026, 11, 29, 1, tzinfo=UTC)
MINUTES = Window(param="minutes")


def after(**times: float) -> datetime:
    return MARK + timedelta(**times)


def test_a_window_reaches_back_to_the_watermark_and_the_overlap() -> None:
    mark = Watermark(MARK, after(minutes=7))  # the server's clock is seven minutes ahead
    assert asked_from(MINUTES, mark, after(minutes=67)) == after(minutes=-15)
    assert parameter(MINUTES, after(minutes=-15), after(minutes=60)) == 75


@pytest.mark.parametrize(
    ("server_now", "api_now", "needed"),
    [
        (after(hours=1), after(hours=1), MARK),
        (after(hours=-2), after(hours=1), MARK),  # the server's clock was set back
        (after(hours=1), after(minutes=-30), after(minutes=-90)),  # the API's was
        (after(seconds=1), after(hours=5), MARK),  # the server's stood still
        (after(hours=9), after(hours=1), after(hours=-8)),  # nobody can say which one is right
    ],
)
def test_whichever_clock_was_set_the_longer_way_counts(
    server_now: datetime, api_now: datetime, needed: datetime
) -> None:
    assert needed_from(MINUTES, Watermark(MARK, MARK), server_now, api_now) == needed


def test_what_is_too_long_ago_needs_a_full_sync() -> None:
    mark = Watermark(MARK, MARK)
    with pytest.raises(ConfigError, match=r"api\.window\.max") as caught:
        asked_from(MINUTES, mark, after(hours=73))
    assert "--or-full" in caught.value.hint
    with pytest.raises(ConfigError):
        needed_from(MINUTES, mark, MARK, after(hours=73))
    unlimited = Window(param="since", format="epoch_s", max=None)
    assert asked_from(unlimited, mark, after(days=900)) == after(minutes=-15)


def test_the_overlap_never_makes_a_window_longer_than_its_maximum() -> None:
    since = asked_from(MINUTES, Watermark(MARK, MARK), after(hours=72))
    assert parameter(MINUTES, since, after(hours=72)) == 4320
    assert parameter(MINUTES, since - timedelta(seconds=1), after(hours=72)) == 4320


@pytest.mark.parametrize(
    ("keys", "written"),
    [
        ({"format": "minutes"}, 61),
        ({"format": "seconds"}, 3601),
        ({"format": "epoch_s"}, 1795910400),
        ({"format": "epoch_ms"}, 1795910400500),
        ({"format": "iso8601"}, "2026-11-29T00:00:00Z"),
        ({"format": "iso8601", "zone": "Asia/Seoul"}, "2026-11-29T09:00:00+09:00"),
        ({"format": "%Y%m%d%H%M%S", "zone": "America/New_York"}, "20261128190000"),
        ({"format": "%Y-%m-%d"}, "2026-11-29"),
    ],
)
def test_each_format_reaches_no_less_far_back(keys: dict[str, str], written: object) -> None:
    since = datetime(2026, 11, 29, microsecond=500_000, tzinfo=UTC)
    assert parameter(Window(param="x", **keys), since, since + timedelta(seconds=3600.1)) == written


@pytest.mark.parametrize("utc_hour", [0, 1])
def test_an_hour_that_the_night_repeats_is_left_for_the_one_before_it(utc_hour: int) -> None:
    """At 03:00 on 25 October 2026 clocks in Berlin go back to 02:00."""
    window = Window(param="since", format="%Y-%m-%d %H:%M", zone="Europe/Berlin")
    since = datetime(2026, 10, 25, utc_hour, 30, tzinfo=UTC)  # 02:30 both times
    assert parameter(window, since, since) == "2026-10-25 01:30"


def test_the_parameter_goes_where_those_of_paging_go() -> None:
    api = Api(
        window=Window(param="since", format="epoch_s"),
        params={"q": "changed>{since}", "lang": "en"},
        lists={"make": ["Kia"]},
    )
    asked = with_window(api, MARK, MARK)
    assert asked.params == {"q": f"changed>{int(MARK.timestamp())}", "lang": "en"}
    assert asked.lists == api.lists
    posted = with_window(
        Api(method="POST", window=Window(param="filter.minutes")), MARK, after(minutes=9)
    )
    assert posted.body == {"filter": {"minutes": 9}}


SOLD = Api(
    path="/cars", window=Window(param="minutes"), removals=Removals(path="/sold", params={"a": 1})
)


def test_an_incremental_run_asks_for_the_same_window_of_tombstones() -> None:
    asked = with_window(SOLD, MARK, after(minutes=9))
    assert asked.params == {"minutes": 9}
    assert asked.removals.params == {"a": 1, "minutes": 9}
    placed = with_window(replace(SOLD, params={"q": "age<{minutes}"}), MARK, after(minutes=9))
    removals = FeedLists(placed).removals
    assert removals is not None
    sent = {"q": "age<9", "a": 1, "page": 1, "per_page": 100}
    assert removals.request(1, None).params == sent


@pytest.mark.parametrize(
    ("mark", "hours", "minutes"), [(MARK, 1, 75), (MARK, 900, 4320), (None, 0, 4320)]
)
def test_a_run_of_the_whole_feed_asks_for_the_tombstones_since_the_last(
    mark: datetime | None, hours: int, minutes: int
) -> None:
    known = None if mark is None else Watermark(mark, mark)
    asked = removals_since(SOLD, known, after(hours=hours))
    assert (asked.params, asked.removals.params) == ({}, {"a": 1, "minutes": minutes})


def test_without_a_window_or_a_limit_all_tombstones_are_asked_for() -> None:
    unlimited = replace(SOLD, window=Window(param="minutes", max=None))
    assert removals_since(unlimited, None, MARK) == unlimited
    assert removals_since(replace(SOLD, window=Window()), None, MARK).removals == SOLD.removals
