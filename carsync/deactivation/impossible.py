"""An id that no car has: what the API says of it shows what its answers by id are worth."""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence

_SMALL_DIGITS = 8
_INTEGERS = (2 * 10**9, 2**31)
_LARGE = (10**17, 10**18)


def impossible_id(others: Sequence[str]) -> str:
    """Return the id of no car, looking like the others: a number where they are numbers.

    Among small numbers it fits into an integer: an API that keeps these in one answers 400 to
    any larger one, which says nothing of its cars.
    """
    if all(i.isascii() and i.isdigit() for i in others):
        is_small = all(len(i) <= _SMALL_DIGITS for i in others)
        return str(random.randrange(*(_INTEGERS if is_small else _LARGE)))
    return str(uuid.uuid4())
