"""Incremental runs are exact in every corner: clocks, windows, what moves the watermark.

The runs are real from the lock to the report, over real HTTP and a real PostgreSQL; only their
processes are left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from carsync.config.api_sections import Api
from carsync.deactivation import approval
from carsync.doctor.paging_guesses import Told
from carsync.doctor.paging_trial import find_paging, read_answer
from carsync.errors import ConfigError
from carsync.exit_codes import ExitCode
from carsync.model import ROW_ACTIONS
from carsync.postgres.connection import connect
from carsync.postgres.wait import Connection
from carsync.redaction import Secret
from carsync.run import held_run
from carsync.run.edits.replay import Replay
from carsync.run.edits.revert import Revert
from carsync.run.signals import StopSignal
from carsync.state import runs, target_lock
from tests.conftest import ask
from tests.support import feed_shapes as shapes
from tests.support.changing_api import ChangeSite, ChangingApi
from tests.support.fake_api import Arrival, Reply
from tests.support.feed_shapes import ORIGIN, Shape, ShapedApi, ShapedFeed
from tests.support.merge_rig import SOURCE, TARGET

HOUR = timedelta(hours=1)
LONG_AGO = timedelta(days=9)


@pytest.fixture
def api() -> Iterator[ChangingApi]:
    with ChangingApi() as api:
        api.change(*range(1, 11), ago=LONG_AGO)
        yield api


@pytest.fixture
def site(api: ChangingApi, dsn: str, plain_conn: Connection, tmp_path: Path) -> ChangeSite:
    """A table that a full run has filled."""
    site = ChangeSite(api, dsn, plain_conn, tmp_path)
    assert site.sync("full").exit_code is ExitCode.OK
    api.asked()
    return site


def test_only_what_changed_is_asked_for_and_nobody_is_absent(site: ChangeSite) -> None:
    site.pass_time(HOUR)
    site.api.change(2, 5, 11)
    report = site.sync()
    assert report.counts is not None
    assert (report.exit_code, report.counts.seen) == (ExitCode.OK, 3)
    assert (report.counts.updated, report.counts.inserted, report.counts.deactivated) == (2, 1, 0)
    assert site.prices() == site.api.prices()
    asked = site.api.asked()
    assert {minutes for _, minutes in asked} == {"62"}, "an hour, a minute and what has begun"
    assert [page for page, _ in asked] == [1, 2], "the page behind the last one, none before it"
    assert site.watermark() == report.run_id


def test_more_cars_than_a_page_changed_at_one_moment(site: ChangeSite) -> None:
    site.pass_time(HOUR)
    site.api.change(*range(3, 21))
    assert site.sync().exit_code is ExitCode.OK
    assert site.prices() == site.api.prices()


def test_a_car_that_shows_late_is_within_the_overlap(site: ChangeSite) -> None:
    site.pass_time(HOUR)
    late = site.api.now + timedelta(milliseconds=1)
    site.api.change(3, price=7, ago=timedelta(seconds=40), shown_from=late)
    assert site.sync(api__window__overlap="5m").exit_code is ExitCode.OK
    site.pass_time(HOUR)
    site.api.cars[3].shown_from = None
    assert site.sync(api__window__overlap="5m").exit_code is ExitCode.OK
    assert site.prices() == site.api.prices()


@pytest.mark.parametrize(
    ("ahead", "then"),
    [
        (timedelta(), -3 * HOUR),
        pytest.param(timedelta(), 3 * HOUR, marks=pytest.mark.long),
        (-5 * HOUR, timedelta()),
        (None, None),  # it sends no Date
        (timedelta(), None),
        pytest.param(None, timedelta(minutes=-1), marks=pytest.mark.long),
    ],
    ids=["set back", "set forward", "hours behind", "no Date", "no Date now", "a Date now"],
)
def test_the_api_has_a_clock_of_its_own(
    api: ChangingApi,
    dsn: str,
    plain_conn: Connection,
    tmp_path: Path,
    ahead: timedelta | None,
    then: timedelta | None,
) -> None:
    api.ahead = ahead
    site = ChangeSite(api, dsn, plain_conn, tmp_path)
    assert site.sync("full").exit_code is ExitCode.OK
    site.pass_time(HOUR)
    api.change(1, ago=HOUR / 2)
    api.ahead = then
    api.change(2, 3)
    assert site.sync().exit_code is ExitCode.OK
    assert site.prices() == api.prices()


def test_a_page_from_a_cache_moves_no_watermark(site: ChangeSite) -> None:
    before = site.watermark()
    site.pass_time(HOUR)
    site.api.change(2, 3, 4, 5, ago=timedelta(minutes=20))
    answer = site.api.answer

    def from_cache(arrival: Arrival) -> Reply:
        site.api.ahead = -HOUR / 3 if arrival.page == 2 else timedelta()
        reply: Reply = answer(arrival)
        return reply

    site.api.answer = from_cache
    report = site.sync()
    assert report.exit_code is ExitCode.OK
    assert any("asks for the same changes again" in note for note in report.notes)
    assert site.watermark() == before


@pytest.mark.parametrize(
    "hours",
    [-2, pytest.param(2, marks=pytest.mark.long)],
    ids=["set back", "set forward"],
)
def test_the_servers_clock_was_set_since(site: ChangeSite, hours: int) -> None:
    """Only what the server wrote down lies elsewhere now; the API's times stay."""
    site.pass_time(HOUR)
    moved = f"- '{hours} hours'::interval"
    ask(site.conn, f"UPDATE carsync.runs SET merged_at = merged_at {moved}, api_clock_at = "
        f"api_clock_at {moved}")  # fmt: skip
    ask(site.conn, f"UPDATE public.cars SET updated_at = updated_at {moved}, last_synced_at = "
        f"last_synced_at {moved}")  # fmt: skip
    site.api.change(2, 3, ago=HOUR / 2)
    report = site.sync()
    assert report.exit_code is ExitCode.OK, report
    assert site.prices() == site.api.prices()


