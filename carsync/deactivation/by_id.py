"""What the API says of single cars by id, and whether it is to be believed. Pure.

An endpoint that lies costs cars: one that answers 404 for cars it does list would have
them deactivated, one that answers 200 for anything would keep sold ones for good. So
cars that this run has just seen are asked for among the absent ones, chosen at random,
at the start and all along: 404 for one that its page still lists voids the proof. And a
car that cannot exist is asked for: where that is answered 200, no 200 counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from carsync.model import ProbeVerdict

OPENING = 10
"""So many cars just seen are asked for before any absent car."""
SPREAD = 10
"""At least so many are asked for among the absent cars, and one for each `EVERY` of them."""
EVERY = 10
PORTION = 50
"""So many absent cars are asked for before the answers are looked at."""
ATTEMPTS = 4
"""How often a control that gets no clear answer is asked for."""
DEPARTED_SHARE = 0.2
DEPARTED_COUNT = 3
"""On a live feed a car just seen may have left its page since: so many are believed, no more."""

Verdicts = dict[str, ProbeVerdict]
Ask = Callable[[Sequence[str], Mapping[str, int]], Verdicts]
"""Asks for cars by id: id → verdict, without those that got no answer. For an id in the mapping
the page of that number is read instead: alive where it lists the car, gone where not."""


@dataclass(frozen=True, slots=True)
class Verification:
    """Verdicts on the absent cars, the believed ones only.

    `has_path`: the API answers by-id requests at all; `objection` says, in words, why
    answers were not believed, empty where they were.
    """

    verdicts: Verdicts = field(default_factory=dict)
    has_path: bool = True
    objection: str = ""


def controls_wanted(absent: int) -> int:
    """Return how many cars just seen are to be drawn where so many cars are absent.

    >>> controls_wanted(1), controls_wanted(2000)
    (20, 210)
    """
    portions = _portions(absent)
    return OPENING + sum(_controls_among(len(portion), len(portions)) for portion in portions)


def verify(
    ask: Ask, absent: Sequence[str], controls: Sequence[tuple[str, int]], stranger: str
) -> Verification:
    """Ask for the `absent` cars and return what is to be believed of the answers.

    `controls` are (id, page) of cars just seen, in random order; `stranger` is the id of
    no car. Asking ends early where the API gives no clear answer to a whole portion, its
    controls included.
    """
    return _ProbeSession(ask, controls).hear(absent, stranger)


class _ProbeSession:
    """One hearing: the controls that are left, and those whose 404 was believed."""

    def __init__(self, ask: Ask, controls: Sequence[tuple[str, int]]) -> None:
        self._ask = ask
        self._left = list(controls)
        self._asked = 0
        self._departed = 0

    def hear(self, absent: Sequence[str], stranger: str) -> Verification:
        opening = self._take(OPENING)
        if not opening:
            return Verification(objection="no car was seen that by-id requests could be tried on")
        found = self._ask([*opening, stranger], {})
        found |= self._ask_again(opening, found, {})
        verdicts = [found.get(i, ProbeVerdict.NOTHING) for i in opening]
        if all(verdict is ProbeVerdict.GONE for verdict in verdicts):
            return self._doubt_path(opening)
        if ProbeVerdict.ALIVE not in verdicts:
            return Verification(objection="the API gave no usable answer to by-id requests")
        objection = self._object(opening, found)
        if objection:
            return Verification(objection=objection)
        return self._hear_absent(absent, found.get(stranger) is ProbeVerdict.ALIVE)

    def _doubt_path(self, opening: dict[str, int]) -> Verification:
        """Each control seems gone: has the API no such path, or did they all leave their pages?"""
        if ProbeVerdict.ALIVE in self._ask(list(opening), opening).values():
            return Verification(has_path=False)
        return Verification(
            objection="all cars just seen that by-id requests were tried on have left their pages "
            "since, and none is known by id"
        )

    def _hear_absent(self, absent: Sequence[str], says_yes_to_all: bool) -> Verification:
        verdicts: Verdicts = {}
        portions = _portions(len(absent))
        for places in portions:
            portion = absent[places.start : places.stop]
            controls = self._take(_controls_among(len(portion), len(portions)))
            found = self._ask(_mixed(portion, list(controls)), {})
            found |= self._ask_again(controls, found, {})
            objection = self._object(controls, found)
            if objection:
                return Verification(objection=objection)
            clear = {i: found[i] for i in portion if found.get(i) in _CLEAR}
            if not clear and not any(found.get(i) in _CLEAR for i in controls):
                break  # slow, broken or silent: the rest would wait for it as long
            if not controls or any(found.get(i) is ProbeVerdict.ALIVE for i in controls):
                verdicts |= clear
        if not says_yes_to_all:
            return Verification(verdicts)
        gone: Verdicts = {i: v for i, v in verdicts.items() if v is ProbeVerdict.GONE}
        return Verification(gone, objection="the API answers 200 by id for a car that cannot exist")

    def _take(self, count: int) -> dict[str, int]:
        """Draw `count` controls, or as many as are left: id → page."""
        taken, self._left = self._left[:count], self._left[count:]
        self._asked += len(taken)
        return dict(taken)

    def _ask_again(
        self, controls: Mapping[str, int], found: Verdicts, pages: Mapping[str, int]
    ) -> Verdicts:
        """Ask again, a few times, for the controls that got no clear answer (see `Ask`)."""
        again: Verdicts = {}
        for _ in range(ATTEMPTS - 1):
            silent = [i for i in controls if {**found, **again}.get(i) not in _CLEAR]
            if not silent:
                break
            again |= self._ask(silent, pages)
        return again

    def _object(self, controls: Mapping[str, int], found: Verdicts) -> str:
        """Say, in words, what the answers for controls give away; empty where nothing."""
        gone = {i: page for i, page in controls.items() if found.get(i) is ProbeVerdict.GONE}
        listed = self._ask(list(gone), gone) if gone else {}
        listed |= self._ask_again(gone, listed, gone)
        if ProbeVerdict.ALIVE in listed.values():
            return "the API says by id that a car is gone which its page still lists"
        if any(listed.get(i) not in _CLEAR for i in gone):
            return "the API says by id that a car is gone, and its page cannot be read any more"
        self._departed += len(gone)
        if self._departed > max(DEPARTED_COUNT, DEPARTED_SHARE * self._asked):
            return (
                f"the API says by id that {self._departed:,} of {self._asked:,} cars are gone "
                "which it listed in this run"
            )
        return ""


_CLEAR = frozenset({ProbeVerdict.ALIVE, ProbeVerdict.GONE})


def _portions(absent: int) -> list[range]:
    return [range(at, min(at + PORTION, absent)) for at in range(0, absent, PORTION)]


def _controls_among(cars: int, portions: int) -> int:
    return max(math.ceil(SPREAD / portions), math.ceil(cars / EVERY))


def _mixed(portion: Sequence[str], controls: Sequence[str]) -> list[str]:
    """Put the controls between the portion's cars, evenly, one at the very end.

    >>> _mixed(["a", "b", "c", "d"], ["X", "Y"])
    ['a', 'b', 'X', 'c', 'd', 'Y']
    """
    places = [(float(place), car) for place, car in enumerate(portion, start=1)]
    step = len(portion) / max(1, len(controls))
    places += [(place * step, control) for place, control in enumerate(controls, start=1)]
    return [car for _, car in sorted(places, key=lambda placed: placed[0])]
