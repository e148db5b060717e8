"""What the kinds have in common that fetch a token, use it for a while, and renew it."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod

from msgspec import Struct

from carsync.config.api_sections import Api
from carsync.errors import FailureKind, PageError
from carsync.redaction import Secret, keep_latest
from carsync.source.auth.base import Authenticator, Readiness, TokenAccess
from carsync.source.auth.token_store import Token, Turn
from carsync.source.request import ApiRequest

_GRACE_S = 5.0


class _Held(Struct, frozen=True):
    """A token as this process was told it, on its own monotonic clock.

    The store is asked again at `ask_at_s`; the token is valid until `end_s` (None: for ever).
    """

    token: Token
    ask_at_s: float | None
    end_s: float | None


class TokenAuthenticator(Authenticator):
    """Sends the run's token, and renews it when it is this thread's turn.

    A process keeps the token that it was told for as long as it was told to, so that most
    requests ask nobody.
    """

    most_requests = 4  # a token, the page; once more where that token was not good any more

    def __init__(self, api: Api, access: TokenAccess | None = None) -> None:
        super().__init__(api, access)
        assert access is not None
        self._access = access
        self._mine = threading.local()  # `turn`, `token` and `newest` of this thread
        self._held: _Held | None = None

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """What an answer may quote: the token, too."""
        held = self._held
        return (*super().secrets, *([held.token.text] if held else []))

    @abstractmethod
    def fetch(self, refresh: Secret | None) -> Token:
        """Ask for a token once and return it; `refresh` is the last refresh token that came.

        `life_s` counts from the answer. Raises `PageError`.
        """

    def wait_s(self) -> float:
        """Return 0 where there is a token, or where it is this thread's turn to get one."""
        self._mine.turn = None
        if self._is_fresh():
            return 0.0
        turn = self._access.store.take()
        self._keep(turn)
        if turn.renews:
            self._mine.turn = turn
        return 0.0 if turn.renews or turn.token is not None else turn.again_s or 0.0

    def ready(self) -> Readiness:
        """Renew the token where it is this thread's turn, else note which one it uses.

        A token that expired while this thread waited for its leave is renewed with that leave,
        although somebody who still waits has the turn.
        """
        turn, self._mine.turn = getattr(self._mine, "turn", None), None
        if turn is None and self._valid() is None:
            turn = self._access.store.take()
            self._keep(turn)
            turn = turn if turn.token is None else None
        timeout = self._api.timeout
        within_s = timeout.total_s + timeout.connect_s + _GRACE_S
        if turn is not None and self._access.store.begin(turn.number, within_s):
            self._renew(turn)
            return Readiness.USED
        self._mine.token = self._valid()
        return Readiness.WAIT if self._mine.token is None else Readiness.READY

    def authorize(self, request: ApiRequest) -> ApiRequest:
        """Return `request` with the token's header."""
        token: Token = self._mine.token
        value = self._auth.prefixed(token.text.reveal(), "Bearer ")
        return request.with_header(self._auth.header, value)

    def refused(self, *, again: bool) -> bool:
        """Note that the token was refused; False where it was got since the last refusal."""
        token: Token = self._mine.token
        if again and token.number > self._mine.newest:
            return False
        self._mine.newest = self._access.store.refuse(token.number)
        held = self._held
        if held is not None and held.token.number <= token.number:
            self._held = None
        return True

    def _renew(self, turn: Turn) -> None:
        asked_s = time.monotonic()
        try:
            token = self.fetch(turn.refresh)
        except PageError as exc:
            self._access.store.give_up()
            raise self._no_token(exc) from None
        if not (token.text.isascii() and token.text.reveal().isprintable()):
            self._access.store.give_up()
            problem = "the token that came cannot be sent in a header"
            raise self._no_token(PageError(FailureKind.AUTH, problem))
        took_s = time.monotonic() - asked_s
        left_s = None if token.life_s is None else token.life_s - took_s
        if left_s is not None and left_s <= 0:
            left_s = None  # a life that is over before it begins tells nothing
        token = Token(token.text, left_s, token.refresh, turn.number + 1)
        self._access.tell(token)  # first: a refresh token may be good for one use only
        self._access.store.put(token)
        self._held = None

    def _no_token(self, exc: PageError) -> PageError:
        """Return the error of a request for a token; a refusal ends the run."""
        is_refusal = exc.kind in {FailureKind.CLIENT, FailureKind.AUTH}
        return PageError(
            FailureKind.AUTH if is_refusal else exc.kind,
            f"no access token: {exc.problem}",
            status=exc.status,
            retry_after_s=exc.retry_after_s,
            detail=exc.detail,
            hint=self.hint if is_refusal or exc.hint else "",
        )

    def _keep(self, turn: Turn) -> None:
        token = turn.token
        if token is None:
            self._held = None
            return
        now_s = time.monotonic()
        ask_at_s = None if turn.again_s is None else now_s + turn.again_s
        end_s = None if token.life_s is None else now_s + token.life_s
        self._held = _Held(token, ask_at_s, end_s)
        keep_latest(token.text)

    def _is_fresh(self) -> bool:
        held = self._held
        return self._valid() is not None and (
            held is None or held.ask_at_s is None or time.monotonic() < held.ask_at_s
        )

    def _valid(self) -> Token | None:
        held = self._held
        if held is None or (held.end_s is not None and time.monotonic() >= held.end_s):
            return None
        return held.token