def test_a_window_longer_than_the_maximum_is_refused_or_becomes_a_full_run(
    site: ChangeSite,
) -> None:
    site.pass_time(timedelta(hours=80))
    site.api.change(2)
    report = site.sync()
    assert (report.exit_code, report.run_id) == (ExitCode.CONFIG, None)
    assert "run a full sync" in report.hint
    assert site.api.asked() == []
    report = site.sync(options={"or_full": True})
    assert report.exit_code is ExitCode.OK
    assert {minutes for _, minutes in site.api.asked()} == {None}
    assert site.prices() == site.api.prices()


def test_a_clock_that_was_set_too_far_is_refused_or_leads_to_a_full_run(site: ChangeSite) -> None:
    """Only the first answer shows it; a full run that was interrupted is resumed then."""
    unfinished = site.sync("full", stop_after=1)
    site.api.change(2)
    site.api.ahead = timedelta(hours=100)
    report = site.sync()
    assert (report.exit_code, "run a full sync" in report.hint) == (ExitCode.CONFIG, True)
    site.api.asked()
    report = site.sync(options={"or_full": True})
    assert (report.exit_code, report.mode) == (ExitCode.OK, "full"), report
    assert (report.run_id, report.window_from) == (unfinished.run_id, None)
    assert [page for page, minutes in site.api.asked() if minutes is None] == [2, 3, 4, 5]
    query = "SELECT state FROM carsync.runs WHERE mode = 'incremental'"
    assert set(ask(site.conn, query)) == {("abandoned",)}
    report = site.sync(options={"or_full": True})
    assert (report.exit_code, report.mode) == (ExitCode.OK, "full"), "it began before"
    assert site.prices() == site.api.prices()
    assert site.sync().mode == "incremental"


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"mapping__hash__fields": ["price"]}, marks=pytest.mark.long),
        {"mapping__columns__title": {"path": "y"}},
    ],
    ids=["hash", "columns"],
)
def test_another_mapping_needs_a_full_run(site: ChangeSite, changed: dict[str, Any]) -> None:
    report = site.sync(**changed)
    assert report.exit_code is ExitCode.CONFIG
    assert "the mapping or its hash changed" in report.problem
    assert "run a full sync" in report.hint
    assert site.sync(options={"or_full": True}, **changed).exit_code is ExitCode.OK
    assert site.sync(**changed).exit_code is ExitCode.OK
    assert site.sync().exit_code is ExitCode.CONFIG, "and so does the old one"


