"""Faults of the simulated API, drawn for each attempt, so that a run meets the same ones again."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from carsync.demo.asgi import SimulatedAnswer, error

_HTML = b"<!doctype html><html><body><h1>We will be back soon</h1></body></html>"


class FaultShares(Struct, frozen=True):
    """Shares, from 0 to 1, of attempts that meet a fault; `broken` is one of pages."""

    error: float = 0.0
    html: float = 0.0
    cut: float = 0.0
    broken: float = 0.0


class Faults:
    """Draws faults from a seed, what was asked for, and the number of the attempt.

    `shares` gives those of now: they may be changed while the API serves.
    """

    def __init__(self, seed: int, shares: Callable[[], FaultShares]) -> None:
        self._seed = seed
        self._shares = shares
        self._attempts: Counter[str] = Counter()

    def spoil(self, subject: str, answer: SimulatedAnswer) -> SimulatedAnswer:
        """Return `answer`, or the fault drawn for this attempt at `subject`."""
        shares = self._shares()
        if shares.error + shares.html + shares.cut == 0:
            return answer
        attempt = self._attempts[subject] = self._attempts[subject] + 1
        draw = self._draw(f"{subject}:{attempt}")
        if draw < shares.error:
            return error(500, "internal server error")
        draw -= shares.error
        if draw < shares.html:
            return SimulatedAnswer(200, _HTML, content_type=b"text/html")
        if draw - shares.html < shares.cut:
            return replace(answer, cut=True)
        return answer

    def is_broken(self, page: int) -> bool:
        """Say whether a page is always answered 500."""
        broken = self._shares().broken
        return broken > 0 and self._draw(f"broken:{page}") < broken

    def _draw(self, subject: str) -> float:
        return random.Random(f"{self._seed}:{subject}").random()
