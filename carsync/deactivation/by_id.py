"""By-id verification: what the API says of single cars, and whether to believe it. Pure.

An endpoint that lies costs cars: one that answers 404 for cars it does list would have
them deactivated, one that answers 200 for anything would keep sold ones for ever. So cars
that this run has just seen, the control samples, are asked for among the absent ones, chosen
at random, at the start and all along. A 404 for one that its page still lists voids the proof.
An impossible id is asked for too: where it is answered 200, no 200 counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
from msgspec import Struct

from carsync import formatting
from carsync.deactivation.id_shapes import Key, Shape, group_by_shape
from carsync.model import ProbeVerdict

OPENING = 10
"""Control samples that are asked for before any absent car."""
SPREAD = 10
"""Least number of control samples among the absent cars."""
EVERY = 10
"""Absent cars for each control sample among them, where these are many."""
PORTION = 50
"""Absent cars that are asked for before the answers are judged."""
ATTEMPTS = 4
"""Requests for a control sample that gets no clear answer."""
CHURNED_SHARE = 0.2
CHURNED_COUNT = 3
"""On a live feed a car just seen may have left its page since: believe this many, no more."""

Verdicts = dict[str, ProbeVerdict]
Draw = Callable[[Shape, int], Sequence[tuple[str, int]]]
"""Draws control samples, (id, page) each, in random order: of a shape, at most so many."""
Ask = Callable[[Sequence[str], Mapping[str, int]], Verdicts]
"""Asks for cars by id and returns their verdicts, without those that got no answer.

