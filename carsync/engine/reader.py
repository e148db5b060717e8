"""One attempt at a page, or at one record: ask, check, map. Every engine reads so."""

from __future__ import annotations

import time

from msgspec import Struct

from carsync import failpoints
from carsync.config.sections import Config
from carsync.engine.messages import PageFetched, PageLease, ProbeLease
from carsync.errors import FailureKind, PageError
from carsync.mapping.mapper import Mapper, PageContent
from carsync.mapping.record_match import holds_record, ids_of
from carsync.model import MappedPage, PageInfo, ProbeVerdict
from carsync.redaction import redact_rejects
from carsync.source.client import Answer, ApiClient


class PageRead(Struct, frozen=True):
    """A page that was read: mapped, and what reading it cost."""

    mapped: MappedPage
    latency_s: float
    wire_bytes: int
    body_bytes: int

    def fetched(self) -> PageFetched:
        """Return the event that tells the parent of it."""
        page = self.mapped
        counts = (page.page, page.records, len(page.rejects))
        cost = (self.latency_s, self.wire_bytes, self.body_bytes)
        return PageFetched(*counts, *cost, page.info)


class FeedReader:
    """Reads pages and records of one feed; one for all threads of a process.

    `connections` is the number of threads that will use it.
    """

    def __init__(self, config: Config, connections: int) -> None:
        self.client = ApiClient(config.api, connections=connections)
        self._paginator = self.client.paginator
        self._mapper = Mapper.load(config, self._paginator.paths)
        self._key = config.api.auth.key

    def read_page(self, lease: PageLease) -> PageRead:
        """Ask for a page and map it; raise `PageError` where the answer is not that page.

        The end of the feed may be an error's status; it is an empty page then.
        """
        started_s = time.monotonic()
        try:
            answer = self._get_page(lease)
        except PageError as exc:
            if not self._paginator.is_end(lease.page, exc.status or 0, lease.expected_pages):
                raise
            answer = Answer(b"", 0, time.monotonic() - started_s, started_s)
            content, info = PageContent((), (), 0), PageInfo()
        else:
            content, info = self._map(lease, answer)
        rejects = redact_rejects(content.rejects, self._key)
        age_s = time.monotonic() - answer.sent_s
        mapped = MappedPage(lease.page, content.rows, rejects, content.records, info, age_s)
        return PageRead(mapped, answer.latency_s, answer.wire_bytes, len(answer.body))

    def _get_page(self, lease: PageLease) -> Answer:
        answer = self.client.get_page(lease.page, lease.token)
        failpoints.reach("fetch.answered")
        return answer

    def _map(self, lease: PageLease, answer: Answer) -> tuple[PageContent, PageInfo]:
        content = self._mapper.map_page(answer.body)
        info = self._paginator.read(content.values)
        fault = self._paginator.find_fault(lease.page, content.records, info, lease.expected_pages)
        if fault is not None:
            raise PageError(FailureKind.BAD_PAGE, fault)
        return content, info

    def find_record(self, lease: ProbeLease) -> tuple[ProbeVerdict, str]:
        """Ask for the record itself, or whether a page lists it; return the verdict and a detail.

        An answer that does not hold the record itself proves nothing. Raises `PageError`.
        """
        if lease.page is not None:
            # The page was there in this run: an error's status now says nothing of the car.
            content, _ = self._map(lease.page, self._get_page(lease.page))
            is_listed = lease.record_id in ids_of(content)
            return ProbeVerdict.ALIVE if is_listed else ProbeVerdict.GONE, ""
        verdict, detail, body = self.client.probe(lease.record_id)
        if verdict is ProbeVerdict.ALIVE and not holds_record(self._mapper, body, lease.record_id):
            return ProbeVerdict.NOTHING, "the answer is not the record asked for"
        return verdict, detail
