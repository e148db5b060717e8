"""Where a feed begins and ends is tried, not believed: one page more than it reports is asked for.

A total may count a page only, be capped, or be a page short. The page behind the last one
tells. A feed without totals may begin a page earlier than it is read.
"""

from __future__ import annotations

from collections.abc import Collection

from carsync import formatting
from carsync.deactivation import candidates
from carsync.errors import ConfigError
from carsync.run.context import RunContext
from carsync.run.probes import ProbeRunner


class FeedEnds:
    """Tries both ends of one run's feed."""

    def __init__(self, context: RunContext, probes: ProbeRunner) -> None:
        self._context = context
        self._plan = context.plan
        self._probes = probes
        self._begin_tried = False

    def are_proved(self) -> bool:
        """Ask for the page behind the end, and say whether the plan ends there.

        False: it lists records that no page listed, and the plan goes on. Raises `ConfigError`
        where the feed begins before its first page.
        """
        self._try_shrinking()
        page = self._plan.page_behind
        if page is not None:
            self._try_end(page)
        if not self._plan.is_exhausted:
            return False
        self._try_begin()
        return True

    def _try_shrinking(self) -> None:
        """Ask for the feed's length anew where its last pages failed: they may be gone by now."""
        if not self._plan.fails_at_end:
            return
        before, answer = self._plan.planned or 0, self._probes.look(self._plan.first)
        gone = self._plan.shrink(answer.info) if answer else []
        if not gone:
            return
        self._context.metrics.pages_gone(gone)
        self._context.note(
            f"the feed shrank from {formatting.plural(before, 'page')} to "
            f"{self._plan.planned or 0:,} while it was read: "
            f"{formatting.plural(len(gone), 'page')} behind its end could not be read"
        )

    def _try_end(self, page: int) -> None:
        """Ask for the page behind the last one, and let the plan know what it lists."""
        answer = self._probes.look(page)
        if answer is None:
            self._plan.end_unclear(page)
            self._plan.doubt(f"the API gave no clear answer for page {page:,}, behind the last")
            return
        if not answer.ids or not self._unseen(answer.ids):
            self._plan.end_seen(page)  # not there, or the last page once more
            return
        self._plan.observe(page, 0, answer.info)
        if self._plan.page_behind == page:  # the totals have not grown
            self._plan.disprove_totals(page)
            self._context.note(
                f"the feed goes on behind page {page - 1:,}, although it reports this page as the "
                "last one: carsync ignores its totals and reads on"
            )

    def _unseen(self, ids: Collection[str]) -> set[str]:
        context = self._context
        seen = candidates.find_seen(context.connection, context.run.run_id, list(ids))
        return set(ids).difference(seen)

    def _try_begin(self) -> None:
        """Ask for the page before the first one, where no total says that all was read."""
        first = self._plan.first
        is_exact = self._context.paginator.is_exact  # no records lie before the first offset
        if self._begin_tried or not first or is_exact or not self._plan.misses_records:
            return
        self._begin_tried = True
        before = self._ids(first - 1)
        if not before or self._unseen(before) != before or before & self._ids(first):
            return  # not there, or another name of the first page
        raise ConfigError(
            f"the feed begins before page {first}: page {first - 1} lists "
            f"{formatting.plural(len(before), 'record')} that no other page lists",
            hint=f"set api.pagination.first_page: {first - 1}",
        )

    def _ids(self, page: int) -> set[str]:
        answer = self._probes.look(page)
        return set() if answer is None else set(answer.ids)
