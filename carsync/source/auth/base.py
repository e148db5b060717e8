"""Authentication: what a request carries so that the API answers it."""

from __future__ import annotations

from abc import ABC, abstractmethod

from carsync.config.api_sections import Auth
from carsync.source.kinds import load_kind
from carsync.source.request import ApiRequest


class Authenticator(ABC):
    """One kind of authentication; shared by all threads of a process.

    It is asked for every request, since what proves who asks may expire.
    """

    def __init__(self, auth: Auth) -> None:
        self._auth = auth

    @abstractmethod
    def authorize(self, request: ApiRequest) -> ApiRequest:
        """Return `request` with what proves who asks."""


def load_authenticator(auth: Auth) -> Authenticator:
    """Return the authenticator of `api.auth.type`: the class in the module of that name."""
    kind: type[Authenticator] = load_kind(Authenticator, auth.type)
    return kind(auth)
