"""By which values cars are asked for by id: those of `api.record.path`, as the table holds them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from carsync.deactivation.id_shapes import Key
from carsync.deactivation.impossible import impossible_id
from carsync.mapping.record_path import BY_ID, Place

BETWEEN = "\x1f"
"""Stands between values where several are compared as one."""
Values = Sequence[str | None]


class Addresses:
    """The values by which each car is asked for, by its id.

    One of the `places` is the main one, in which cars differ most: lots differ, an auction has
    many. Until that is chosen, it is the first one, and none is beside it.
    """

    def __init__(self, places: tuple[Place, ...], known: dict[str, tuple[str, ...]]) -> None:
        self._places = places
        self._known = known
        self._main = 0
        self._is_chosen = False

    @property
    def is_by_id(self) -> bool:
        """Whether cars are asked for by their ids alone."""
        return self._places == BY_ID

    @property
    def value(self) -> tuple[Place, ...]:
        """The main place."""
        return (self._places[self._main],)

    @property
    def beside(self) -> tuple[Place, ...]:
        """The other places."""
        others = (*self._places[: self._main], *self._places[self._main + 1 :])
        return others if self._is_chosen else ()

    @property
    def values(self) -> tuple[Place, ...]:
        """All places."""
        return self._places

    def learn(self, found: Iterable[tuple[str, Values]]) -> list[str]:
        """Keep the values of cars; return the ids of those that have all of them."""
        learnt: list[str] = []
        for record_id, values in found:
            if all(values):
                self._known[record_id] = tuple(value or "" for value in values)
                learnt.append(record_id)
        return learnt

    def choose_main(self) -> None:
        """Let the place be the main one in which the cars differ most whose values are known."""
        columns = zip(*self._known.values(), strict=True)
        counts = [len(set(column)) for column in columns]
        self._main = max(range(len(counts)), key=counts.__getitem__, default=0)
        self._is_chosen = True

    def keys(self, ids: Sequence[str]) -> dict[str, Key]:
        """Return by id the main value and the values beside it."""
        return {} if self.is_by_id else {i: self._key(self._known[i]) for i in ids}

    def _key(self, values: tuple[str, ...]) -> Key:
        beside = (*values[: self._main], *values[self._main + 1 :])
        return values[self._main], BETWEEN.join(beside)

    def add_stranger(self, ids: Sequence[str]) -> str:
        """Return an id that no car has, whose main value no car has either."""
        stranger = impossible_id(ids)
        if not self.is_by_id and ids:
            values = list(self._known[ids[0]])
            values[self._main] = impossible_id([self._known[i][self._main] for i in ids])
            self._known[stranger] = tuple(values)
        return stranger
