"""Authentication: what a request carries so that the API answers it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import Enum
from typing import Any, Protocol

from carsync.config.api_sections import Api
from carsync.redaction import Secret
from carsync.source.auth.token_store import Token, TokenStore
from carsync.source.kinds import load_kind
from carsync.source.request import Answer, ApiRequest


class Sender(Protocol):
    """Who sends the requests for tokens; raises `PageError` for anything but a complete 200."""

    def send(self, request: ApiRequest) -> Answer:
        """Send a request to the API as it is."""

    def exchange(self, prepared: Any) -> Answer:
        """Send a request that the library requests prepared, to whatever host."""


class TokenAccess:
    """What the kinds that fetch a token need: who sends, the token that is shared, who is told.

    `tell` hears each token that this process got.
    """

    def __init__(
        self, sender: Sender, store: TokenStore, tell: Callable[[Token], None] = lambda _: None
    ) -> None:
        self.sender = sender
        self.store = store
        self.tell = tell


class Readiness(Enum):
    """What became of a leave to send one request."""

    READY = "send the request"
    USED = "a request for a token was sent instead"
    WAIT = "there is no token now"


class Authenticator(ABC):
    """One kind of authentication; shared by all threads of a process.

    It is asked for every request, since what proves who asks may expire: `wait_s` before a
    thread asks for leave to send, `ready` once it has leave, `authorize` for the request, and
    `refused` where the answer was a 401. Only kinds that fetch a token have more than
    `authorize`.
    """

    hint = "check api.auth"
    """What to do where the API refuses."""
    most_requests = 1
    """The most requests that one page may take, those for a token included."""

    def __init__(self, api: Api, access: TokenAccess | None = None) -> None:
        self._api = api
        self._auth = api.auth

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """What an answer may quote of that which proves who asks."""
        return self._auth.secrets

    @abstractmethod
    def authorize(self, request: ApiRequest) -> ApiRequest:
        """Return `request` with what proves who asks."""

    def wait_s(self) -> float:
        """Return the seconds to wait before this thread asks for leave to send."""
        return 0.0

    def ready(self) -> Readiness:
        """Use the leave of this thread to send one request: for a token, where one is needed.

        Raises `PageError` where the API gives no token.
        """
        return Readiness.READY

    def refused(self, *, again: bool) -> bool:
        """Say whether this thread's request, which was answered 401, may be sent once more.

        `again`: an earlier request for the same page was refused, too.
        """
        return False


def load_authenticator(api: Api, access: TokenAccess | None = None) -> Authenticator:
    """Return the authenticator of `api.auth.type`: the class in the module of that name."""
    kind: type[Authenticator] = load_kind(Authenticator, api.auth.type)
    return kind(api, access)
