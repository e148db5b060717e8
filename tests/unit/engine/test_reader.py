"""One attempt at a page or a record, against answers of the test's own."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from carsync.config.api_sections import Api, Auth
from carsync.config.parser import parse
from carsync.engine.messages import PageLease, ProbeLease
from carsync.engine.reader import FeedReader, ProbeAnswer
from carsync.errors import FailureKind, PageError
from carsync.model import PageInfo, ProbeVerdict
from carsync.redaction import Secret
from carsync.source.auth.base import load_authenticator
from carsync.source.client import RecordAnswer
from carsync.source.request import Answer

KEY = "hush-7f3a-91bc-5e1d"
CONFIG = """
api:
  base_url: http://127.0.0.1:9
  pagination: {page_size: 2}
mapping:
  preset: null
  columns: {id: {path: id, required: true}, year: {path: year, type: integer}}
"""


class Feed:
    """A reader whose client answers what it is told, or raises it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *overrides: str) -> None:
        self.answer: bytes | PageError = b""
        self.by_id = RecordAnswer(ProbeVerdict.ALIVE)
        self.reader = FeedReader(parse(CONFIG, {"API_KEY": KEY}, overrides), 1)
        monkeypatch.setattr(self.reader.client, "get_page", self._get_page)
        monkeypatch.setattr(self.reader.client, "probe", lambda record_id: self.by_id)

    def _get_page(self, page: int, token: str | None) -> Answer:
        if isinstance(self.answer, PageError):
            raise self.answer
        return Answer(self.answer, 20, 0.4, time.monotonic() - 3.0)

    def lists(self, *records: dict[str, Any], total: int | None = None) -> None:
        meta = {} if total is None else {"last_page": -(-total // 2), "total": total}
        self.answer = json.dumps({"data": records, "meta": meta}).encode()


@pytest.fixture
def feed(monkeypatch: pytest.MonkeyPatch) -> Feed:
    return Feed(monkeypatch)


def test_a_page_is_mapped_as_old_as_its_request_and_its_rejects_quote_no_key(feed: Feed) -> None:
    feed.lists({"id": "a", "year": 2019}, {"id": "b", "year": f"no {KEY}"}, total=3)
    read = feed.reader.read_page(PageLease(1, 1))
    assert [row[1] for row in read.mapped.rows] == ["a"]
    assert (read.mapped.records, read.mapped.info) == (2, PageInfo(2, 3))
    assert 3.0 <= read.mapped.age_s < 60
    (reject,) = read.mapped.rejects
    assert reject.record_id == "b"
    assert KEY not in reject.original + reject.reason
    told = read.fetched()
    assert (told.page, told.records, told.rejects, told.info) == (1, 2, 1, PageInfo(2, 3))
    assert (told.wire_bytes, told.body_bytes) == (20, len(feed.answer))  # type: ignore[arg-type]


def test_a_reject_quotes_no_secret_of_any_kind_of_key(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = Feed(monkeypatch)
    auth = Auth(type="basic", username=Secret("me"), password=Secret("velvet-4c1d"))
    feed.reader.client.authenticator = load_authenticator(Api(base_url="http://h", auth=auth))
    feed.lists({"id": "b", "year": "no velvet-4c1d"}, total=1)
    (reject,) = feed.reader.read_page(PageLease(1, 1)).mapped.rejects
    assert "velvet" not in reject.original + reject.reason


def test_an_answer_that_is_not_the_page_is_a_bad_page(feed: Feed) -> None:
    feed.lists({"id": "a"}, total=2000)
    with pytest.raises(PageError, match="instead of") as caught:
        feed.reader.read_page(PageLease(1, 1))
    assert caught.value.kind is FailureKind.BAD_PAGE


def test_404_is_the_end_of_a_feed_without_totals_and_an_error_of_any_other(feed: Feed) -> None:
    feed.answer = PageError(FailureKind.CLIENT, "not found", status=404)
    mapped = feed.reader.read_page(PageLease(2, 1)).mapped
    assert (mapped.rows, mapped.records, mapped.info) == ((), 0, PageInfo())
    with pytest.raises(PageError, match="not found"):
        feed.reader.read_page(PageLease(2, 1, expected_pages=5))


def test_a_page_says_whether_it_lists_a_record(feed: Feed) -> None:
    feed.lists({"id": "a"}, {"id": "b"}, total=2)
    for record_id, verdict in (("b", ProbeVerdict.ALIVE), ("c", ProbeVerdict.GONE)):
        lease = ProbeLease(record_id, 1, PageLease(1, 1))
        assert feed.reader.probe(lease) == ProbeAnswer(verdict)


def test_a_200_counts_only_where_it_holds_the_record_itself(feed: Feed) -> None:
    feed.by_id = RecordAnswer(ProbeVerdict.ALIVE, b'{"data": {"id": "a"}}')
    feed.lists({"id": "a"}, total=1)
    row = feed.reader.read_page(PageLease(1, 1)).mapped.rows[0]
    alive = ProbeAnswer(ProbeVerdict.ALIVE, row=row)
    assert feed.reader.probe(ProbeLease("a", 1)) == alive, "as its page lists it"
    nothing = ProbeAnswer(ProbeVerdict.NOTHING, "the answer is not the record asked for")
    assert feed.reader.probe(ProbeLease("b", 1)) == nothing
    feed.by_id = RecordAnswer(ProbeVerdict.GONE)
    assert feed.reader.probe(ProbeLease("b", 1)) == ProbeAnswer(ProbeVerdict.GONE)


def test_a_record_alone_gives_no_row_where_a_column_takes_the_value_of_its_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lists = ("api.lists={make: [Kia, BMW]}", "mapping.columns.make={list: make}")
    feed = Feed(monkeypatch, *lists)
    feed.by_id = RecordAnswer(ProbeVerdict.ALIVE, b'{"data": {"id": "a"}}')
    found = feed.reader.probe(ProbeLease("a", 1))
    assert (found.verdict, found.row) == (ProbeVerdict.ALIVE, None)
    assert "does not tell on which list it is" in found.no_row


def test_an_answer_that_proves_nothing_names_the_key_that_would_read_it(feed: Feed) -> None:
    feed.by_id = RecordAnswer(ProbeVerdict.ALIVE, b"null")
    answer = feed.reader.probe(ProbeLease("b", 1))
    assert "api.record.gone_status: [404, 410, 200]" in answer.words
    feed.by_id = RecordAnswer(ProbeVerdict.ALIVE, f'{{"error": "no such {KEY}"}}'.encode())
    answer = feed.reader.probe(ProbeLease("b", 1))
    assert 'api.record.gone_when: {.error: "no such ***"}' in answer.words


def test_an_error_object_is_gone_where_the_rule_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = Feed(monkeypatch, "api.record.gone_when={.error: no such car}")
    feed.by_id = RecordAnswer(ProbeVerdict.ALIVE, b'{"error": "no such car"}')
    assert feed.reader.probe(ProbeLease("b", 1)).verdict is ProbeVerdict.GONE
    feed.by_id = RecordAnswer(ProbeVerdict.ALIVE, b'{"error": "out of order"}')
    assert feed.reader.probe(ProbeLease("b", 1)).verdict is ProbeVerdict.NOTHING


def test_a_look_tells_what_a_page_lists_and_a_refusal_that_none_is_there(feed: Feed) -> None:
    feed.lists({"id": "a"}, {"id": "b"}, total=2)
    look = ProbeLease(None, 1, PageLease(9, 1))
    answer = feed.reader.probe(look)
    assert (answer.verdict, answer.ids) == (ProbeVerdict.ALIVE, ("a", "b"))
    assert answer.info.total_records == 2
    feed.answer = PageError(FailureKind.CLIENT, "out of range", status=400)
    assert feed.reader.probe(look) == ProbeAnswer(ProbeVerdict.GONE, "out of range")
    feed.answer = PageError(FailureKind.SERVER, "down", status=500)
    with pytest.raises(PageError):
        feed.reader.probe(look)


def test_pages_with_the_same_ids_have_the_same_digest(feed: Feed) -> None:
    digests = []
    pages: list[list[dict[str, str]]]
    pages = [[{"id": "a"}, {"id": "b"}], [{"id": "a"}, {"id": "b"}], [{"id": "b"}], [{}]]
    for records in pages:
        feed.lists(*records, total=len(records))
        digests.append(feed.reader.read_page(PageLease(1, 1)).fetched().digest)
    assert digests[0] == digests[1] != digests[2]
    assert digests[3] == 0  # a record without an id may be any
