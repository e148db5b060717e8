"""Further requests to the feed, as a run would make them: paced, within deadlines, counted."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from msgspec.structs import replace

from carsync.config.api_sections import Api
from carsync.config.sections import Config
from carsync.engine.messages import PageLease, ProbeLease
from carsync.engine.reader import FeedReader, ProbeAnswer
from carsync.errors import FailureKind, PageError
from carsync.mapping.record_match import ids_of
from carsync.source.client import Answer, ApiClient
from carsync.source.rate_limit import TokenBucket
from carsync.source.single_page import once_in_time

LONGEST_WAIT_S = 10.0
"""A further request that the rate limit lets wait longer is not made."""
_PAUSE_S = 1.0
"""Wait so long where the API asks to slow down and does not say for how long."""
_Result = TypeVar("_Result")


class FeedAsker:
    """Asks for pages and records; `requests` counts them, the first page included.

    Each request raises `PageError` as a run's would.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        limits = config.limits
        rate, burst = limits.requests_per_second, limits.effective_burst
        self._bucket = TokenBucket(rate, burst, time.monotonic)
        self._bucket.reserve()  # the first page was read
        self.requests = 1

    def with_config(self, config: Config) -> FeedAsker:
        """Return an asker by another configuration, paced and counted with this one."""
        other = copy.copy(self)
        other.config = config
        return other

    def answer(self, api: Api, page: int, token: str | None) -> Answer:
        """Return a page of the feed that `api` describes, as it came."""

        def ask() -> Answer:
            client = ApiClient(api, connections=1)
            return once_in_time(client, api, partial(client.get_page, page, token))

        return self._patiently(ask)

    def list_page(self, page: int, token: str | None = None) -> frozenset[str]:
        """Return the ids that a page lists; the feed's end lists none."""
        lease = PageLease(page, 1, token=token)
        read = self._ask(self.config, lambda reader: reader.read_page(lease))
        return frozenset(i for i in ids_of(read.mapped) if i is not None)

    def look(self, page: int) -> frozenset[str]:
        """Return the ids on a page that may not be there; none where the API refuses it."""
        lease = ProbeLease(None, 1, PageLease(page, 1))
        return frozenset(self._ask(self.config, lambda reader: reader.probe(lease)).ids)

    def record(self, record_id: str, path: str) -> ProbeAnswer:
        """Ask for a record by its id, at `path`."""
        api = self.config.api
        assert api.record is not None
        record = replace(api.record, path=path)
        config = replace(self.config, api=replace(api, record=record))
        return self._ask(config, lambda reader: reader.probe(ProbeLease(record_id, 1)))

    def _ask(self, config: Config, work: Callable[[FeedReader], _Result]) -> _Result:
        def ask() -> _Result:
            reader = FeedReader(config, 1)
            return once_in_time(reader.client, config.api, lambda: work(reader))

        return self._patiently(ask)

    def _patiently(self, ask: Callable[[], _Result]) -> _Result:
        """Ask at the configured rate; once more where the API asks to slow down."""
        self._wait()
        try:
            return ask()
        except PageError as exc:
            wait_s = exc.retry_after_s or _PAUSE_S
            if not (exc.kind is FailureKind.RATE_LIMITED or exc.status == 503):
                raise
            if wait_s > LONGEST_WAIT_S:
                raise
            time.sleep(wait_s)
        self._wait()
        return ask()

    def _wait(self) -> None:
        if (wait_s := self._bucket.reserve()) > LONGEST_WAIT_S:
            problem = "not requested: the rate limit would let it wait too long"
            raise PageError(FailureKind.RATE_LIMITED, problem)
        time.sleep(wait_s)
        self.requests += 1
