"""Where a feed begins and ends is tried, not believed: one page more than it reports is asked for.

A total may count a page only, be capped, or be a page short. The page behind the last one
tells. A feed without totals may begin a page earlier than it is read. Each list of a feed has an
end of its own.
"""

from __future__ import annotations

from collections.abc import Collection

from carsync import formatting
from carsync.deactivation import candidates
from carsync.engine.messages import ProbeAnswered
from carsync.errors import ConfigError
from carsync.run.context import RunContext
from carsync.run.probes import ProbeRunner
from carsync.source.pagination.feed_plan import ListPlan


class FeedEnds:
    """Tries both ends of one run's feed."""

    def __init__(self, context: RunContext, probes: ProbeRunner) -> None:
        self._context = context
        self._probes = probes
        self._begin_tried = False
        self._known: dict[int, ProbeAnswered | None] = {}  # pages of several lists, asked at once

    def are_proved(self) -> bool:
        """Ask for the page behind the end of each list, and say whether the plans end there.

        False: it lists records that no page listed, and the plan goes on. Raises `ConfigError`
        where the feed begins before its first page.
        """
        plan = self._context.plan
        behind = [
            of.feed_list.number(page)
            for of in plan.begun
            if not of.plan.is_unreadable
            and not of.plan.fails_at_end
            and (page := of.plan.page_behind) is not None
        ]
        self._known = self._probes.look_at(behind) if len(behind) > 1 else {}
        unproved = [of for of in plan.begun if not self._is_proved(of)]
        if unproved:
            plan.look_again()
        return not unproved

    def _is_proved(self, of: ListPlan) -> bool:
        plan = of.plan
        if plan.is_unreadable:
            return True
        self._try_shrinking(of)
        page = plan.page_behind
        if page is not None:
            self._try_end(of, page)
        if not plan.is_exhausted:
            return False
        self._try_begin(of)
        return True

    def _try_shrinking(self, of: ListPlan) -> None:
        """Ask for the feed's length anew where its last pages failed: they may be gone by now."""
        plan = of.plan
        if not plan.fails_at_end:
            return
        before, answer = plan.planned or 0, self._look(of, plan.first)
        gone = plan.shrink(answer.info) if answer else []
        if not gone:
            return
        self._context.metrics.pages_gone(map(of.feed_list.number, gone))
        self._context.note(
            of.named(
                f"the feed shrank from {formatting.plural(before, 'page')} to "
                f"{plan.planned or 0:,} while it was read: "
                f"{formatting.plural(len(gone), 'page')} behind its end could not be read"
            )
        )

    def _try_end(self, of: ListPlan, page: int) -> None:
        """Ask for the page behind the last one, and let the plan know what it lists."""
        plan, answer = of.plan, self._look(of, page)
        if answer is None:
            plan.end_unclear(page)
            plan.doubt(f"the API gave no clear answer for page {page:,}, behind the last")
            return
        if not answer.ids or not self._unseen(of, answer.ids):
            plan.end_seen(page)  # not there, or the last page once more
            return
        plan.observe(page, 0, answer.info)
        if plan.page_behind == page:  # the totals have not grown
            plan.disprove_totals(page)
            self._context.note(
                of.named(
                    f"the feed goes on behind page {page - 1:,}, although it reports this page as "
                    "the last one: carsync ignores its totals and reads on"
                )
            )

    def _unseen(self, of: ListPlan, ids: Collection[str]) -> set[str]:
        context = self._context
        pages = of.feed_list.numbers
        seen = candidates.find_seen(context.connection, context.run.run_id, list(ids), pages)
        return set(ids).difference(seen)

    def _try_begin(self, of: ListPlan) -> None:
        """Ask for the page before the first one, where no total says that all was read.

        One list of a feed tells it of all.
        """
        first = of.plan.first
        is_exact = self._context.paginator.is_exact  # no records lie before the first offset
        if self._begin_tried or not first or is_exact or not of.plan.misses_records:
            return
        self._begin_tried = True
        before = self._ids(of, first - 1)
        if not before or self._unseen(of, before) != before or before & self._ids(of, first):
            return  # not there, or another name of the first page
        raise ConfigError(
            f"the feed begins before page {first}: page {first - 1} lists "
            f"{formatting.plural(len(before), 'record')} that no other page lists",
            hint=f"set api.pagination.first_page: {first - 1}",
        )

    def _ids(self, of: ListPlan, page: int) -> set[str]:
        answer = self._look(of, page)
        return set() if answer is None else set(answer.ids)

    def _look(self, of: ListPlan, page: int) -> ProbeAnswered | None:
        number = of.feed_list.number(page)
        return self._known.pop(number) if number in self._known else self._probes.look(number)