def test_without_a_full_run_there_is_no_watermark(
    api: ChangingApi, dsn: str, plain_conn: Connection, tmp_path: Path
) -> None:
    site = ChangeSite(api, dsn, plain_conn, tmp_path)
    report = site.sync()
    assert report.exit_code is ExitCode.CONFIG
    assert "no run has read the whole feed yet" in report.problem
    with pytest.raises(ConfigError, match=r"api\.window is not set"):
        site.sync(api__window={"param": None})


# ── what moves nothing ───────────────────────────────────────────────────────


def page_2_fails(site: ChangeSite) -> int:
    site.api.is_down = lambda page: page == 2
    code = site.sync().exit_code
    site.api.is_down = lambda _: False
    return code


def page_2_is_empty(site: ChangeSite) -> int:
    """No total says that it has records; the page behind it has some."""
    answer = site.api.answer

    def empty(arrival: Arrival) -> Reply:
        records = [] if arrival.page == 2 else answer(arrival).body["data"]
        return Reply(body={"data": records})

    site.api.answer = empty
    code = site.sync().exit_code
    site.api.answer = answer
    return code


def is_down(site: ChangeSite) -> int:
    site.api.is_down = lambda _: True
    code = site.sync().exit_code
    site.api.is_down = lambda _: False
    return code


def is_implausible(site: ChangeSite) -> int:
    return site.sync(sync__plausible={"max_changed_share": 0.1}).exit_code


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (page_2_fails, ExitCode.PARTIAL),
        (page_2_is_empty, ExitCode.PARTIAL),
        (is_down, ExitCode.API),
        (is_implausible, ExitCode.HELD),
        (lambda site: site.sync(stop_after=1).exit_code, ExitCode.SIGTERM),
        (lambda site: site.sync(options={"dry_run": True}).exit_code, ExitCode.OK),
        (lambda site: site.sync(options={"max_pages": 1}).exit_code, ExitCode.PARTIAL),
        pytest.param(
            lambda site: site.sync("full", options={"max_pages": 1}).exit_code,
            ExitCode.PARTIAL,
            marks=pytest.mark.long,
        ),
        (lambda site: site.sync("full", stop_after=1).exit_code, ExitCode.SIGTERM),
    ],
    ids=[
        "failed page",
        "hole",
        "API",
        "held",
        "stopped",
        "dry",
        "sample",
        "full sample",
        "full stopped",
    ],
)
def test_a_run_that_may_not_have_read_all_moves_no_watermark(
    site: ChangeSite, run: Callable[[ChangeSite], int], expected: ExitCode
) -> None:
    before = site.watermark()
    site.pass_time(HOUR)
    site.api.change(*range(1, 9))
    assert run(site) == expected
    assert site.watermark() == before
    site.api.asked()
    site.pass_time(HOUR)
    report = site.sync(options={"fresh": True})
    assert report.exit_code is ExitCode.OK
    assert {minutes for _, minutes in site.api.asked()} == {"122"}
    assert site.prices() == site.api.prices()


