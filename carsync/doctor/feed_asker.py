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
from carsync.engine.reader import FeedReader, PageRead, ProbeAnswer
from carsync.errors import FailureKind, PageError
from carsync.mapping.record_match import ids_of
from carsync.source.client import ApiClient
from carsync.source.request import Answer
from carsync.source.single_page import LONGEST_WAIT_S, Pacer, once_in_time

_PAUSE_S = 1.0
"""Wait so long where the API asks to slow down and does not say for how long."""
_Result = TypeVar("_Result")


class FeedAsker:
    """Asks for pages and records, after the first page was asked for by `pacer`.

    Each request raises `PageError` as a run's would.
    """

    def __init__(self, config: Config, pacer: Pacer) -> None:
        self.config = config
        self._pacer = pacer

    @property
    def requests(self) -> int:
        """The number of requests so far, the first page and those for a token included."""
        return self._pacer.requests

    def with_config(self, config: Config) -> FeedAsker:
        """Return an asker by another configuration, paced and counted with this one."""
        other = copy.copy(self)
        other.config = config
        return other

    def answer(self, api: Api, page: int, token: str | None) -> Answer:
        """Return a page of the feed that `api` describes, as it came."""

        def ask() -> Answer:
            client = ApiClient(api, connections=1, tokens=self._pacer.tokens)
            return once_in_time(client, api, partial(client.get_page, page, token), self._pacer)

        return _patiently(ask)

    def list_page(self, page: int, token: str | None = None) -> frozenset[str]:
        """Return the ids that a page lists; the feed's end lists none."""
        read = self.read(PageLease(page, 1, token=token))
        return frozenset(i for i in ids_of(read.mapped) if i is not None)

    def read(self, lease: PageLease) -> PageRead:
        """Return a page, mapped."""
        return self._ask(self.config, lambda reader: reader.read_page(lease))

    def look(self, page: int) -> frozenset[str]:
        """Return the ids on a page that may not be there; none where the API refuses it."""
        lease = ProbeLease(None, 1, PageLease(page, 1))
        return frozenset(self._ask(self.config, lambda reader: reader.probe(lease)).ids)

    def record(self, record_id: str, path: str, values: tuple[str, ...] = ()) -> ProbeAnswer:
        """Ask for a record by the values in `path`, by its id where there are none."""
        api = self.config.api
        assert api.record is not None
        record = replace(api.record, path=path)
        config = replace(self.config, api=replace(api, record=record))
        return self._ask(
            config, lambda reader: reader.probe(ProbeLease(record_id, 1, values=values))
        )

    def _ask(self, config: Config, work: Callable[[FeedReader], _Result]) -> _Result:
        def ask() -> _Result:
            reader = FeedReader(config, 1, self._pacer.tokens)
            return once_in_time(reader.client, config.api, lambda: work(reader), self._pacer)

        return _patiently(ask)


def _patiently(ask: Callable[[], _Result]) -> _Result:
    """Ask; once more where the API asks to slow down, unless it is for long."""
    try:
        return ask()
    except PageError as exc:
        wait_s = exc.retry_after_s or _PAUSE_S
        is_limited = exc.kind is FailureKind.RATE_LIMITED or exc.status == 503
        if exc.status is None or not is_limited or wait_s > LONGEST_WAIT_S:
            raise
        time.sleep(wait_s)
    return ask()
