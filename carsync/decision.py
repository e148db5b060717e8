"""The decision over cars that a run did not see: who may go, and by which proof."""

from __future__ import annotations

from collections.abc import Collection
from enum import IntEnum
from typing import Literal

from msgspec import Struct

DeactivationAction = Literal["deactivate", "prove", "hold", "skip"]
"""`prove`: deactivate those that get their second proof; `skip`: the run may deactivate nobody."""


class Proof(Struct, frozen=True):
    """Second proofs of absence: ids that the API, asked by id, called gone or alive.

    `next_run`: a candidate in neither set is deactivated if an earlier complete run missed it
    too.
    """

    gone: Collection[str] = ()
    alive: Collection[str] = ()
    next_run: bool = True


class ListRank(IntEnum):
    """What becomes of the cars that a list of the feed does not hold any more.

    `SURE`: they go. `PROVE`: they go with a second proof each. `HELD`: an operator must look.
    `UNREAD`: the list could not be read, and says nothing of them.
    """

    SURE = 0
    PROVE = 1
    HELD = 2
    UNREAD = 3


class ListRanks(Struct, frozen=True):
    """The rank of each list of the feed, in their order.

    `unknown` is that of cars of which nobody knows on which list they were. Those of a list that
    the configuration had `removed` are held. `is_held`: a list may hold more than was read.
    """

    names: tuple[str, ...]
    ranks: tuple[ListRank, ...]
    unknown: ListRank
    removed: ListRank = ListRank.HELD
    is_held: bool = False

    @property
    def read(self) -> tuple[str, ...]:
        """The lists that were read whole, as far as is known."""
        each = zip(self.names, self.ranks, strict=True)
        return tuple(name for name, rank in each if rank <= ListRank.PROVE)


class Decision(Struct, frozen=True):
    """What to do with the candidates, and why, in words for the operator.

    The merge deactivates at most `max_deactivations` cars; it holds all of them where more
    are absent by then. `expected` is how many cars the feed has, as far as is known. `missed`
    counts cars that the API has by id and that could not be read. `lists` decides further over
    cars of single lists; None where the feed has none.
    """

    action: DeactivationAction
    reasons: tuple[str, ...] = ()
    proof: Proof = Proof()
    max_deactivations: int = 0
    expected: int = 0
    missed: int = 0
    lists: ListRanks | None = None

    @property
    def is_held(self) -> bool:
        """Whether the feed, or a list of it, may hold more than was read."""
        return self.action == "hold" or (self.lists is not None and self.lists.is_held)


SKIP = Decision("skip")
"""Of a run that says nothing of the cars that it did not read."""
