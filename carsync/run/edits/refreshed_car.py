"""What became of single cars that were asked for by id. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from msgspec import Struct

from carsync.destination.known_cars import KnownCar
from carsync.model import Row

CarAction = Literal["inserted", "updated", "reactivated", "deactivated", "unchanged", "unclear"]
"""What became of a car; `unclear`: nothing, because the API did not tell it in a usable way."""
WRITTEN: frozenset[CarAction] = frozenset({"inserted", "updated", "reactivated"})


class RefreshedCar(Struct, frozen=True):
    """What became of one car, by its id as the table writes it, and why where that is worth it."""

    id: str
    action: CarAction
    reason: str = ""


def compare(known: KnownCar | None, row: Row) -> CarAction:
    """Return what a row makes of the car that the table knows."""
    if known is None:
        return "inserted"
    if not known.is_active:
        return "reactivated"
    return "unchanged" if known.data_hash == row[-1] else "updated"


def count_actions(cars: Collection[RefreshedCar]) -> dict[CarAction, int]:
    """Return how many cars there are of each action, of those that there are."""
    actions = [car.action for car in cars]
    return {action: actions.count(action) for action in dict.fromkeys(actions)}
