"""A full run, then deltas hour by hour: the table equals the simulated live API after each."""

from __future__ import annotations

from pathlib import Path

import pytest

from carsync.demo.server import running
from tests.benchmarks.fresh_day import MOST_REQUESTS, compare, options_of, play
from tests.support.live_site import LiveApi, LiveSite

pytestmark = pytest.mark.quick

SIZES = [
    (2_000, 2),
    pytest.param(2_000, 24, marks=pytest.mark.long),
    pytest.param(200_000, 24, marks=[pytest.mark.long, pytest.mark.timeout(7200)]),
]


@pytest.mark.parametrize(("cars", "hours"), SIZES)
def test_after_each_hour_the_table_is_what_the_api_lists(
    dsn: str, tmp_path: Path, cars: int, hours: int
) -> None:
    api = LiveApi(options_of(cars))
    with running(api) as server:
        site = LiveSite(server, api, dsn, tmp_path)
        try:
            runs = play(site, hours)
        finally:
            site.close()
    assert len(runs) == hours + 2
    assert max(run.requests for run in runs[1:-1]) <= MOST_REQUESTS
    assert f"| full run every hour ({hours}) |" in compare(runs)
