"""Incremental runs over an API that lies of its windows, its clock or its tombstones.

Whatever it says: no listed car goes and no listed one is missed. Sold cars go with the next honest
delta; where times cannot be compared, with the next full run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from carsync.demo.server import running
from tests.benchmarks.fresh_day import options_of
from tests.conftest import new_database
from tests.support.live_site import LiveApi, LiveSite

DELTA = ("--mode", "incremental")


@pytest.fixture(scope="module")
def site(
    server_dsn: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveSite]:
    """A site in step with the live API, shared by the module's trials, two hours each."""
    api = LiveApi(options_of(400))
    with new_database(server_dsn, template) as dsn, running(api) as server:
        site = LiveSite(server, api, dsn, tmp_path_factory.mktemp("live"))
        site.settings["api.timeout.total_s"] = 3.0
        site.sync()
        yield site
        site.close()


@pytest.fixture
def in_step(site: LiveSite) -> LiveSite:
    """The module's site, in step again after a trial that failed."""
    site.api.lie()
    if site.active() != site.due():
        site.sync()
    return site


def lie_for_a_run(site: LiveSite, lie: str, expect: int = 0) -> None:
    """Let a delta meet this lie; what it may not do is held against it."""
    before = site.rows()
    site.api.lie(*lie.split(","))
    try:
        site.sync(*DELTA, expect=expect)
    finally:
        site.api.lie()
    if expect == 3:
        assert site.rows() == before
    else:
        assert_none_missed(site)


def assert_none_missed(site: LiveSite) -> None:
    """Hold the listed cars against the table, which may have sold ones, too."""
    active, due = site.active(), site.due()
    assert {car_id: active.get(car_id) for car_id in due} == due


def end_trial(site: LiveSite, *, by_delta: bool) -> None:
    """Let an hour go by; a delta makes the table exact then, or a full run after it."""
    site.pass_hours()
    site.sync(*DELTA)
    if not by_delta:
        assert_none_missed(site)
        site.sync()
    site.assert_in_step()


_LONG = [
    ("window-ignored", 0, True),
    ("window-small", 3, True),
    ("removals-404", 5, True),
    ("removals-500", 5, True),
    ("removals-hang", 5, True),
    ("date-behind", 5, True),  # tombstones lie in the future then
    ("date-ahead", 0, False),  # cars that it read count as listed later than they were
]


@pytest.mark.parametrize(
    ("lie", "expect", "by_delta"),
    [
        ("tombstones-older,tombstones-unknown,tombstones-other-lot", 0, True),
        *(pytest.param(*case, marks=pytest.mark.long) for case in _LONG),
    ],
)
@pytest.mark.long
def test_a_lie_costs_no_listed_car(
    in_step: LiveSite, lie: str, expect: int, by_delta: bool
) -> None:
    in_step.pass_hours()
    lie_for_a_run(in_step, lie, expect)
    end_trial(in_step, by_delta=by_delta)


@pytest.mark.long
def test_without_a_date_the_servers_clock_counts(dsn: str, tmp_path: Path) -> None:
    api = LiveApi(replace(options_of(400), clock_s=None))
    with running(api) as server:
        site = LiveSite(server, api, dsn, tmp_path)
        site.sync()
        for number, lie in enumerate(("date-missing", "date-missing", ""), start=1):
            api.show(number)
            api.lie(*filter(None, [lie]))
            site.sync(*DELTA)
            site.assert_in_step()
        site.close()


def _set_back(site: LiveSite) -> None:
    site.api.timeline.set_clock(site.api.timeline.now_s - 7200)
    site.pass_hours()


def _set_forward(site: LiveSite) -> None:
    site.api.timeline.set_clock(site.api.timeline.now_s + 7200)
    site.pass_hours()


@pytest.mark.long
@pytest.mark.parametrize(
    ("happen", "page_size", "expect"),
    [
        pytest.param(lambda site: site.pass_hours(at_once=True), 3, 0, id="one time for all"),
        pytest.param(lambda site: site.pass_hours(10), 50, 0, id="ten hours"),
        pytest.param(_set_forward, 1000, 0, id="the clock is set forward"),
        # What was sold before lies in the future now.
        pytest.param(_set_back, 1000, 5, id="the clock is set back"),
    ],
)
def test_clocks_that_are_set_and_times_that_many_share(
    in_step: LiveSite, happen: Callable[[LiveSite], None], page_size: int, expect: int
) -> None:
    happen(in_step)
    in_step.sync(*DELTA, expect=expect, api__pagination__page_size=page_size)
    assert_none_missed(in_step)
    end_trial(in_step, by_delta=expect == 0)
