"""What a run knows of the cars that it did not see: of the whole feed, or list by list."""

from __future__ import annotations

from msgspec.structs import replace

from carsync import formatting
from carsync.deactivation import candidates
from carsync.deactivation.by_list import ListEvidence, decide_by_lists, judge_lists
from carsync.deactivation.cars_by_list import CarsByList
from carsync.deactivation.policy import (
    ByIdAnswers,
    DeactivationPlan,
    Evidence,
    decide,
    decide_by_answers,
)
from carsync.decision import Decision, ListRank, ListRanks
from carsync.run.context import RunContext
from carsync.source.pagination import doubts
from carsync.source.pagination.feed_plan import ListPlan
from carsync.state import runs


class WholeFeed:
    """The candidates of a feed that is read as one."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        plan = candidates.plan_deactivation(
            context.connection,
            context.run,
            context.forecast,
            by_tombstones=context.is_all_sure,
        )
        context.counted = plan.counted
        (of,) = context.plan.begun
        _tell_repeats(context, of, plan)
        is_as_long = _lengths_before(context).get("") == of.plan.planned
        self._evidence = _gather(context, of, plan, is_as_long, is_next_proved=False)

    def decide(self, answers: ByIdAnswers | None) -> Decision:
        """Decide, with what the API said by id."""
        rules = self._context.config.sync.deactivate
        return decide(replace(self._evidence, answers=answers), rules)

    def list_ids(self, limit: int) -> list[str]:
        """Return the ids of at most `limit` candidates."""
        context = self._context
        by_tombstones = context.is_all_sure
        return candidates.list_candidates(
            context.connection, context.run, limit, by_tombstones=by_tombstones
        )


class ByLists:
    """The candidates of a feed that is read list by list."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._cars = CarsByList(
            context.connection,
            context.run,
            context.lists.names,
            by_tombstones=context.is_all_sure,
        )
        before = _lengths_before(context)
        self._lists = []
        is_next_proved = any(of.plan.names_next for of in context.plan.begun)
        for of in context.plan.begun:
            name, plan = of.feed_list.name, self._cars.plan(of.feed_list.index)
            _tell_repeats(context, of, plan)
            is_as_long = before.get(name) == of.plan.planned
            evidence = _gather(context, of, plan, is_as_long, is_next_proved)
            self._lists.append(ListEvidence(name, evidence))
        if removed := self._cars.removed:
            context.note(
                f"{formatting.plural(removed, 'active car', 'was', 'were')} on a list that is not "
                "in api.lists any more: carsync holds those that no other list has"
            )
        self._candidates: dict[int, int] = {}
        self._ranks: ListRanks | None = None

    def decide(self, answers: ByIdAnswers | None) -> Decision:
        """Decide, with what the API said by id."""
        rules = self._context.config.sync.deactivate
        if not rules.enabled:
            return decide(self._lists[0].evidence, rules)
        by_id = answers is not None and answers.verification.has_path
        verdicts = judge_lists(self._lists, rules, by_id=by_id, cars_move=self._cars.move)
        self._ranks = verdicts.ranks
        self._candidates = self._cars.count_by_rank(self._ranks)
        counts, gone = (self._candidates, self._cars.active), self._cars.gone
        decision = decide_by_lists(verdicts, *counts, rules, gone)
        if answers is None:
            return decision
        return decide_by_answers(decision, self._open_candidates, answers)

    def list_ids(self, limit: int) -> list[str]:
        """Return the ids of at most `limit` candidates."""
        assert self._ranks is not None
        return self._cars.list_ids(self._ranks, limit) if self._open_candidates else []

    @property
    def _open_candidates(self) -> int:
        return sum(n for rank, n in self._candidates.items() if rank < ListRank.UNREAD)


def _tell_repeats(context: RunContext, of: ListPlan, plan: DeactivationPlan) -> None:
    if plan.duplicates >= plan.seen > 0:
        words = of.named(
            f"{formatting.plural(plan.duplicates, 'record', 'was', 'were')} listed more than once, "
            f"and only {plan.seen:,} differ from each other"
        )
        context.note(f"{words}: {context.paginator.repeat_hint}")


def _gather(
    context: RunContext,
    of: ListPlan,
    plan: DeactivationPlan,
    is_as_long: bool,
    is_next_proved: bool,
) -> Evidence:
    """Gather what is known of a list.

    `is_as_long`: it has as many pages as in the run before. `is_next_proved`: a list of the
    feed names its next pages.
    """
    pages = of.plan
    signs = pages.drift
    if context.resumed_pages:
        signs += ("the run was resumed: its pages were read at different times",)
    cut = doubts.gaps(pages)
    if pages.has_totals or is_as_long:
        cut = cut or doubts.cut(pages)
    return Evidence(
        plan,
        pages.reported_records,
        signs,
        len(pages.failed),
        pages.is_truncated,
        cut,
        doubts.holes(pages),
        doubts.open_end(pages, is_next_proved=is_next_proved),
    )


def _lengths_before(context: RunContext) -> dict[str, int]:
    """Return how many pages each list had in the last run of the whole feed that was merged."""
    before = runs.last_full(context.connection, context.target, context.source)
    summary = (before.summary or {}) if before else {}
    if not context.lists.names:
        planned = summary.get("snapshot", {}).get("pages_planned")
        return {} if planned is None else {"": planned}
    return {known["name"]: known["pages"] for known in summary.get("lists", ())}