def test_a_stopped_run_is_resumed_and_the_next_one_asks_for_all_of_it_again(
    site: ChangeSite,
) -> None:
    before = site.watermark()
    site.pass_time(HOUR)
    site.api.change(*range(1, 9), ago=timedelta(minutes=59))
    stopped = site.sync(stop_after=2)
    assert stopped.exit_code is ExitCode.SIGTERM
    site.api.asked()
    site.pass_time(HOUR)
    resumed = site.sync()
    assert (resumed.exit_code, resumed.run_id) == (ExitCode.OK, stopped.run_id)
    assert [page for page, _ in site.api.asked()] == [3, 4], "the third one, and none behind it"
    assert site.watermark() == before, "its pages are of different times"
    site.api.change(9)
    assert site.sync().exit_code is ExitCode.OK
    assert {minutes for _, minutes in site.api.asked()} == {"122"}
    assert site.prices() == site.api.prices()


def test_a_run_that_is_resumed_without_a_page_moves_no_watermark(site: ChangeSite) -> None:
    """Its tombstones may be staged already, and they are of another time."""
    before = site.watermark()
    site.api.change(1, 2)
    assert site.sync(stop_after=0).exit_code is ExitCode.SIGTERM
    assert site.sync().exit_code is ExitCode.OK
    assert (site.watermark(), site.prices()) == (before, site.api.prices())
    assert site.sync().exit_code is ExitCode.OK
    assert site.watermark() != before


def test_a_resumed_run_reaches_no_less_far_back(site: ChangeSite) -> None:
    """The API's clock had shown that a longer window was needed; the watermark alone is later."""
    site.pass_time(HOUR)
    site.api.change(*range(1, 9), ago=timedelta(minutes=30))
    assert site.sync(stop_after=1).exit_code is ExitCode.SIGTERM
    ask(site.conn, "UPDATE carsync.runs SET window_from = window_from - '3 hours'::interval")
    site.api.asked()
    assert site.sync().exit_code is ExitCode.OK
    assert {minutes for _, minutes in site.api.asked()} == {"242"}


@pytest.mark.parametrize("ahead", [HOUR, None], ids=["Date", "no Date"])
def test_a_window_that_moves_on_too_far_while_it_is_read_moves_no_watermark(
    site: ChangeSite, monkeypatch: pytest.MonkeyPatch, ahead: timedelta | None
) -> None:
    """The API tells of the last hour only: after a long pause its first half is listed no more."""
    before = site.watermark()
    site.pass_time(HOUR)
    site.api.ahead = None if ahead is None else timedelta()
    site.api.change(*range(1, 5), ago=timedelta(minutes=50))
    site.api.change(*range(5, 9))
    late = HOUR / 2

    def later() -> float:
        return time.monotonic() + late.total_seconds()

    def pause(page: int) -> bool:
        if page == 2:
            site.api.ahead = None if ahead is None else late
            monkeypatch.setattr("carsync.run.window.time", SimpleNamespace(monotonic=later))
            site.api.holds = lambda _: False
        return False

    site.api.holds = pause
    report = site.sync()
    assert report.exit_code is ExitCode.PARTIAL
    assert "was no longer listed at the end (api.window.overlap" in report.detail
    assert site.watermark() == before
    monkeypatch.undo()
    if ahead is None:
        site.pass_time(late)
    assert site.sync().exit_code is ExitCode.OK
    assert site.prices() == site.api.prices()


def test_a_database_at_another_address_is_the_same_database(site: ChangeSite) -> None:
    """The watermark is a line of its own."""
    site.api.change(2)
    ask(site.conn, "UPDATE carsync.runs SET fingerprints = fingerprints || %s", '{"table": "x"}')
    assert site.sync().exit_code is ExitCode.OK
    assert site.prices() == site.api.prices()


# ── beside full runs ─────────────────────────────────────────────────────────


