"""The simulated feed is exact: ids, changes and bytes follow from its options alone."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carsync.demo.feed import Feed, FeedOptions, FeedSnapshot
from tests.benchmarks.static_feed import write_static

SHARES = st.sampled_from([0.0, 0.01, 0.1, 0.5, 1.0])


def read_all(feed: Feed, snapshot: FeedSnapshot, page_size: int) -> list[dict[str, Any]]:
    """Return the records of all pages, in order."""
    pages = range(1, feed.page_count(snapshot, page_size) + 1)
    bodies = [json.loads(feed.page_body(snapshot, page, page_size)) for page in pages]
    return [record for body in bodies for record in body["data"]]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 300), SHARES, SHARES, SHARES, st.integers(1, 4))
def test_truth_states_what_each_snapshot_adds_removes_and_changes(
    cars: int, changed: float, added: float, removed: float, number: int
) -> None:
    feed = Feed(FeedOptions(cars, 7, changed, added, removed))
    before = len(feed.at(number - 1).ids)
    truth = feed.truth(number)
    assert truth.added == round(before * added)
    assert truth.removed == round(before * removed)
    assert truth.changed == min(round(before * changed), before - truth.removed)
    assert len(truth.ids) == before + truth.added - truth.removed


def test_a_hundredth_of_200_000_cars_is_exactly_2000() -> None:
    feed = Feed(FeedOptions(cars=200_000, added_share=0, removed_share=0))
    truth = feed.truth(1)
    assert (len(truth.ids), truth.changed, truth.added, truth.removed) == (200_000, 2_000, 0, 0)


def test_the_pages_of_two_snapshots_differ_as_the_truth_says() -> None:
    feed = Feed(FeedOptions(cars=500, changed_share=0.1, added_share=0.04, removed_share=0.06))
    old, new = (
        {record["id"]: record for record in read_all(feed, feed.at(number), 64)}
        for number in (0, 1)
    )
    truth = feed.truth(1)
    assert set(truth.ids) == set(new)
    assert truth.added == len(new.keys() - old.keys()) == 20
    assert truth.removed == len(old.keys() - new.keys()) == 30
    differing = [car_id for car_id in old.keys() & new.keys() if old[car_id] != new[car_id]]
    assert truth.changed == len(differing) == 50
    # What changed is a mapped and hashed field, so that a sync must notice.
    assert all(old[i]["lots"][0]["bid"] != new[i]["lots"][0]["bid"] for i in differing)


def test_truth_between_any_two_snapshots_is_symmetric() -> None:
    feed = Feed(FeedOptions(cars=400, added_share=0.02))
    there, back = feed.truth(3, since=1), feed.truth(1, since=3)
    assert (there.added, there.removed) == (back.removed, back.added)
    assert there.changed == back.changed
    assert feed.truth(0).changed == feed.truth(0).added == feed.truth(0).removed == 0


def test_an_id_is_never_given_to_another_car() -> None:
    feed = Feed(FeedOptions(cars=50, added_share=0.2, removed_share=1.0))
    first, second = set(feed.at(0).ids), set(feed.at(1).ids)
    assert len(second) == 10
    assert not first & second


def test_a_snapshot_is_the_same_however_it_was_reached() -> None:
    walked = Feed(FeedOptions(cars=100))
    walked.at(9)  # past the snapshots that are kept
    assert walked.at(2) == Feed(FeedOptions(cars=100)).at(2)
    assert walked.at(8) == Feed(FeedOptions(cars=100)).at(8)


def test_same_options_give_the_same_bytes_and_another_seed_others() -> None:
    bodies = [
        feed.page_body(feed.at(2), 1, 20)
        for feed in (Feed(FeedOptions(cars=50, seed=seed)) for seed in (3, 3, -4))
    ]
    assert bodies[0] == bodies[1] != bodies[2]


def test_pages_hold_each_car_once_and_end_with_an_empty_one() -> None:
    feed = Feed(FeedOptions(cars=250))
    snapshot = feed.at(0)
    assert [record["id"] for record in read_all(feed, snapshot, 100)] == list(snapshot.ids)
    last = json.loads(feed.page_body(snapshot, 3, 100))
    assert len(last["data"]) == 50
    assert last["meta"] == {"current_page": 3, "last_page": 3, "per_page": 100, "total": 250}
    assert json.loads(feed.page_body(snapshot, 4, 100))["data"] == []
    assert json.loads(feed.page_body(snapshot, 3, 100, with_meta=False)).keys() == {"data"}


def test_an_empty_feed_has_one_empty_page() -> None:
    feed = Feed(FeedOptions(cars=0))
    assert feed.page_count(feed.at(0), 100) == 1
    assert read_all(feed, feed.at(0), 100) == []


@pytest.mark.parametrize("car_id", [0, 7_000_000, 7_000_011, 10**18])
def test_a_car_that_is_not_listed_has_no_record(car_id: int) -> None:
    feed = Feed(FeedOptions(cars=10))
    assert feed.record(feed.at(0), car_id) is None


def test_a_car_asked_for_by_id_is_the_one_on_the_page() -> None:
    feed = Feed(FeedOptions(cars=10, changed_share=0.5))
    snapshot = feed.at(2)
    for record in read_all(feed, snapshot, 4):
        assert feed.record(snapshot, record["id"]) == record


def test_static_files_hold_the_pages_and_none_of_a_longer_snapshot(tmp_path: Path) -> None:
    assert write_static(tmp_path / "feed", Feed(FeedOptions(cars=45)), 0, 10) == 5
    (tmp_path / "feed" / "notes.json.gz").touch()
    feed = Feed(FeedOptions(cars=25))
    assert write_static(tmp_path / "feed", feed, 1, 10) == 3
    names = sorted(path.name for path in (tmp_path / "feed").iterdir())
    assert names == ["1.json.gz", "2.json.gz", "3.json.gz", "notes.json.gz"]
    for page in (1, 2, 3):
        packed = (tmp_path / "feed" / f"{page}.json.gz").read_bytes()
        assert gzip.decompress(packed) == feed.page_body(feed.at(1), page, 10)
