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

    def are_proved(self) -> bool:
        """Ask for the page behind the end of each list, and say whether the plans end there.

        False: it lists records that no page listed, and the plan goes on. Raises `ConfigError`
        where the feed begins before its first page.
        """
        plan = self._context.plan
        lists = [of for of in plan.begun if not of.plan.is_unreadable]
        for of in lists:
            self._try_shrinking(of)
        behind = {
            of.feed_list.number(page): (of, page)
            for of in lists
            if (page := of.plan.page_behind) is not None
        }
        for number, answer in self._probes.look_at(list(behind)).items():
            self._try_end(*behind[number], answer)
        proved = [of for of in lists if of.plan.is_exhausted]
        for of in proved:
            self._try_begin(of)
        if len(proved) < len(lists):
            plan.look_again()
        return len(proved) == len(lists)

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

    def _try_end(self, of: ListPlan, page: int, answer: ProbeAnswered | None) -> None:
        """Let the plan know what the page behind the last one lists."""
        plan = of.plan
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
        is_part = self._context.mode != "full"  # whatever lies before it is none of the changes
        is_needless = self._begin_tried or is_part or not first or is_exact
        if is_needless or not of.plan.misses_records:
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
        return self._probes.look(of.feed_list.number(page))
