"""The one access token of a run: who uses it, who gets the next one, and when.

One `TokenStore` lives in the manager process beside the gate, so that one thread of one
process renews the token, and all others go on with the old one, or wait. What crosses a process
border are durations: no clock but this process's monotonic one is read.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from msgspec import Struct

from carsync.redaction import Secret, keep_latest

_EARLY_SHARE, _EARLY_S = 0.2, 60.0
"""A token is renewed when this share of its life, at most so many seconds, is left."""
_LATE_SHARE, _LATE_S = 0.05, 5.0
"""No request is sent with a token of which no more than this is left: it takes a while itself."""
_SOON_S = 0.1
"""Whoever waits for a token asks again after this long."""
_TURN_S = 10.0
"""A turn that was given must begin within this long, else somebody else gets one, too."""
_PAUSE_S = 1.0
"""After a request for a token failed, the next one is not sent before this long."""


class Token(Struct, frozen=True):
    """An access token: the `number`-th of the run.

    `life_s` is how long it is still valid (None: not known, so it is used until it is
    refused); `refresh` is the refresh token that came with it, where one did.
    """

    text: Secret
    life_s: float | None = None
    refresh: Secret | None = None
    number: int = 0


class Turn(Struct, frozen=True):
    """What a thread may do next.

    Use `token` (None: there is none) and ask again after `again_s` seconds. `renews`: it is its
    turn to get the token behind the one of `number`, the newest, with `refresh` where there is one.
    """

    token: Token | None
    again_s: float | None
    renews: bool = False
    number: int = 0
    refresh: Secret | None = None


class TokenStore:
    """Holds the token of a run and gives turns to renew it; thread-safe.

    `token`: one that an earlier store held.
    """

    def __init__(self, clock: Callable[[], float], token: Token | None = None) -> None:
        self._clock = clock
        self._lock = Lock()
        self._token: Token | None = None
        self._number = 0
        self._refresh: Secret | None = None
        self._renew_at_s: float | None = None
        self._expires_at_s: float | None = None
        self._turn_until_s = self._sent_until_s = clock()
        if token is not None:
            self.put(token)

    def take(self) -> Turn:
        """Return the token, or the turn to renew it; neither: ask again after `again_s`."""
        with self._lock:
            now_s = self._clock()
            token = self._left(now_s)
            is_due = token is None or (self._renew_at_s is not None and now_s >= self._renew_at_s)
            if is_due and now_s >= self._turn_until_s:
                self._turn_until_s = now_s + _TURN_S
                return Turn(token, _SOON_S, True, self._number, self._refresh)
            again_s: float | None = _SOON_S
            if not is_due:
                again_s = None if self._renew_at_s is None else self._renew_at_s - now_s
            return Turn(token, again_s, False, self._number, self._refresh)

    def begin(self, number: int, within_s: float) -> bool:
        """Say whether to send the request for the token behind `number`: nobody else does.

        Whoever else has a turn waits, and nobody gets one for `within_s` seconds.
        """
        with self._lock:
            now_s = self._clock()
            if number != self._number or now_s < self._sent_until_s:
                return False
            self._sent_until_s = self._turn_until_s = now_s + within_s
            return True

    def put(self, token: Token) -> Token:
        """Keep a new token, and return it with its number."""
        with self._lock:
            now_s = self._clock()
            self._number = max(self._number + 1, token.number)
            self._refresh = token.refresh or self._refresh
            keep_latest(token.text)
            if self._refresh is not None:  # the one in use, however long ago it came
                keep_latest(self._refresh)
            self._token = Token(token.text, None, self._refresh, self._number)
            self._sent_until_s = self._turn_until_s = now_s
            self._renew_at_s = self._expires_at_s = None
            if token.life_s is not None:
                end_s = now_s + token.life_s
                self._renew_at_s = end_s - min(token.life_s * _EARLY_SHARE, _EARLY_S)
                self._expires_at_s = end_s - min(token.life_s * _LATE_SHARE, _LATE_S)
            return Token(token.text, token.life_s, self._refresh, self._number)

    def give_up(self) -> None:
        """Note that the request for a token failed: nobody sends the next one for a moment."""
        with self._lock:
            self._sent_until_s = self._turn_until_s = self._clock() + _PAUSE_S

    def refuse(self, number: int) -> int:
        """Note that the API refused the token of this number; return the newest one's number."""
        with self._lock:
            if number == self._number:
                self._token = None
            return self._number

    def held(self) -> Token | None:
        """Return the token as it is now, for another store to begin with; None: there is none.

        A token that is not valid any more is returned for its refresh token and its number.
        """
        with self._lock:
            left = self._left(self._clock())
            if left is not None or self._refresh is None:
                return left
            return Token(Secret(), 0.0, self._refresh, self._number)

    def _left(self, now_s: float) -> Token | None:
        """Return the token with what is left of its life, None where it is not valid any more."""
        token, end_s = self._token, self._expires_at_s
        if token is None or (end_s is not None and now_s >= end_s):
            return None
        life_s = None if end_s is None else end_s - now_s
        return Token(token.text, life_s, token.refresh, token.number)