def test_an_unfinished_full_run_survives_and_merges_nothing_older(site: ChangeSite) -> None:
    site.pass_time(HOUR)
    site.api.change(1, 2, price=5)
    full = site.sync("full", stop_after=2)  # it has read the new price 5
    assert full.exit_code is ExitCode.SIGTERM
    site.api.change(1, 2, price=1)  # what the table has, so that nothing is written
    delta = site.sync()
    assert delta.counts is not None
    assert (delta.exit_code, delta.counts.updated) == (ExitCode.OK, 0)
    resumed = site.sync("full")
    assert (resumed.run_id, resumed.exit_code) == (full.run_id, ExitCode.OK), resumed
    assert site.prices() == site.api.prices()
    assert ask(site.conn, "SELECT count(*) FROM carsync.superseded") == [(0,)]
    assert site.watermark() == delta.run_id, "it has asked last"


def test_a_car_that_a_later_run_saw_is_not_absent_for_the_older_one(site: ChangeSite) -> None:
    """It is where the older one had read already, as it was: nothing of it is written."""
    rash: dict[str, Any] = {"sync__deactivate__second_proof": "none"}
    sold = site.api.cars.pop(2)
    assert site.sync("full", stop_after=1, **rash).exit_code is ExitCode.SIGTERM
    site.api.change(2, price=sold.price)
    assert site.sync().exit_code is ExitCode.OK
    site.sync("full", **rash)
    assert site.prices() == site.api.prices()


def test_what_a_reverted_run_had_read_counts_no_more(site: ChangeSite) -> None:
    site.api.change(1, price=5, ago=LONG_AGO)
    assert site.sync("full", stop_after=2).exit_code is ExitCode.SIGTERM
    site.api.change(1, price=6)
    delta = site.sync()
    assert delta.run_id is not None
    with closing(connect(Secret(site.dsn), application_name="carsync test")) as conn:
        Revert(site.config(), conn, delta.run_id, ROW_ACTIONS).carry_out(
            skip_changed=False, stop=StopSignal()
        )
    assert site.prices()["1"] == 1
    site.sync("full")
    assert site.prices()["1"] == 5
    report = site.sync()
    assert "or it was reverted since" in report.problem, "a full run must bring it back"


def test_a_full_run_discards_an_unfinished_incremental_one(site: ChangeSite) -> None:
    site.api.change(*range(1, 9))
    stopped = site.sync(stop_after=1)
    assert stopped.exit_code is ExitCode.SIGTERM
    assert site.sync("full").exit_code is ExitCode.OK
    found = runs.find_run(site.conn, stopped.run_id or 0)
    assert found is not None
    assert found.state == "abandoned"


def test_held_cars_can_be_approved_after_an_incremental_run_that_lists_none_of_them(
    site: ChangeSite,
) -> None:
    cap: dict[str, Any] = {"sync__deactivate__max_share": 0.1}
    for i in (1, 2, 3):
        del site.api.cars[i]
    held = site.sync("full", **cap)
    assert held.exit_code is ExitCode.HELD
    assert held.run_id is not None
    site.api.change(2, 5)  # it is back
    assert site.sync(**cap).exit_code is ExitCode.OK
    key = (site.conn, TARGET, SOURCE, held.run_id, 1.0)
    shown = [car.id for car in approval.review(*key).to_approve]
    assert shown == ["1", "3"]
    approval.approve(*key, shown)
    assert site.prices() == site.api.prices()


def test_a_run_that_was_held_whole_can_be_approved_after_an_incremental_one(
    site: ChangeSite,
) -> None:
    site.api.change(*range(1, 11), price=5, ago=LONG_AGO)
    held = site.sync("full", sync__plausible={})
    assert (held.exit_code, held.counts) == (ExitCode.HELD, None)
    site.api.change(1, price=6)
    assert site.sync().exit_code is ExitCode.OK
    found = runs.find_run(site.conn, held.run_id or 0)
    assert found is not None
    assert found.state == "held"
    with closing(connect(Secret(site.dsn), application_name="carsync test")) as conn:
        target_lock.acquire(conn, TARGET)
        counts = held_run.approve(site.config(), conn, found)
    assert (counts.updated, counts.stale) == (9, 0)
    assert site.prices() == site.api.prices(), "car 1 is as the later run read it"


