"""One page asked for outside of a run, by a command that looks at the feed."""

from __future__ import annotations

from functools import partial

from carsync.config.sections import Api
from carsync.errors import FailureKind, PageError
from carsync.source.client import Answer, ApiClient
from carsync.source.deadline import in_time

_GRACE_S = 2.0


def ask_page(api: Api, page: int | None = None) -> Answer:
    """Make one request for `page` (None: the first one), as a run would.

    Raises `PageError`, also where no complete answer came in time.
    """
    client = ApiClient(api, connections=1)
    number = client.paginator.first if page is None else page
    within_s = api.timeout.total_s + api.timeout.connect_s + _GRACE_S
    work = partial(client.get_page, number)
    try:
        return in_time(work, within_s, name="page", turn=client.enforce_deadlines)
    except TimeoutError:
        problem = f"no complete answer within {api.timeout.total_s:g} s"
        raise PageError(FailureKind.TIMEOUT, problem) from None
    finally:
        client.close()
