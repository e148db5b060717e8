"""How many cars `next_run` and `none` deactivate falsely while the feed drifts.

    python -m tests.benchmarks.drift_risk [--nights 60] [--seed 1]

A simulation without processes and database, of 200,000 cars on 2,000 pages. A night's run
asks for 20 pages a second, 16 at once, so that an answer is made 0.1 to 0.8 s after its
request and pages are answered out of order. While it reads, a share of the feed changes
every minute: as many cars come as go, each at a moment of its own. Cars go anywhere; they
come anywhere, at the top (newest first) or at the end (in order of ids). Between two
nights 2 % of the feed are exchanged in the same manner.

The rule is the real one as far as it is pure: `PagePlan` plans the pages and watches for
signs of drift, `check_page` refuses a page, `policy.decide` decides. What the merge does
with a decision in SQL is done here in sets: with `next_run` a car goes that an earlier
complete run missed too and no run has seen since; with `none` each car that was missed;
a car that is seen comes back. A car is falsely gone if the feed listed it all through
the run that deactivated it.
"""

from __future__ import annotations

import argparse
import heapq
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Literal

from carsync.config.api_sections import Api, Pagination
from carsync.config.sections import Deactivate
from carsync.deactivation.policy import DeactivationPlan, Evidence, decide
from carsync.model import PageInfo
from carsync.source.pagination.page_number import PageNumberPaginator
from carsync.source.pagination.plan import PagePlan
from tests.support.plans import plan_of

CARS = 200_000
PAGE_SIZE = 100
PAGES_PER_S = 20.0
LATENCY_S = (0.1, 0.8)
SETTINGS = ((0.01, 0.995), (0.01, 0.95), (0.001, 0.995))
"""Pairs: the share of the feed that changes in a minute, and `min_seen_share`."""
BETWEEN_NIGHTS = 0.02
PAGINATION = Pagination(page_size=PAGE_SIZE)
PAGINATOR = PageNumberPaginator(Api(pagination=PAGINATION))

Order = Literal["anywhere", "at the top", "at the end"]
Rule = Literal["next_run", "none"]
ORDERS: tuple[Order, ...] = ("anywhere", "at the top", "at the end")
RULES: tuple[Rule, ...] = ("next_run", "none")


class Feed:
    """An ordered list of cars; a car that went never comes back."""

    def __init__(self, order: Order, chance: random.Random) -> None:
        self.cars = list(range(CARS))
        self._born = CARS
        self._order = order
        self._chance = chance

    def come(self) -> None:
        """List a new car."""
        size = len(self.cars)
        places = {"anywhere": self._chance.randint(0, size), "at the top": 0, "at the end": size}
        self.cars.insert(places[self._order], self._born)
        self._born += 1

    def go(self) -> None:
        """Take a car off, any."""
        del self.cars[self._chance.randrange(len(self.cars))]

    def exchange(self, share: float) -> None:
        """Let a share of the cars go and as many come."""
        for _ in range(round(share * len(self.cars))):
            self.go()
            self.come()


@dataclass
class Night:
    """What one run saw."""

    seen: set[int] = field(default_factory=set)
    always: set[int] = field(default_factory=set)
    """Cars listed from the first request to the last answer."""
    records: int = 0
    plan: PagePlan = field(default_factory=lambda: plan_of(PAGINATION))


def read(feed: Feed, per_minute: float, chance: random.Random) -> Night:
    """Read the whole feed while that share of it changes in a minute."""
    night = Night(always=set(feed.cars))
    changes = drift(per_minute, chance)
    next_change_s, is_arrival = next(changes)
    asked: list[tuple[float, int]] = []  # when an answer is made, its page
    now_s = 0.0
    while True:
        page = night.plan.next_page()
        if page is not None:
            now_s += 1 / PAGES_PER_S
            heapq.heappush(asked, (now_s + chance.uniform(*LATENCY_S), page))
        while asked and (page is None or asked[0][0] <= now_s):
            answered_s, answered = heapq.heappop(asked)
            while next_change_s <= answered_s:
                feed.come() if is_arrival else feed.go()
                next_change_s, is_arrival = next(changes)
            _answer(night, feed, answered)
            if page is None:
                now_s = max(now_s, answered_s)
                break
        if page is None and not asked and night.plan.is_exhausted:
            night.always &= set(feed.cars)
            return night


