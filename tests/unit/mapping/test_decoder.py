"""Pages: whatever the bytes, records or `PageError`; one bad record never loses the others."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carsync.config.api_sections import Api, Pagination
from carsync.config.mapping_sections import ColumnRule, MappingRules
from carsync.errors import FailureKind, PageError
from carsync.mapping.mapper import Mapper, PageContent
from carsync.model import PageInfo
from carsync.source.pagination.base import load_paginator
from tests.support.effort import trials
from tests.support.folders import GOLDEN_FILE
from tests.support.mappers import load_mapper

GOLDEN = json.loads(GOLDEN_FILE.read_text(encoding="utf-8"))
RECORDS: list[dict[str, Any]] = [case["record"] for case in GOLDEN]
MAPPER = load_mapper()
PAGE = json.dumps({"data": RECORDS[:5], "meta": {"last_page": 9, "total": 900}}).encode()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


def map_page(body: bytes, **pagination: Any) -> PageContent:
    return read_page(body, **pagination)[0]


def read_page(body: bytes, **pagination: Any) -> tuple[PageContent, PageInfo]:
    """Map a page, and read what it says of its feed."""
    columns = {
        "id": ColumnRule(path="id", required=True),
        "make": ColumnRule(path="make.name"),
    }
    keys = Pagination(**pagination)
    paginator = load_paginator(Api(pagination=keys))
    mapper = load_mapper(MappingRules(preset=None, columns=dict(columns)), keys, paginator.paths)
    content = mapper.map_page(body)
    return content, paginator.read(content.values, {})


def ids(content: PageContent) -> list[str]:
    return [row[1] for row in content.rows]


@pytest.mark.parametrize(
    ("pagination", "body", "totals"),
    [
        ({}, '{"data": [{"id": 1}], "meta": {"last_page": 7, "total": 70}}', (7, 70)),
        ({}, '{"data": [{"id": 1}]}', (None, None)),
        ({}, '{"data": [{"id": 1}], "meta": null}', (None, None)),
        ({}, '{"data": [{"id": 1}], "meta": []}', (None, None)),
        ({}, '{"data": [{"id": 1}], "meta": {"last_page": "7", "total": 7.5}}', (7, None)),
        ({}, '{"data": [{"id": 1}], "meta": {"last_page": -1, "total": true}}', (None, None)),
        ({"records": ""}, '[{"id": 1}]', (None, None)),
        (
            {"records": "result.items", "total_pages": "result.pages", "total_records": None},
            '{"result": {"items": [{"id": 1}], "pages": 3}}',
            (3, None),
        ),
        ({"records": "0.data"}, '[{"data": [{"id": 1}]}]', (None, None)),
        ({"records": 'a"b'}, '{"a\\"b": [{"id": 1}]}', (None, None)),
        ({}, '\ufeff{"data": [{"id": 1}]}', (None, None)),
        ({}, '{"\\u0064ata": [{"id": 1}]}', (None, None)),
        ({}, '{"data": 3, "data": [{"id": 1}]}', (None, None)),
    ],
)
@pytest.mark.parametrize("poison", ["", ', {"id": NaN}'])
def test_records_and_totals_are_found_in_sound_and_in_poisoned_pages(
    pagination: dict[str, Any], body: str, totals: tuple[int | None, int | None], poison: str
) -> None:
    poisoned = body.replace('{"id": 1}', '{"id": 1}' + poison).encode()
    content, info = read_page(poisoned, **pagination)
    assert ids(content) == ["1"]
    assert len(content.rejects) == bool(poison)
    assert (info.total_pages, info.total_records) == totals


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  ",
        b"null",
        b"7",
        b"[]",
        b"{}",
        b'"data"',
        b"\x00",
        b"\xff\xfe",
        b"<!DOCTYPE html><html><body>Just a moment</body></html>",
        b'{"data": null}',
        b'{"data": {"0": {"id": 1}}}',
        b'{"data": "x"}',
        b'{"data": NaN}',
        b'{"data": [{"id": 1}',
        b'{"data": [{"id": 1}]',
        b'{"data": [{"id": 1}]} trailing',
        b'{"data": [{"id": 1},]}',
        b'{"data": [,]}',
        b'{"data": [{"id": 1} {"id": 2}]}',
        b'{"data": [{"id": 1, "make": {"name": "BMW}}]}',
        b'{"data": [{"id": 1]}',
        b'{"data": [{"id": undefined}]}',
        b'{"data": [NaN], "meta": oops}',
        b'{"data" [NaN]}',
        b"{data: [NaN]}",
        b'{"error": "no", "x": NaN}',
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"data":' * 100_000,
    ],
    ids=lambda body: body[:40].decode("ascii", "replace"),
)
def test_what_is_no_page_is_a_bad_page(body: bytes) -> None:
    with pytest.raises(PageError) as caught:
        map_page(body)
    assert caught.value.kind is FailureKind.BAD_PAGE


def test_a_bad_page_is_not_quoted_since_it_may_echo_the_key() -> None:
    with pytest.raises(PageError) as caught:
        map_page(b"<html>your key s3cret is wrong</html>")
    assert "s3cret" not in str(caught.value)
    assert "HTML" in str(caught.value)


def test_an_empty_page_is_a_page() -> None:
    content = map_page(b'{"data": []}')
    assert (content.rows, content.rejects, content.records) == ((), (), 0)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_give_a_page_or_a_page_error(body: bytes) -> None:
    _map_or_refuse(MAPPER, body)


@given(st.text(st.sampled_from('{}[]",:\\datme01N\x00 \ud800'), max_size=40))
def test_near_json_gives_a_page_or_a_page_error(text: str) -> None:
    _map_or_refuse(MAPPER, b'{"data":[' + text.encode("utf-8", "surrogatepass"))
    _map_or_refuse(MAPPER, b'{"data":[{"id":' + text.encode("utf-8", "surrogatepass") + b"}]}")


@settings(max_examples=trials(100, 2_000))
@given(
    st.lists(
        st.tuples(st.integers(0, len(PAGE)), st.integers(0, 3), st.binary(max_size=3)),
        min_size=1,
        max_size=4,
    )
)
def test_mutated_pages_give_a_page_or_a_page_error(edits: list[tuple[int, int, bytes]]) -> None:
    body = PAGE
    for position, removed, inserted in edits:
        body = body[:position] + inserted + body[position + removed :]
    _map_or_refuse(MAPPER, body)


@given(st.integers(0, len(PAGE) - 1))
def test_a_truncated_page_is_a_bad_page(length: int) -> None:
    with pytest.raises(PageError):
        MAPPER.map_page(PAGE[:length])


@given(st.lists(JSON, max_size=4))
def test_any_records_are_accounted_for(records: list[Any]) -> None:
    content = _map_or_refuse(MAPPER, json.dumps({"data": records}).encode())
    assert content is not None
    assert content.records == len(records)
    ordinals = [row[0] for row in content.rows] + [reject.ordinal for reject in content.rejects]
    assert sorted(ordinals) == list(range(len(records)))


@st.composite
def mutated_records(draw: st.DrawFn) -> list[Any]:
    """Real records, some with a part replaced by any JSON value."""
    records = json.loads(json.dumps(draw(st.lists(st.sampled_from(RECORDS), max_size=4))))
    for record in records:
        node: Any = record
        while isinstance(node, dict | list) and node:
            key = draw(st.sampled_from(sorted(node) if isinstance(node, dict) else [0]))
            if not isinstance(node[key], dict | list) or draw(st.integers(0, 3)) == 0:
                node[key] = draw(JSON)
                break
            node = node[key]
    return list(records)


@settings(max_examples=trials(100, 2_000))
@given(mutated_records())
def test_sound_records_map_the_same_in_a_page_with_a_poisoned_one(records: list[Any]) -> None:
    sound = MAPPER.map_page(json.dumps({"data": records}).encode())
    poisoned = MAPPER.map_page(
        json.dumps({"data": [*records, {"id": float("nan")}]}, ensure_ascii=False).encode(
            "utf-8", "surrogatepass"
        )
    )
    assert poisoned.rows == sound.rows
    assert [(r.ordinal, r.column) for r in poisoned.rejects[:-1]] == [
        (r.ordinal, r.column) for r in sound.rejects
    ]


def _map_or_refuse(mapper: Mapper, body: bytes) -> PageContent | None:
    """Map a page as a fetcher does: rows and rejects have to be fit for PostgreSQL."""
    content: PageContent | None
    try:
        content = mapper.map_page(body)
    except PageError as exc:
        texts = [str(exc)]
        content = None
    else:
        texts = [value for row in content.rows for value in row if isinstance(value, str)]
        for reject in content.rejects:
            texts += [reject.reason, reject.original, reject.record_id or "", reject.column or ""]
    for text in texts:
        text.encode()
        assert "\0" not in text
    return content


def test_nesting_near_the_limit_of_recursion_costs_its_record_at_most() -> None:
    limit = sys.getrecursionlimit()
    for depth in [*range(limit // 8, limit, 20), *range(limit - 120, limit + 20)]:
        deep = "[" * depth + "]" * depth
        poisoned = f'{{"id": 6, "lots": [{{"images": {{"normal": {deep}}}}}]}}'
        body = f'{{"data": [{json.dumps(RECORDS[0])}, {poisoned}]}}'
        content = _map_or_refuse(MAPPER, body.encode())
        assert content is not None
        assert [row[0] for row in content.rows] == [0]
        assert content.rejects[0].record_id == "6"
