"""One attempt at a page, or at one record: ask, check, map. Every engine reads so."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from msgspec import Struct
from msgspec.structs import replace

from carsync import failpoints
from carsync.config.api_sections import Record
from carsync.config.lists import is_removal
from carsync.config.sections import Config
from carsync.engine.messages import PageFetched, PageLease, ProbeLease
from carsync.errors import FailureKind, PageError
from carsync.mapping.gone_rule import GoneRule, find_error, find_signs
from carsync.mapping.hashing import digest_of_ids
from carsync.mapping.mapper import Mapper, PageContent
from carsync.mapping.record_match import ERROR_OBJECT, describe_answer, find_record, ids_of
from carsync.model import MappedPage, PageInfo, ProbeVerdict, Row
from carsync.redaction import redact
from carsync.source.auth.token_store import Token, TokenStore
from carsync.source.client import ApiClient, gone_status_rule
from carsync.source.request import Answer
from carsync.source.retry_after import parse_date

BY_RULE = "api.record.gone_when says so"
"""What an answer was where the rule made it mean gone."""


class PageRead(Struct, frozen=True):
    """A page that was read: mapped, and what reading it cost."""

    mapped: MappedPage
    latency_s: float
    wire_bytes: int
    body_bytes: int
    date_s: float | None = None

    def fetched(self) -> PageFetched:
        """Return the event that tells the parent of it."""
        page = self.mapped
        counts = (page.page, page.records, len(page.rejects))
        cost = (self.latency_s, self.wire_bytes, self.body_bytes)
        digest = digest_of_ids(ids_of(page))
        return PageFetched(*counts, *cost, page.info, digest, self.date_s)


class ProbeAnswer(Struct, frozen=True):
    """What an answer proves, and what it was (`detail`); a page's `ids` and its `info`.

    `rule` is the line of `api.record` by which an answer that proves nothing would mean gone.
    `row` is the record's, where the record was found and tells all of one; else `no_row` says why
    it does not.
    """

    verdict: ProbeVerdict
    detail: str = ""
    ids: tuple[str, ...] = ()
    info: PageInfo = PageInfo()
    rule: str = ""
    row: Row | None = None
    no_row: str = ""

    @property
    def cure(self) -> str:
        """Which key would read the answer, in words; empty where none would."""
        words = f"if it means that the car is gone, set api.record.{self.rule}"
        return words if self.rule else ""

    @property
    def words(self) -> str:
        """The detail and the cure in one line."""
        return "; ".join(filter(None, (self.detail, self.cure)))


class FeedReader:
    """Reads pages and records of one feed; one for all threads of a process.

    `connections` is the number of threads that will use it; `tokens` and `tell_token` are as
    for `ApiClient`.
    """

    def __init__(
        self,
        config: Config,
        connections: int,
        tokens: TokenStore | None = None,
        tell_token: Callable[[Token], None] = lambda _: None,
    ) -> None:
        self.client = ApiClient(
            config.api, connections=connections, tokens=tokens, tell_token=tell_token
        )
        self._lists = self.client.lists
        self._mapper = Mapper.load(config, self._lists.paginator.paths)
        self._tombstones = self._mapper.tombstones
        self._key = config.api.auth.key
        self._rules = config.api.record or Record()
        self._gone_rule = GoneRule(self._rules.gone_when, self._mapper)

    def read_page(
        self, lease: PageLease, tell_next: Callable[[str], None] | None = None
    ) -> PageRead:
        """Ask for a page and map it; raise `PageError` where the answer is not that page.

        The end of the feed may be an error's status; it is an empty page then. Of a feed that
        is read page by page, `tell_next` hears the token of the next one before this one is
        mapped, so that nobody waits for that.
        """
        started_s = time.monotonic()
        try:
            if lease.is_over:
                raise PageError(FailureKind.BAD_PAGE, "the feed ended before this page")
            answer = self._get_page(lease)
            if tell_next is not None and not self._lists.paginator.parallel:
                self._peek(lease, answer, tell_next)
            content, info = self._map(lease, answer)
        except PageError as exc:
            status = exc.status or (200 if exc.kind is FailureKind.BAD_PAGE else 0)
            feed_list, page = self._lists.locate(lease.page)
            is_end = feed_list.paginator.is_end(page, status, lease.expected_pages)
            if not lease.is_over and not is_end:
                raise
            answer = Answer(b"", 0, time.monotonic() - started_s, started_s)
            content, info = PageContent((), (), 0), PageInfo()
        rejects, notes = content.rejects, content.notes
        for secret in self.client.authenticator.secrets:
            rejects = tuple(reject.without(secret) for reject in rejects)
            notes = notes.without(secret)
        age_s = time.monotonic() - answer.sent_s
        mapped = MappedPage(lease.page, content.rows, rejects, content.records, info, age_s, notes)
        date_s = parse_date(answer.date) if answer.date else None
        return PageRead(mapped, answer.latency_s, answer.wire_bytes, len(answer.body), date_s)

    def _get_page(self, lease: PageLease) -> Answer:
        answer = self.client.get_page(lease.page, lease.token)
        failpoints.reach("fetch.answered")
        return answer

    def _peek(self, lease: PageLease, answer: Answer, tell_next: Callable[[str], None]) -> None:
        values = self._mapper_of(lease.page).peek(answer.body)
        if values is None:
            return
        paginator = self._lists.locate(lease.page)[0].paginator
        with suppress(PageError):  # raised again where the page is mapped
            token = paginator.read(values, answer.headers).next_token
            if token is not None:
                tell_next(token)

    def _map(self, lease: PageLease, answer: Answer) -> tuple[PageContent, PageInfo]:
        feed_list, page = self._lists.locate(lease.page)
        paginator = feed_list.paginator
        is_first = page == paginator.first and feed_list.index == 0
        mapper = self._mapper_of(lease.page)
        content = mapper.map_page(answer.body, list_fields=is_first, listed=feed_list.values)
        if mapper is self._tombstones:  # they need no hash
            content = replace(content, rows=tuple(row[:-1] for row in content.rows))
        info = paginator.read(content.values, answer.headers)
        fault = paginator.find_fault(
            page, content.records, info, lease.expected_pages, lease.attempt
        )
        if fault is not None:
            raise PageError(FailureKind.BAD_PAGE, fault)
        return content, info

    def _mapper_of(self, page: int) -> Mapper:
        return self._tombstones if self._tombstones and is_removal(page) else self._mapper

    def probe(self, lease: ProbeLease) -> ProbeAnswer:
        """Ask for the record itself, or whether a page lists it, or what a page lists.

        An answer that does not hold the record itself proves nothing. Raises `PageError`.
        """
        if lease.record_id is None:
            assert lease.page is not None
            return self._look(lease.page)
        if lease.page is not None:
            # The page was there in this run: an error's status now says nothing of the car.
            content, _ = self._map(lease.page, self._get_page(lease.page))
            is_listed = lease.record_id in ids_of(content)
            return ProbeAnswer(ProbeVerdict.ALIVE if is_listed else ProbeVerdict.GONE)
        answer = self.client.probe(lease.values or (lease.record_id,))
        if answer.verdict is not ProbeVerdict.ALIVE:
            return ProbeAnswer(answer.verdict, answer.reason, rule=answer.rule)
        record = find_record(self._mapper, answer.body, lease.record_id)
        if record is None:
            return self._judge_answer(answer.body, lease.record_id)
        if self._gone_rule.matches(record):
            return ProbeAnswer(ProbeVerdict.GONE, BY_RULE)
        words = ", ".join(find_signs(record))
        row, why = self._read_row(record)
        return ProbeAnswer(answer.verdict, words, row=row, no_row=why)

    def _read_row(self, record: bytes) -> tuple[Row | None, str]:
        """Return the row of a single record, or None and why there is none."""
        content = self._mapper.map_record(record)
        for reject in content.rejects:
            for secret in self.client.authenticator.secrets:
                reject = reject.without(secret)
            column = f"{reject.column}: " if reject.column else ""
            return None, f"the record is rejected: {column}{reject.reason}"
        if self._mapper.needs_list:
            return None, "the record does not tell on which list it is (mapping.columns: list)"
        return content.rows[0], ""

    def _judge_answer(self, body: bytes, record_id: str) -> ProbeAnswer:
        """Judge a 200 without the record, which may be this API's 404."""
        words, rule = describe_answer(body), ""
        if not words:
            words, rule = "the answer holds nothing", gone_status_rule(self._rules, 200)
            if 200 in self._rules.gone_status:
                return ProbeAnswer(ProbeVerdict.GONE, words)
        elif words == ERROR_OBJECT:
            if self._gone_rule.matches(body):
                return ProbeAnswer(ProbeVerdict.GONE, BY_RULE)
            key = self._key.reveal() if self._key else ""
            if sign := redact(find_error(body, record_id), key):
                rule = f"gone_when: {{{sign}}}"
        return ProbeAnswer(ProbeVerdict.NOTHING, words, rule=rule)

    def _look(self, lease: PageLease) -> ProbeAnswer:
        """Ask for a page that may not be there; a refusal that is the page's own says so."""
        try:
            answer = self._get_page(lease)
            content = self._mapper.map_page(answer.body)
        except PageError as exc:
            if exc.kind not in {FailureKind.CLIENT, FailureKind.BAD_PAGE}:
                raise
            return ProbeAnswer(ProbeVerdict.GONE, exc.problem)
        ids = tuple(i for i in ids_of(content) if i is not None)
        verdict = ProbeVerdict.ALIVE if content.records else ProbeVerdict.GONE
        paginator = self._lists.locate(lease.page)[0].paginator
        return ProbeAnswer(verdict, "", ids, paginator.read(content.values, answer.headers))
