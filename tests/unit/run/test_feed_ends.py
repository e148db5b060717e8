"""Where the feed begins and ends: what a look at one page more makes of the plan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from carsync.deactivation import candidates
from carsync.engine.messages import ProbeAnswered
from carsync.errors import ConfigError
from carsync.model import PageInfo, ProbeVerdict
from carsync.run.feed_ends import FeedEnds
from carsync.source.pagination.doubts import open_end
from tests.support.fake_clock import FakeClock
from tests.support.fake_engine import QuietContext

SEEN = {"1", "2", "3"}


class Looks:
    """Answers a look by what the test says a page lists; None: no usable answer."""

    def __init__(self, pages: dict[int, Any], info: PageInfo | None = None) -> None:
        self.pages = pages
        self.info = info or PageInfo()
        self.asked: list[int] = []

    def look(self, page: int) -> ProbeAnswered | None:
        """Answer."""
        self.asked.append(page)
        ids = self.pages.get(page, ())
        if ids is None:
            return None
        verdict = ProbeVerdict.ALIVE if ids else ProbeVerdict.GONE
        return ProbeAnswered(None, 1, verdict, 0.1, ids=tuple(ids), info=self.info)

    def look_at(self, pages: Sequence[int]) -> dict[int, ProbeAnswered | None]:
        """Answer for each page."""
        return {page: self.look(page) for page in pages}


class Run(QuietContext):
    """A run whose pages 1 and 2 are read, with these totals."""

    def __init__(self, info: PageInfo) -> None:
        super().__init__(FakeClock())
        self.plan.mark_staged(1, 100, info)
        self.plan.mark_staged(2, 50, info)
        if info == PageInfo():
            for page in range(3, 13):
                self.plan.mark_staged(page, 0, info)
        self._run: Any = type("Run", (), {"run_id": 1})
        self._connection: Any = object()


@pytest.fixture(autouse=True)
def seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_seen(conn: object, run_id: int, ids: Iterable[str], pages: range) -> set[str]:
        return SEEN & set(ids)

    monkeypatch.setattr(candidates, "find_seen", find_seen)


@pytest.mark.parametrize("behind", [(), ("2", "3")])
def test_a_page_behind_that_is_empty_or_repeats_what_was_read_proves_the_end(behind: Any) -> None:
    run, looks = Run(PageInfo(2, 150)), Looks({3: behind})
    ends = FeedEnds(run, looks)  # type: ignore[arg-type]
    assert ends.are_proved()
    assert ends.are_proved()
    assert looks.asked == [3]
    assert run.plan.of(1).drift == ()


def test_new_records_behind_the_end_disprove_the_totals() -> None:
    run, looks = Run(PageInfo(2, 150)), Looks({3: ("4",)}, PageInfo(2, 150))
    assert not FeedEnds(run, looks).are_proved()  # type: ignore[arg-type]
    assert run.plan.next_page() == 3
    assert "ignores its totals" in run.notes[0]


def test_a_feed_that_grew_meanwhile_is_believed_and_read_on() -> None:
    run, looks = Run(PageInfo(2, 200)), Looks({3: ("4",)}, PageInfo(3, 201))
    assert not FeedEnds(run, looks).are_proved()  # type: ignore[arg-type]
    assert run.plan.next_page() == 3
    assert run.plan.of(1).has_totals
    assert run.notes == []


def test_no_clear_answer_leaves_a_doubt() -> None:
    run, looks = Run(PageInfo(2, 150)), Looks({3: None})
    assert FeedEnds(run, looks).are_proved()  # type: ignore[arg-type]
    assert "no clear answer for page 3" in run.plan.of(1).drift[0]
    assert not open_end(run.plan.of(1)), "the total is met, and the last page is not full"


@pytest.mark.parametrize("info", [PageInfo(2, 0), PageInfo(2, 151)])
def test_no_clear_answer_leaves_the_end_open_where_the_total_is_not_met(info: PageInfo) -> None:
    run, looks = Run(info), Looks({3: None})
    assert FeedEnds(run, looks).are_proved()  # type: ignore[arg-type]
    assert "page 3 may hold more records" in open_end(run.plan.of(1))


def _failing(run: Run, *pages: int) -> Run:
    while run.plan.next_page():
        pass
    for page in pages:
        run.plan.fail(page, "HTTP 404")
    return run


def test_failed_pages_behind_the_end_that_the_feed_reports_by_now_are_left_out() -> None:
    run, looks = _failing(Run(PageInfo(4, 350)), 3, 4), Looks({1: ["1"]}, PageInfo(2, 150))
    ends: Any = FeedEnds(run, looks)  # type: ignore[arg-type]
    assert ends.are_proved()
    assert looks.asked == [1, 3], "the end that is reported now is tried, too"
    assert (run.plan.planned, run.plan.failed, open_end(run.plan.of(1))) == (2, {}, "")
    assert "shrank from 4 pages to 2" in run.notes[0]


@pytest.mark.parametrize("now", [PageInfo(4, 350), PageInfo(1, 80), PageInfo()])
def test_a_total_that_did_not_fall_or_fell_by_half_explains_no_failure(now: PageInfo) -> None:
    run, looks = _failing(Run(PageInfo(4, 350)), 3, 4), Looks({1: ["1"]}, now)
    ends: Any = FeedEnds(run, looks)  # type: ignore[arg-type]
    ends.are_proved()
    assert sorted(run.plan.failed) == [3, 4]


def test_a_failed_page_that_lists_records_again_is_read_again() -> None:
    run, looks = _failing(Run(PageInfo(3, 250)), 3), Looks({1: ["1"], 3: ["7"]}, PageInfo(2, 150))
    ends: Any = FeedEnds(run, looks)  # type: ignore[arg-type]
    assert not ends.are_proved()
    assert run.plan.next_page() == 3


@pytest.mark.parametrize("info", [PageInfo(), PageInfo(2, 151)])
def test_records_before_the_first_page_end_the_run(info: PageInfo) -> None:
    looks = Looks({0: ("7", "8"), 1: ("1", "2")})
    with pytest.raises(ConfigError) as caught:
        FeedEnds(Run(info), looks).are_proved()  # type: ignore[arg-type]
    assert caught.value.hint == "set api.pagination.first_page: 0"


@pytest.mark.parametrize(
    "pages",
    [
        {0: ()},
        {0: None},
        {0: ("1", "2")},  # another name of page 1
        {0: ("9", "1")},  # the same, after a car was added
        {0: ("9",), 1: ("9", "1")},  # the same, with a page of one record
    ],
)
def test_a_page_before_the_first_may_be_absent_or_another_name_of_it(pages: Any) -> None:
    assert FeedEnds(Run(PageInfo()), Looks(pages)).are_proved()  # type: ignore[arg-type]


def test_a_feed_whose_total_is_met_is_not_asked_for_more_than_one_page() -> None:
    looks = Looks({})
    FeedEnds(Run(PageInfo(2, 150)), looks).are_proved()  # type: ignore[arg-type]
    assert looks.asked == [3]
