"""An id that no car has: what the API says of it shows what its answers by id are worth."""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence


def impossible_id(others: Sequence[str]) -> str:
    """Return the id of no car, looking like the others: a number where they are numbers."""
    if all(i.isascii() and i.isdigit() for i in others):
        return str(random.randrange(10**17, 10**18))
    return str(uuid.uuid4())