def drift(per_minute: float, chance: random.Random) -> Iterator[tuple[float, bool]]:
    """Give the moments of the changes, half arrivals and half departures in every minute."""
    for minute in range(1_000_000):
        number = round(per_minute * CARS / 2)
        moments = [(60 * (minute + chance.random()), i < number) for i in range(2 * number)]
        yield from sorted(moments)


def _answer(night: Night, feed: Feed, page: int) -> None:
    total = len(feed.cars)
    pages = math.ceil(total / PAGE_SIZE)
    shown = feed.cars[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
    info = PageInfo(pages, total)
    if PAGINATOR.find_fault(page, len(shown), info, night.plan.planned):
        night.plan.give_back(page)
        return
    night.seen.update(shown)
    night.records += len(shown)
    night.plan.mark_staged(page, len(shown), PageInfo(pages, total))


@dataclass
class Figures:
    """What a rule did over all nights, the first aside."""

    nights: int = 0
    held: int = 0
    missed: int = 0
    falsely_gone: int = 0
    most: int = 0
    wrong_nights: int = 0
    """Nights that falsely deactivated cars stayed so, summed over the cars."""


class Table:
    """The table under one rule."""

    def __init__(self, rule: Rule, min_seen_share: float, feed: Feed) -> None:
        self.figures = Figures()
        self._rules = Deactivate(second_proof=rule, min_seen_share=min_seen_share)
        self._active = set(feed.cars)
        self._absent: set[int] = set()
        self._falsely_gone: set[int] = set()

    def merge(self, night: Night, listed: set[int]) -> None:
        """Apply a night's run."""
        candidates = self._active - night.seen
        plan = night.plan
        found = DeactivationPlan(
            candidates=len(candidates),
            active=len(self._active),
            seen=len(night.seen),
            rejected_without_id=0,
            duplicates=night.records - len(night.seen),
        )
        evidence = Evidence(found, plan.reported_records, tuple(plan.drift), len(plan.failed))
        decision = decide(evidence, self._rules)
        gone: set[int] = set()
        if decision.action == "deactivate":
            gone = candidates
        elif decision.action == "prove":
            gone = candidates & self._absent
            self._absent = candidates - gone
        self._absent &= candidates
        self._active = (self._active | night.seen) - gone
        falsely = gone & night.always
        self._falsely_gone = (self._falsely_gone - self._active | falsely) & listed
        figures = self.figures
        figures.nights += 1
        figures.held += decision.action == "hold"
        figures.missed += len(night.always - night.seen)
        figures.falsely_gone += len(falsely)
        figures.most = max(figures.most, len(falsely))
        figures.wrong_nights += len(self._falsely_gone)


def simulate(
    order: Order, per_minute: float, min_seen_share: float, nights: int, seed: int
) -> dict[Rule, Figures]:
    """Run night after night; both rules see the same answers."""
    chance = random.Random(seed)
    feed = Feed(order, chance)
    tables = {rule: Table(rule, min_seen_share, feed) for rule in RULES}
    for _ in range(nights):
        night = read(feed, per_minute, chance)
        listed = set(feed.cars)
        for table in tables.values():
            table.merge(night, listed)
        feed.exchange(BETWEEN_NIGHTS)
    return {rule: table.figures for rule, table in tables.items()}


def main() -> None:
    """Print one line for each order of arrivals and each rule."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--nights", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    print("| cars come | drift a minute | min_seen_share | second_proof | missed a run ", end="")
    print("| falsely gone a run | per 100,000 cars | most | nights wrong | runs held |")
    print("|---" * 10 + "|")
    for (per_minute, min_seen_share), order in product(SETTINGS, ORDERS):
        found = simulate(order, per_minute, min_seen_share, arguments.nights, arguments.seed)
        for rule, figures in found.items():
            gone = figures.falsely_gone / figures.nights
            mean = figures.wrong_nights / figures.falsely_gone if figures.falsely_gone else 0.0
            print(
                f"| {order} | {per_minute:.1%} | {min_seen_share:.1%} | `{rule}` "
                f"| {figures.missed / figures.nights:,.0f} | {gone:,.2f} "
                f"| {gone / CARS * 100_000:,.2f} | {figures.most} | {mean:.2f} "
                f"| {figures.held} of {figures.nights} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
