"""One page asked for outside of a run, by a command that looks at the feed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from carsync.config.api_sections import Api
from carsync.errors import FailureKind, PageError
from carsync.source.client import Answer, ApiClient
from carsync.source.deadline import in_time

_GRACE_S = 2.0
_Result = TypeVar("_Result")


def ask_page(api: Api, page: int | None = None) -> Answer:
    """Make one request for `page` (None: the first one), as a run would.

    Raises `PageError`, also where no complete answer came in time.
    """
    client = ApiClient(api, connections=1)
    number = client.lists.paginator.first if page is None else page
    return once_in_time(client, api, partial(client.get_page, number))


def once_in_time(client: ApiClient, api: Api, work: Callable[[], _Result]) -> _Result:
    """Do `work`, one request of `client`, within its deadline, and close the client.

    Raises what `work` raises, and `PageError` where no complete answer came in time.
    """
    within_s = api.timeout.total_s + api.timeout.connect_s + _GRACE_S
    try:
        return in_time(work, within_s, name="page", turn=client.enforce_deadlines)
    except TimeoutError:
        problem = f"no complete answer within {api.timeout.total_s:g} s"
        raise PageError(FailureKind.TIMEOUT, problem) from None
    finally:
        client.close()
