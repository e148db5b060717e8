"""One page asked for outside of a run, by a command that looks at the feed."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from carsync.config.api_sections import Api
from carsync.config.sections import Limits
from carsync.errors import FailureKind, PageError
from carsync.source.auth.base import Authenticator, Readiness
from carsync.source.auth.token_store import TokenStore
from carsync.source.client import ApiClient
from carsync.source.deadline import in_time
from carsync.source.rate_limit import TokenBucket
from carsync.source.request import Answer

LONGEST_WAIT_S = 10.0
"""A request that the rate limit lets wait longer is not made."""
_GRACE_S = 2.0
_Result = TypeVar("_Result")


class Pacer:
    """The requests of one command, one after the other: paced as a run's, with one token.

    `requests` counts them, those for a token included.
    """

    def __init__(self, limits: Limits) -> None:
        self._bucket = TokenBucket(
            limits.requests_per_second, limits.effective_burst, time.monotonic
        )
        self.tokens = TokenStore(time.monotonic)
        self.requests = 0

    def admit(self) -> None:
        """Wait until one more request may be sent; raise `PageError` where that is too long."""
        if (wait_s := self._bucket.reserve()) > LONGEST_WAIT_S:
            problem = "not requested: the rate limit would let it wait too long"
            raise PageError(FailureKind.RATE_LIMITED, problem)
        time.sleep(wait_s)
        self.requests += 1


def ask_page(api: Api, page: int | None = None, pacer: Pacer | None = None) -> Answer:
    """Make one request for `page` (None: the first one), as a run would.

    Raises `PageError`, also where no complete answer came in time.
    """
    pacer = pacer or Pacer(Limits(requests_per_second=0))
    client = ApiClient(api, connections=1, tokens=pacer.tokens)
    number = client.lists.paginator.first if page is None else page
    return once_in_time(client, api, partial(client.get_page, number), pacer)


def once_in_time(client: ApiClient, api: Api, work: Callable[[], _Result], pacer: Pacer) -> _Result:
    """Do `work`, one request of `client`, within its deadline, and close the client.

    Where the API wants a token, the requests for it come before. Raises what `work` raises,
    and `PageError` where no complete answer came in time.
    """
    each_s = api.timeout.total_s + api.timeout.connect_s + _GRACE_S
    most = client.authenticator.most_requests
    ask = partial(_with_token, client.authenticator, work, pacer)
    within_s = most * each_s + (most - 1) * LONGEST_WAIT_S
    try:
        pacer.admit()
        return in_time(ask, within_s, name="page", turn=client.enforce_deadlines)
    except TimeoutError:
        problem = f"no complete answer within {api.timeout.total_s:g} s"
        raise PageError(FailureKind.TIMEOUT, problem) from None
    finally:
        client.close()


def _with_token(authenticator: Authenticator, work: Callable[[], _Result], pacer: Pacer) -> _Result:
    """Do `work` with a token that is valid: once more where the old one was refused."""
    again = False
    while True:
        while (wait_s := authenticator.wait_s()) > 0:
            time.sleep(wait_s)
        if authenticator.ready() is Readiness.READY:
            try:
                return work()
            except PageError as exc:
                if exc.status != 401 or not authenticator.refused(again=again):
                    raise
                again = True
        pacer.admit()