For an id in the mapping the page of that number is read instead: alive where the page lists
the car, gone where not.
"""


class Verification(Struct, frozen=True):
    """Verdicts on the absent cars, the believed ones only.

    `has_path`: the API answers by-id requests at all. `objection` says in words why answers
    were not believed; it is empty where they were.
    """

    verdicts: Verdicts = msgspec.field(default_factory=dict)
    has_path: bool = True
    objection: str = ""


def controls_wanted(absent: int) -> int:
    """Return how many control samples to draw for this number of absent cars.

    >>> controls_wanted(1), controls_wanted(2000)
    (20, 210)
    """
    portions = _portions(absent)
    return OPENING + sum(_controls_among(len(portion), len(portions)) for portion in portions)


def affordable(absent: int, requests: int) -> int:
    """Return for how many of the absent cars the requests are enough, control samples included.

    >>> affordable(2000, 20), affordable(2000, 22), affordable(2000, 5000)
    (0, 1, 2000)
    """
    absent = max(0, min(absent, requests - controls_wanted(0) - 1))
    while absent and absent + controls_wanted(absent) + 1 > requests:
        absent -= 1
    return absent


def verify(
    ask: Ask,
    absent: Sequence[str],
    draw: Draw,
    impossible_id: str,
    keys: Mapping[str, Key] | None = None,
) -> Verification:
    """Ask for the `absent` cars by id and return the verdicts that can be believed.

    Each shape of ids has control samples of its own: a server that cannot find `IAA/3` may
    find `7`. `impossible_id` is the id of no car. Asking ends early where the API gives no
    clear answer to a whole portion, its control samples included. `keys` are as in
    `group_by_shape`.
    """
    found: dict[str, Verification] = {}
    for shape, ids in group_by_shape(absent, keys).items():
        controls = draw(shape, controls_wanted(len(ids)))
        found[ids[0]] = _ProbeSession(ask, controls).verify(ids, impossible_id)
    alone = next(iter(found.values())) if len(found) == 1 else None
    if alone is not None and alone.objection != _NO_CONTROL:
        return alone
    return Verification(
        {i: verdict for each in found.values() for i, verdict in each.verdicts.items()},
        any(each.has_path for each in found.values()),
        "; ".join(_objections(found)),
    )


def _objections(found: Mapping[str, Verification]) -> Iterator[str]:
    """Give what was not believed, with an id of each shape."""
    for example, verification in found.items():
        words = verification.objection
        if not verification.has_path:
            words = "the API says by id that all listed cars are gone"
        if words:
            yield f"for ids like {example!r}, {words}"


class _ProbeSession:
    """The requests of one verification: control samples left, and those that churned."""

    def __init__(self, ask: Ask, controls: Sequence[tuple[str, int]]) -> None:
        self._ask = ask
        self._left = list(controls)
        self._asked = 0
        self._churned = 0

    def verify(self, absent: Sequence[str], impossible_id: str) -> Verification:
        opening = self._take(OPENING)
        if not opening:
            return Verification(objection=_NO_CONTROL)
        found = self._ask_clearly([*opening, impossible_id], opening, {})
        verdicts = [found.get(i, ProbeVerdict.NOTHING) for i in opening]
        if all(verdict is ProbeVerdict.GONE for verdict in verdicts):
            if ProbeVerdict.ALIVE in self._ask(list(opening), opening).values():
                return Verification(has_path=False)  # they did not all leave their pages
            return Verification(
                objection="by-id requests prove nothing: the API answers 404 even for each car "
                "that it listed and that was tried"
            )
        if ProbeVerdict.ALIVE not in verdicts:
            return Verification(objection="the API gave no usable answer to by-id requests")
        if objection := self._object(opening, found):
            return Verification(objection=objection)
        return self._verify_absent(absent, found.get(impossible_id) is ProbeVerdict.ALIVE)

    def _verify_absent(self, absent: Sequence[str], says_yes_to_all: bool) -> Verification:
        verdicts: Verdicts = {}
        portions = _portions(len(absent))
        for places in portions:
            portion = absent[places.start : places.stop]
            controls = self._take(_controls_among(len(portion), len(portions)))
            found = self._ask_clearly(_mixed(portion, list(controls)), controls, {})
            if objection := self._object(controls, found):
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
        """Draw at most `count` control samples: id → page."""
        taken, self._left = self._left[:count], self._left[count:]
        self._asked += len(taken)
        return dict(taken)

    def _ask_clearly(
        self, ids: Sequence[str], controls: Mapping[str, int], pages: Mapping[str, int]
    ) -> Verdicts:
        """Ask, and a few times again for the control samples that got no clear answer."""
        found = self._ask(ids, pages)
        for _ in range(ATTEMPTS - 1):
            silent = [i for i in controls if found.get(i) not in _CLEAR]
            if not silent:
                break
            found |= self._ask(silent, pages)
        return found

    def _object(self, controls: Mapping[str, int], found: Verdicts) -> str:
        """Say in words why the answers for control samples void the proof; empty where not."""
        gone = {i: page for i, page in controls.items() if found.get(i) is ProbeVerdict.GONE}
        listed = self._ask_clearly(list(gone), gone, gone) if gone else {}
        if ProbeVerdict.ALIVE in listed.values():
            return "the API says by id that a car is gone, but its page still lists the car"
        if any(listed.get(i) not in _CLEAR for i in gone):
            return "the API says by id that a car is gone, but its page can no longer be read"
        self._churned += len(gone)
        if self._churned > max(CHURNED_COUNT, CHURNED_SHARE * self._asked):
            return (
                f"asked by id for {formatting.plural(self._asked, 'car')} that it listed in this "
                f"run, the API says that {self._churned:,} of them are gone"
            )
        return ""


NO_ADDRESS = "in the table no absent car has all values of api.record.path"
_NO_CONTROL = "the run saw no such car to test by-id requests with"
_CLEAR = frozenset({ProbeVerdict.ALIVE, ProbeVerdict.GONE})


def _portions(absent: int) -> list[range]:
    return [range(at, min(at + PORTION, absent)) for at in range(0, absent, PORTION)]


def _controls_among(cars: int, portions: int) -> int:
    return max(math.ceil(SPREAD / portions), math.ceil(cars / EVERY))


def _mixed(portion: Sequence[str], controls: Sequence[str]) -> list[str]:
    """Put the control samples evenly between the portion's cars, one at the very end.

    >>> _mixed(["a", "b", "c", "d"], ["X", "Y"])
    ['a', 'b', 'X', 'c', 'd', 'Y']
    """
    places = [(float(place), car) for place, car in enumerate(portion, start=1)]
    step = len(portion) / max(1, len(controls))
    places += [(place * step, control) for place, control in enumerate(controls, start=1)]
    return [car for _, car in sorted(places, key=lambda placed: placed[0])]
