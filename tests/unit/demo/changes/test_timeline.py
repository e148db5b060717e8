"""The simulated API's clock and changes: each hour is exact, late rows come late."""

from __future__ import annotations

import time

import pytest

from carsync.demo.changes.timeline import HOUR_S, Lateness, Timeline
from carsync.demo.feed import Feed, FeedOptions, FeedSnapshot

NOON_S = 1_768_478_400.0
FEED = FeedOptions(
    cars=2_000, changed_share=0.01, removed_share=0.005, added_share=0.004, relisted_share=0.001
)


def listed(snapshot: FeedSnapshot) -> dict[int, int]:
    """Return id → version."""
    return dict(zip(snapshot.ids, snapshot.versions, strict=True))


def opened(late: Lateness | None = None) -> Timeline:
    """Return a timeline that stands at noon."""
    return Timeline(Feed(FEED), 0, NOON_S, late)


def test_an_hour_changes_sells_adds_and_relists_its_shares_at_its_seconds() -> None:
    timeline = opened()
    timeline.advance(2)
    assert timeline.now_s == NOON_S + 2 * HOUR_S
    before, after = listed(Feed(FEED).at(1)), listed(timeline.shown)
    assert after == listed(Feed(FEED).at(2))
    left, new = before.keys() - after.keys(), after.keys() - before.keys()
    relisted = {car_id for car_id in new if after[car_id] > 0 or car_id in Feed(FEED).at(1).gone}
    changed = {car_id for car_id in before.keys() & after.keys() if before[car_id] != after[car_id]}
    assert (len(left), len(new - relisted), len(relisted), len(changed)) == (10, 8, 2, 20)
    window = timeline.changed_since(NOON_S + HOUR_S + 1)
    assert listed(window) == {car_id: after[car_id] for car_id in changed | new}
    assert all(NOON_S + HOUR_S < window.times[i] <= timeline.now_s for i in window.ids)
    assert len({window.times[i] for i in window.ids}) > 20
    tombstones = timeline.removed_since(NOON_S + HOUR_S + 1)
    assert {each.car_id for each in tombstones} == left
    assert [each.at_s for each in tombstones] == sorted(each.at_s for each in tombstones)
    assert len(timeline.removed_since(None)) == 20


def test_the_same_hours_change_the_same_cars_at_the_same_seconds() -> None:
    one, other = opened(), opened()
    one.advance(3)
    for _ in range(3):
        other.advance(1)
    assert one.shown.times == other.shown.times
    assert one.removed_since(None) == other.removed_since(None)


def test_many_changes_can_have_one_time() -> None:
    timeline = opened()
    timeline.advance(1, at_once=True)
    assert {timeline.shown.times[i] for i in timeline.changed_since(NOON_S).ids} == {NOON_S + 1800}
    timeline.jump(3)
    assert len(timeline.changed_since(timeline.now_s).ids) > 40


def test_late_changes_are_shown_after_their_time_and_all_in_the_end() -> None:
    timeline = opened(Lateness(share=1.0, minutes=15))
    timeline.advance(1)
    behind, whole = listed(timeline.shown), listed(Feed(FEED).at(1))
    hidden = {i for i in behind.keys() | whole.keys() if behind.get(i) != whole.get(i)}
    assert 3 <= len(hidden) <= 30
    assert not hidden & set(timeline.changed_since(NOON_S).ids)
    assert not hidden & {each.car_id for each in timeline.removed_since(None)}
    timeline.set_clock(timeline.now_s + 15 * 60)
    assert listed(timeline.shown) == whole
    told = {*timeline.changed_since(NOON_S).ids, *(t.car_id for t in timeline.removed_since(None))}
    assert hidden <= told
    assert max(timeline.shown.times.values()) <= NOON_S + HOUR_S
    timeline.advance(5)
    timeline.set_clock(timeline.now_s + 15 * 60)
    assert listed(timeline.shown) == listed(Feed(FEED).at(6))


def test_a_clock_that_is_set_back_hides_nothing() -> None:
    timeline = opened(Lateness(share=0.5))
    timeline.advance(2)
    shown = listed(timeline.shown)
    timeline.set_clock(NOON_S - 5 * HOUR_S)
    assert timeline.now_s == NOON_S - 5 * HOUR_S
    assert listed(timeline.shown) == shown
    timeline.advance(1)
    assert listed(timeline.shown).keys() != shown.keys()


def test_without_a_time_of_its_own_the_clock_is_the_machines_and_goes_on_from_where_it_is_set() -> (
    None
):
    ticks = [1000.0]
    timeline = Timeline(Feed(FEED), 0, machine_clock=lambda: ticks[0])
    timeline.advance(1)
    ticks[0] += 5
    assert timeline.now_s == 1005 + HOUR_S
    timeline.set_clock(NOON_S)
    ticks[0] += 5
    assert timeline.now_s == NOON_S + 5


@pytest.mark.parametrize("late", [None, Lateness(0.2)])
def test_a_day_of_200_000_cars_takes_seconds(late: Lateness | None) -> None:
    begun_s = time.process_time()
    timeline = Timeline(Feed(FeedOptions(cars=200_000, relisted_share=0.001)), 0, NOON_S, late)
    timeline.advance(2)
    assert len(timeline.changed_since(timeline.now_s - HOUR_S).ids) > 2_000
    assert time.process_time() - begun_s < 5
