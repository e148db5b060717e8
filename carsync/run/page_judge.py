"""What a fetched page says of the feed as a whole: whether it can be read as it is configured."""

from __future__ import annotations

from collections import defaultdict
from functools import partial

from carsync import formatting
from carsync.config.lists import is_removal
from carsync.engine.messages import PageFailed, PageFetched
from carsync.errors import ConfigError, FailureKind, RejectBudgetError
from carsync.model import MIN_RECORDS_TO_JUDGE, RunMode, judged_records
from carsync.run.context import RunContext
from carsync.source.pagination.base import end_status_hint
from carsync.source.pagination.repeats import FirstPages, RepeatDetector


class PageJudge:
    """Ends a run early where more pages would not help."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._config = context.config
        self._plan = context.plan
        new_detector = partial(
            RepeatDetector, self._plan.first, self._config.api.pagination.page_size
        )
        self._repeats: defaultdict[int, RepeatDetector] = defaultdict(new_detector)  # by list
        self._starts = FirstPages()
        self._is_end_explained = False
        self._records = 0
        self._rejects = 0
        self._tombstones = 0  # that can be read
        self._unreadable_pages = 0

    def judge(self, event: PageFetched) -> None:
        """Look at a page that the plan has observed, of tombstones too.

        Raises `ConfigError` where a key is wrong, and `RejectBudgetError`.
        """
        self._judge_size(event)
        self._judge_repeats(event)
        if is_removal(event.page):
            self._judge_tombstones(event)
            return
        self._records += event.records
        self._rejects += event.rejects
        if self._records >= MIN_RECORDS_TO_JUDGE:
            judge_rejects(self._rejects, self._records, self._config.sync.max_reject_share)

    def forget(self, index: int) -> None:
        """Compare no page with those of a list that were read so far: it begins anew."""
        self._repeats.pop(index, None)

    def explain_end(self, event: PageFailed) -> None:
        """Tell once how an error behind the last page is made the feed's end."""
        kinds = {FailureKind.CLIENT, FailureKind.BAD_PAGE}
        keys = self._config.api.pagination
        is_named = not self._context.paginator.parallel  # by the page before: no error is the end
        has_key = keys.has_more is not None
        if event.kind not in kinds or self._is_end_explained or has_key or is_named:
            return
        self._is_end_explained = True
        self._context.note(
            f"{self._context.lists.of_page(event.page, event.problem)}; it is behind the last page "
            "with records: " + end_status_hint(keys, event.status)
        )

    def _judge_size(self, event: PageFetched) -> None:
        """Stop where records lie between pages, because the API serves smaller ones."""
        if (served := self._plan.of(event.page).clamped_to) is None:
            return
        asked = self._config.api.pagination.page_size
        raise ConfigError(
            f"the API serves pages of {formatting.plural(served, 'record')} instead of {asked:,}: "
            "those between two pages would not be read",
            hint=f"set api.pagination.page_size: {served}, or size_param to the name of the "
            "parameter for the page size",
        )

    def _judge_tombstones(self, event: PageFetched) -> None:
        """Stop where no tombstone of two pages can be read: the same page may come for ever."""
        self._tombstones += event.records - event.rejects
        self._unreadable_pages += 0 < event.records == event.rejects
        if self._unreadable_pages > 1 and not self._tombstones:
            raise ConfigError(
                "the tombstones of two pages cannot be read",
                hint="see `carsync rejects list`, and correct api.removals",
            )

    def _judge_repeats(self, event: PageFetched) -> None:
        """Stop at a page that lists the same records as another: it is no page of its own."""
        feed_list, page = self._context.lists.locate(event.page)
        of = self._plan.list_of(event.page)
        plan = of.plan
        if page == plan.first and not is_removal(event.page):
            self._judge_start(feed_list.index, event)
        repeats = self._repeats[feed_list.index]
        other = repeats.find(page, event.records, event.digest)
        if other is None:
            return
        earlier, later = sorted((page, other))  # answers come in any order
        words = f"page {later:,} lists the same records as page {earlier:,}"
        if repeats.like_the_first > plan.has_totals:
            hint = self._context.paginator.repeat_hint
            raise ConfigError(f"{words}: only one page can be read", hint=hint)
        if plan.end_at_repeat():
            self._context.note(of.named(f"{words}: the feed ends there"))

    def _judge_start(self, index: int, event: PageFetched) -> None:
        """Stop where lists begin with the same records: the API does not know their parameters."""
        other = self._starts.find(index, event.records, event.digest)
        if other is None:
            return
        names = self._context.lists.names
        params = ", ".join(self._config.api.lists)
        raise ConfigError(
            f"the lists {names[other]} and {names[index]} begin with the same records: the API "
            "may not know the parameter",
            hint=f"check that api.lists names what the API calls it ({params})",
        )


def judge_rejects(rejects: int, records: int, max_share: float, mode: RunMode = "full") -> None:
    """Raise `RejectBudgetError` when more than `max_share` of the records cannot be mapped."""
    if rejects > max_share * judged_records(records, mode):
        share, most = formatting.shares(rejects / records, max_share)
        raise RejectBudgetError(
            f"{formatting.part(rejects, records, 'record')} cannot be mapped ({share}), more than "
            f"sync.max_reject_share ({most}); nothing was merged",
            hint="see the reasons with `carsync rejects list`, correct the mapping or raise "
            "sync.max_reject_share, then run again: it reads the whole feed again",
        )
