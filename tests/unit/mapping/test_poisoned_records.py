"""Poisoned records cost themselves, and mapping never raises anything but its own errors."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carsync.config.api_sections import Pagination
from carsync.config.mapping_sections import ColumnRule, MappingRules
from carsync.errors import PageError
from carsync.mapping.mapper import Mapper, PageContent
from tests.support.effort import trials
from tests.support.mappers import load_mapper
from tests.support.records import (
    GOOD,
    ODD,
    POISONED,
    UNKNOWN,
    page,
    put,
    records,
    values,
    wrong_types,
)

PRESET = load_mapper()
STRICT = load_mapper(
    MappingRules(
        preset=None,
        columns={
            "id": ColumnRule(path="id", required=True),
            "make": ColumnRule(path="manufacturer.name"),
            "year": ColumnRule(path="year", type="integer"),
            "price": ColumnRule(path="vin", type="numeric"),
            "final_bid": ColumnRule(path="lots.0.bid", type="numeric", number="prefix"),
            "is_live": ColumnRule(path="title", type="boolean"),
            "sale_date": ColumnRule(path="vin", type="timestamptz"),
            "images": ColumnRule(path="lots", type="jsonb"),
            "raw": ColumnRule(path="", type="jsonb"),
        },
    ),
    Pagination(),
)
"""No rule of it has a default: whatever is unreadable rejects its record."""
MAPPERS = pytest.mark.parametrize("mapper", [PRESET, STRICT], ids=["preset", "strict"])
CORPUS = {
    **{name: text for name, (text, _) in POISONED.items()},
    **UNKNOWN,
    **ODD,
    **dict(wrong_types()),
}


def assert_sound(content: PageContent, texts: list[str]) -> None:
    """Hold what a page gave against what it must give, whatever its records were."""
    assert content.records == len(texts)
    ordinals = sorted([*(row[0] for row in content.rows), *(r.ordinal for r in content.rejects)])
    assert ordinals == list(range(len(texts))), "rows + rejects = records"
    for reject in content.rejects:
        assert reject.reason
        assert reject.reason.isprintable()
        assert len(reject.reason) < 500
        reject.original.encode()
        assert "\0" not in reject.original
        exact = reject.original == texts[reject.ordinal]
        assert (reject.original_kind == "record") is exact


def test_the_corpus_holds_every_kind_of_poison_at_every_mapped_path() -> None:
    assert len(POISONED) + len(UNKNOWN) >= 40
    assert len(CORPUS) > 600


@MAPPERS
def test_every_poisoned_record_is_a_row_or_a_reject_and_its_neighbours_land(
    mapper: Mapper,
) -> None:
    alone = mapper.map_page(page(GOOD))
    for name, text in CORPUS.items():
        content = mapper.map_page(page(GOOD, text, GOOD))
        assert_sound(content, [GOOD, text, GOOD])
        assert content.rows[0] == alone.rows[0], name
        assert content.rows[-1][1:] == alone.rows[0][1:], name


@MAPPERS
def test_the_whole_corpus_on_one_page(mapper: Mapper) -> None:
    texts = list(CORPUS.values())
    content = mapper.map_page(page(*texts))
    assert_sound(content, texts)
    single = [mapper.map_page(page(text)) for text in texts]
    assert [row[1:] for row in content.rows] == [row[1:] for one in single for row in one.rows]
    assert [(r.record_id, r.column, r.reason) for r in content.rejects] == [
        (r.record_id, r.column, r.reason) for one in single for r in one.rejects
    ]


@MAPPERS
def test_a_record_alone_has_the_fate_that_it_has_on_a_page(mapper: Mapper) -> None:
    for name, text in CORPUS.items():
        alone = mapper.map_record(text.encode("utf-8", "surrogateescape"))
        assert alone == mapper.map_page(page(text)), name


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_what_only_looks_poisonous_lands(text: str) -> None:
    assert PRESET.map_page(page(text)).rejects == ()


@pytest.mark.parametrize("length", [trials(4, 100) * 1_000_000])
def test_a_text_of_many_megabytes_is_a_value_like_any_other(length: int) -> None:
    long = "ä" * (length // 2)
    content = PRESET.map_page(page(GOOD, put("vin", f'"{long}"'), GOOD))
    vin = [column.name for column in PRESET.columns].index("vin")
    assert content.rows[1][vin + 1] == long
    poisoned = put("vin", f'"{long}\\u0000"')
    content = PRESET.map_page(page(GOOD, poisoned, GOOD))
    assert_sound(content, [GOOD, poisoned, GOOD])
    assert len(content.rejects[0].original) == 1_000_000


@MAPPERS
@settings(max_examples=trials(40, 5_000))
@given(texts=st.lists(records, min_size=1, max_size=12))
def test_arbitrary_values_at_arbitrary_places(mapper: Mapper, texts: list[str]) -> None:
    mixed = [GOOD, *texts, GOOD]
    content = mapper.map_page(page(*mixed))
    assert_sound(content, mixed)
    assert {0, len(mixed) - 1} <= {row[0] for row in content.rows}, "the good ones land"


@settings(max_examples=trials(40, 5_000))
@given(bodies=st.lists(values, max_size=4), cut=st.integers(0, 400))
def test_a_body_that_is_no_page_raises_page_errors_only(bodies: list[str], cut: int) -> None:
    body = page(GOOD, *bodies)
    for piece in (body[:cut], body[cut:], *(b.encode("utf-8", "surrogateescape") for b in bodies)):
        try:
            content = PRESET.map_page(piece)
        except PageError:
            continue
        assert len(content.rows) + len(content.rejects) == content.records


def test_a_record_keeps_its_fate_whatever_stands_beside_it() -> None:
    """One poisoned record sends its page down another path: that path gives the same rows."""
    pairs = itertools.pairwise(CORPUS.items())
    for (name, text), (_, other) in itertools.islice(pairs, 0, None, trials(8, 1)):
        alone = PRESET.map_page(page(text))
        beside = PRESET.map_page(page(text, other))
        assert [r[1:] for r in alone.rows] == [r[1:] for r in beside.rows if r[0] == 0], name
