"""What fetched pages say of the feed as a whole."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from carsync.config.api_sections import Api, Pagination
from carsync.config.sections import Config
from carsync.engine.messages import PageFailed, PageFetched
from carsync.errors import ConfigError, FailureKind, RejectBudgetError
from carsync.model import MIN_RECORDS_TO_JUDGE, PageInfo
from carsync.run.page_judge import PageJudge
from carsync.source.pagination.feed_plan import FeedPlan


class Run:
    """A run whose pages a test fetches."""

    def __init__(self, **api: Any) -> None:
        config = Config(api=Api(**api))
        self.notes: list[str] = []
        self.plan = FeedPlan(config.api)
        lists = self.plan.lists
        told = {"config": config, "plan": self.plan, "lists": lists, "note": self.notes.append}
        context: Any = SimpleNamespace(**told, paginator=lists.paginator)
        self.judge = PageJudge(context)

    def fetch(self, page: int, digest: int, records: int = 100, rejects: int = 0) -> None:
        info = PageInfo()
        self.plan.observe(page, records, info)
        self.judge.judge(PageFetched(page, records, rejects, 0.1, 1, 1, info, digest=digest))


def test_a_feed_whose_pages_are_all_the_first_one_names_the_page_parameter() -> None:
    run = Run()
    run.fetch(1, 11)
    with pytest.raises(ConfigError, match="page 1: only one page can be read") as caught:
        run.fetch(2, 11)
    assert "api.pagination.page_param" in caught.value.hint


@pytest.mark.parametrize("order", [(1, 2, 3, 4), (1, 3, 2, 4)])
def test_the_last_page_again_is_the_end_and_is_told_once(order: tuple[int, ...]) -> None:
    run = Run()
    for page in order:
        run.fetch(page, 11 if page == 1 else 12)
    assert run.notes == ["page 3 lists the same records as page 2: the feed ends there"]


def test_a_list_that_begins_anew_may_list_its_records_again() -> None:
    run = Run()
    run.fetch(1, 11)
    run.judge.forget(0)
    run.plan.restart(1)
    run.fetch(2, 11)
    assert run.notes == []


def test_lists_that_begin_alike_name_the_parameter() -> None:
    run = Run(lists={"make": ["BMW", "Opel"]})
    run.fetch(1, 11)
    with pytest.raises(ConfigError, match="make=BMW and make=Opel begin with the same records"):
        run.fetch(1_000_001, 11)


def test_pages_that_are_smaller_than_the_steps_between_them_name_the_size() -> None:
    run = Run(pagination=Pagination(type="offset", page_size=100))
    run.fetch(1, 11, records=50)
    with pytest.raises(ConfigError, match="pages of 50 records instead of 100"):
        run.fetch(2, 12, records=50)


def test_too_many_rejects_end_the_run_once_enough_was_seen() -> None:
    run = Run(pagination=Pagination(page_size=100))
    before = MIN_RECORDS_TO_JUDGE // 100 - 1
    for page in range(1, before + 1):
        run.fetch(page, page, rejects=100)
    with pytest.raises(RejectBudgetError, match=r"sync\.max_reject_share"):
        run.fetch(before + 1, before + 1, rejects=100)


def test_an_error_behind_the_last_page_is_explained_once() -> None:
    run = Run()
    for page in (7, 8):
        failed = PageFailed(page, 1, FailureKind.CLIENT, "HTTP 400", "", 400, None, 0.1)
        run.judge.explain_end(failed)
    assert len(run.notes) == 1
    assert "end_status: [404, 400]" in run.notes[0]
