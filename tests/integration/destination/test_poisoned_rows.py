"""Poison on its way into a real table: the good rows land, every bad record is a reject."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carsync.config.sections import LoadMethod
from carsync.mapping.mapper import Mapper
from carsync.model import MappedPage, PageInfo
from carsync.postgres.wait import Connection
from tests.conftest import ask
from tests.support.effort import trials
from tests.support.merge_rig import RecordRig
from tests.support.records import ODD, POISONED, UNKNOWN, page, put, records, values, wrong_types
from tests.unit.mapping.test_poisoned_records import PRESET, STRICT

MAPPERS = pytest.mark.parametrize("mapper", [PRESET, STRICT], ids=["preset", "strict"])
METHODS = pytest.mark.parametrize("method", ["execute_values", "copy"])


def all_records() -> list[str]:
    """Return the corpus, ids of their own for the records of a wrong type."""
    poisoned = [text for text, _ in POISONED.values()]
    typed = [
        text.replace('"id": 666', f'"id": {1000 + n}')
        for n, (_, text) in enumerate(wrong_types())
        if len(text) < 20_000
    ]
    return [*ODD.values(), *UNKNOWN.values(), *poisoned, *typed]


@MAPPERS
@METHODS
def test_the_whole_corpus_lands_or_is_rejected_with_its_text(
    conn: Connection, mapper: Mapper, method: LoadMethod
) -> None:
    intake = RecordRig(conn, mapper, method)
    texts = all_records()
    lines = [intake.stage(*texts[n : n + 50]) for n in range(0, len(texts), 50)]
    assert intake.refused() == [], "the mapping alone knows what no column can hold"
    counts = intake.merge()
    assert counts.rejected == sum(line.rejects for line in lines)
    rows = sum(line.rows for line in lines)
    assert counts.inserted + counts.duplicate == rows > 100
    assert ask(conn, "SELECT count(*) FROM cars WHERE is_active") == [(counts.inserted,)]
    found = ask(conn, "SELECT page, ordinal, reason, original, original_kind FROM carsync.rejects")
    for number, ordinal, reason, original, kind in found:
        assert reason
        assert (original == texts[(number - 1) * 50 + ordinal]) is (kind == "record")
    assert ask(conn, "SELECT bool_and(fetched_at <= rejected_at) FROM carsync.rejects") == [(True,)]


@MAPPERS
@METHODS
def test_arbitrary_records_never_fail_a_batch(
    conn: Connection, mapper: Mapper, method: LoadMethod
) -> None:
    intake = RecordRig(conn, mapper, method)

    @settings(
        max_examples=trials(30, 2_000), suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(texts=st.lists(records, min_size=1, max_size=8))
    def stage(texts: list[str]) -> None:
        intake.stage(*texts)

    stage()
    assert intake.refused() == []
    assert intake.merge().rejected == ask(conn, "SELECT count(*) FROM carsync.rejects")[0][0]


@METHODS
def test_arbitrary_json_in_a_json_column_never_fails_a_batch(
    conn: Connection, method: LoadMethod
) -> None:
    intake = RecordRig(conn, STRICT, method)

    @settings(
        max_examples=trials(30, 2_000), suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(texts=st.lists(values, min_size=1, max_size=8))
    def stage(texts: list[str]) -> None:
        intake.stage(*(put("lots", text, record_id=n) for n, text in enumerate(texts)))

    stage()
    assert intake.refused() == []


@METHODS
def test_json_nested_as_deeply_as_the_mapping_takes_lands(
    conn: Connection, method: LoadMethod
) -> None:
    intake = RecordRig(conn, STRICT, method)
    for depth in (100, 400, 900, 2_000, 6_000, 50_000):
        intake.stage(put("lots", "[" * depth + "]" * depth, record_id=depth))
    assert intake.refused() == []


@METHODS
def test_a_text_of_many_megabytes_lands(conn: Connection, method: LoadMethod) -> None:
    intake = RecordRig(conn, PRESET, method)
    length = trials(4, 100) * 1_000_000
    line = intake.stage(put("vin", f'"{"v" * length}"', 1), put("vin", '"short"', 2))
    assert line.rows == 2
    assert ask(
        conn, f"SELECT length(vin) FROM carsync.staging_{intake.run.run_id} ORDER BY ordinal"
    ) == [(length,), (5,)]


@METHODS
def test_json_nested_more_deeply_than_the_server_s_stack_costs_its_row(
    conn: Connection, method: LoadMethod
) -> None:
    """The mapping stops before that; the stager does not count on it."""
    intake = RecordRig(conn, STRICT, method)
    content = STRICT.map_page(page(put("lots", "[]", 1), put("lots", "[]", 2)))
    lots = [column.name for column in STRICT.columns].index("images") + 1
    deep = list(content.rows[0])
    deep[lots] = "[" * 30_000 + "]" * 30_000
    mapped = MappedPage(1, (tuple(deep), content.rows[1]), (), 2, PageInfo(), 0.0)
    (line,) = intake.stager.stage([mapped])
    assert (line.rows, line.rejects) == (1, 1)
    [(reason, original)] = intake.refused()
    assert "stack depth" in reason
    assert json.loads(original)["id"] == "1"
