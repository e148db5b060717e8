"""The feed of millions of slim cars: each is another one, and 1 % of a version are changed."""

from __future__ import annotations

from carsync.config.parser import parse
from carsync.mapping.mapper import Mapper
from tests.benchmarks.slim_feed import SlimFeed


def rows(cars: int, version: int) -> dict[str, str]:
    feed, mapper = SlimFeed(cars, 100, version), Mapper.load(parse("", {}))
    found: dict[str, str] = {}
    for page in range(1, feed.pages + 2):
        content = mapper.map_page(feed.body(page))
        assert not content.rejects
        found |= {row[1]: row[-1] for row in content.rows}
    return found


def test_each_car_is_there_once_and_one_in_a_hundred_changes() -> None:
    before, after = rows(1050, 0), rows(1050, 1)
    assert len(before) == 1050
    assert before.keys() == after.keys()
    assert 10 <= sum(before[i] != after[i] for i in before) <= 11
