"""Deciding over absent cars with by-id answers that a test gives: who may go, who waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from carsync.config.sections import Config, Deactivate, Sync
from carsync.destination import merge
from carsync.model import MergeCounts, PageInfo, ProbeVerdict
from carsync.postgres.wait import Connection
from carsync.run.deactivate import decide_and_prove
from carsync.source.pagination.feed_plan import ListPlan
from carsync.source.pagination.lists import FeedLists
from tests.conftest import ask
from tests.support.mappers import PRESET
from tests.support.merge_rig import TARGET, Rig, cars, page
from tests.support.plans import plan_of

ALIVE, GONE, NOTHING = ProbeVerdict.ALIVE, ProbeVerdict.GONE, ProbeVerdict.NOTHING


@pytest.fixture
def rig(conn: Connection) -> Rig:
    """A table with the cars 0 to 9."""
    rig = Rig(conn)
    rig.sync(cars(range(10)))
    return rig


def context_of(rig: Rig, config: Config, reported_records: int, *signs: str) -> Any:
    """Give what a decision wants to know of a run that read one page of so many records."""
    lists, pages = FeedLists(config.api), plan_of()
    pages.mark_staged(1, reported_records, PageInfo(1, reported_records))
    for sign in signs:
        pages.doubt(sign)
    return SimpleNamespace(
        config=config,
        connection=rig.conn,
        run=rig.run,
        target=TARGET,
        source=config.sync.source,
        plan=SimpleNamespace(begun=[ListPlan(lists.all[0], pages)]),
        forecast=None,
        lists=lists,
        paginator=lists.paginator,
        resumed_pages=0,
        requests=SimpleNamespace(left=lambda: None),
        is_all_sure=True,
        said_by_id={},
        mapper=PRESET,
        addresses={},
        rows_by_id={},
        note=print,
    )


def run(
    rig: Rig,
    control: ProbeVerdict,
    verdict: ProbeVerdict | dict[str, ProbeVerdict],
    *,
    signs: tuple[str, ...] = (),
    listed: ProbeVerdict = ALIVE,
    resumed_pages: int = 0,
    before_merge: Callable[[], None] = lambda: None,
    left: int | None = None,
    **rules: Any,
) -> MergeCounts:
    """Sync a feed that lists the cars 0 to 6; by id, they get `control`, the others `verdict`.

    `listed` says whether the pages of the former still list them; `left` are the requests that
    `limits.budget` leaves.
    """
    defaults = Deactivate(max_share=1.0, min_seen_share=0.5)
    config = Config(sync=Sync(deactivate=msgspec.structs.replace(defaults, **rules)))
    rig.begin()
    rig.stage(page(1, cars(range(7))))

    def probe(ids: Sequence[str], pages: Mapping[str, int]) -> dict[str, ProbeVerdict]:
        if pages:
            return dict.fromkeys(ids, listed)
        known = verdict if isinstance(verdict, dict) else dict.fromkeys("789", verdict)
        return {i: control if i in set("0123456") else known.get(i, GONE) for i in ids}

    context = context_of(rig, config, 7, *signs)
    context.resumed_pages = resumed_pages
    context.requests.left = lambda: left
    decision = decide_and_prove(context, probe)
    before_merge()
    return merge.merge(rig.conn, replace(rig.request(1), decision=decision))


def active(rig: Rig) -> str:
    return "".join(sorted(rig.active()))


def test_cars_beyond_max_probes_wait_for_the_next_run_and_are_asked_first(rig: Rig) -> None:
    counts = run(rig, ALIVE, GONE, max_probes=2)
    assert (counts.deactivated, counts.held) == (2, 1)
    counts = run(rig, ALIVE, GONE, max_probes=2)
    assert (counts.deactivated, counts.held) == (1, 0)
    assert active(rig) == "0123456"


@pytest.mark.parametrize(("left", "asked"), [(23, 2), (22, 1), (5, 0), (0, 0)])
def test_cars_beyond_the_budget_wait_and_are_never_judged_by_absence(
    rig: Rig, left: int, asked: int
) -> None:
    for _ in range(2):  # even where they are absent twice
        counts = run(rig, ALIVE, NOTHING, signs=("a sign",), left=left)
        assert (counts.deactivated, counts.held) == (0, 3)
    rig.begin()
    counts = run(rig, ALIVE, GONE, signs=("a sign",), left=left)
    assert (counts.deactivated, counts.held) == (asked, 3 - asked)


def test_controls_that_all_left_their_pages_are_no_sign_of_an_api_without_by_id(
    rig: Rig,
) -> None:
    counts = run(rig, GONE, {"7": ALIVE, "8": GONE, "9": NOTHING}, listed=GONE)
    assert (counts.deactivated, counts.held) == (0, 3)


def test_where_no_car_is_absent_a_held_run_says_nothing_of_requests_by_id(rig: Rig) -> None:
    rig.begin()
    rig.stage(page(1, cars(range(10))))
    rules = Deactivate(min_seen_share=0.5)
    context = context_of(rig, Config(sync=Sync(deactivate=rules)), 100)
    decision = decide_and_prove(context, lambda ids, pages: {})
    assert decision.action == "hold"
    (reason,) = decision.reasons
    assert "less than sync.deactivate.min_seen_share" in reason


@pytest.mark.parametrize(("control", "verdict"), [(ALIVE, NOTHING), (NOTHING, NOTHING)])
def test_what_got_no_clear_answer_never_goes_by_missing_two_runs(
    rig: Rig, control: ProbeVerdict, verdict: ProbeVerdict
) -> None:
    for _ in range(3):
        counts = run(rig, control, verdict, signs=("a sign",))
        assert (counts.deactivated, counts.held) == (0, 3)


def test_api_without_by_id_needs_two_runs_where_there_are_signs(rig: Rig) -> None:
    counts = run(rig, GONE, GONE, signs=("a sign",))
    assert (counts.deactivated, counts.held) == (0, 3)
    counts = run(rig, GONE, GONE, signs=("a sign",))
    assert (counts.deactivated, counts.held) == (3, 0)


def test_a_resumed_run_is_a_sign_of_drift_by_itself(rig: Rig) -> None:
    """Its pages were read hours apart: as many cars may have come as gone, and slipped."""
    counts = run(rig, GONE, GONE, resumed_pages=1)
    assert (counts.deactivated, counts.held) == (0, 3)
    counts = run(rig, GONE, GONE, resumed_pages=1)
    assert (counts.deactivated, counts.held) == (3, 0)


def test_api_without_by_id_leaves_it_at_the_signs(rig: Rig) -> None:
    assert run(rig, GONE, GONE).deactivated == 3


def test_car_with_a_time_in_the_future_is_asked_for_like_any_other(rig: Rig) -> None:
    ask(rig.conn, "UPDATE cars SET updated_at = now() + '9 hours'::interval WHERE id = '8'")
    run(rig, ALIVE, {"7": GONE, "8": ALIVE, "9": GONE})
    assert active(rig) == "01234568"
    run(rig, ALIVE, GONE)
    assert active(rig) == "0123456"


def test_a_feed_whose_every_page_is_the_first_one_names_the_page_parameter(rig: Rig) -> None:
    notes: list[str] = []
    for pages in (1, 2):
        rig.begin()
        for number in range(1, pages + 1):
            rig.stage(page(number, cars(range(7))))
        context = context_of(rig, Config(), 30)
        context.note = notes.append
        decide_and_prove(context, lambda ids, pages: {})
        assert len(notes) == pages - 1
    assert "api.pagination.page_param (page) is what" in notes[0]


def test_the_cap_holds_for_cars_that_came_after_the_decision(rig: Rig) -> None:
    """Without a time, they look as if the feed should have listed them."""

    def insert() -> None:
        ask(
            rig.conn,
            "INSERT INTO cars (id, is_active, source_api)"
            " SELECT 100 + n, true, 'external' FROM generate_series(1, 2) AS n",
        )

    counts = run(rig, ALIVE, GONE, max_share=0.4, before_merge=insert)
    assert (counts.deactivated, counts.held) == (0, 5)
    assert run(rig, ALIVE, GONE, max_share=0.5).deactivated == 5