# ── windows without a change ─────────────────────────────────────────────────


@pytest.mark.parametrize(
    "shape",
    [
        shapes.drf_page,  # 404 past the end
        shapes.wordpress,  # 400 past the end
        pytest.param(shapes.drf_limit_offset, marks=pytest.mark.long),
        shapes.drf_cursor,
        shapes.laravel_resource_simple,  # says whether a page follows
        pytest.param(shapes.fastapi_cursor, marks=pytest.mark.long),
        shapes.github,  # a Link header
        shapes.json_server,  # all at once
        shapes.counted_from_zero,  # no total, nor any other end
    ],
)
def test_a_window_without_a_change_is_a_complete_run(
    shape: Shape, dsn: str, plain_conn: Connection, tmp_path: Path
) -> None:
    with ShapedApi(shape) as api:
        feed = ShapedFeed(shape)
        page = read_answer((first := feed.first()).body, first.headers)
        assert page is not None
        paging = find_paging(page, Api(base_url=ORIGIN), Told(), feed.ask, None).pagination
        site = ChangeSite(api, dsn, plain_conn, tmp_path)
        keys: dict[str, Any] = {"api__pagination": msgspec.to_builtins(paging)}
        keys["mapping__hash__fields"] = ["make"]
        keys["mapping__columns__price"] = {"path": "id", "type": "numeric"}
        api.total = 60
        assert site.sync("full", **keys).exit_code is ExitCode.OK
        api.total = 0
        api.arrivals.clear()
        report = site.sync(**keys)
        assert report.exit_code is ExitCode.OK, report
        assert site.watermark() == report.run_id
        assert len(api.arrivals) <= 2
        assert len(site.prices()) == 60


# ── what is judged ───────────────────────────────────────────────────────────


def test_one_bad_record_among_a_few_fails_no_run(site: ChangeSite) -> None:
    site.api.change(1, 2)
    site.api.change(3, make=None)
    report = site.sync()
    assert report.counts is not None
    assert (report.exit_code, report.counts.rejected) == (ExitCode.OK, 1)
    site.api.change(4)
    assert site.sync().exit_code is ExitCode.OK


def test_rejects_of_the_last_full_run_are_open_until_a_later_run_reads_their_cars(
    site: ChangeSite,
) -> None:
    site.api.change(1, 2, make=None)
    assert site.sync("full", sync__max_reject_share=0.5).exit_code is ExitCode.OK
    site.api.change(2)
    site.pass_time(-HOUR)
    assert site.sync().exit_code is ExitCode.OK
    query = "SELECT record_id FROM carsync.rejects WHERE settled_by IS NULL"
    assert ask(site.conn, query) == [("1",)]


def test_rejects_of_full_and_incremental_runs_are_replayed(site: ChangeSite) -> None:
    site.api.change(1, 2, ago=LONG_AGO, make=None)
    full = site.sync("full", sync__max_reject_share=0.5)
    site.pass_time(HOUR)
    site.api.change(2, 3, make=None)
    delta = site.sync()
    mended = site.config(mapping__columns__make={"path": "make", "default": "?"})
    with closing(connect(Secret(site.dsn), application_name="carsync test")) as conn:
        for run in (delta, full):
            work = Replay(mended, conn, None)
            outlook = work.look()
            assert outlook.run_id == run.run_id
            assert work.carry_out(outlook).replay_run_id is not None
    assert site.prices() == {str(car.id): car.price for car in site.api.cars.values()}


def test_an_api_that_lists_all_of_its_cars_is_told_of(site: ChangeSite) -> None:
    site.api.ignores_window = True
    site.api.change(3)
    report = site.sync()
    assert report.exit_code is ExitCode.OK
    assert any("it may not know the parameter minutes" in note for note in report.notes)
    assert site.prices() == site.api.prices()
