"""The table of columns: no mapping fills a column that carsync manages."""

from __future__ import annotations

import pytest

from carsync.columns import BOOKKEEPING, CLOCKS, COMPARED, DEACTIVATED, MANAGED, TARGET_COLUMNS
from carsync.config.mapping_sections import ColumnRule, MappingRules
from carsync.errors import ConfigError
from tests.support.mappers import load_mapper

WRONG = {
    "path": ColumnRule(path="a"),
    "constant": ColumnRule(constant=False, type="boolean"),
    "text": ColumnRule(constant=True),
    "template": ColumnRule(template="{make}"),
}


def test_every_managed_column_is_bookkeeping_or_compared() -> None:
    assert list(MANAGED) == [
        "source_api",
        "is_active",
        "data_hash",
        "created_at",
        "updated_at",
        "last_synced_at",
    ]
    assert {*BOOKKEEPING, *COMPARED} == MANAGED.keys()
    assert CLOCKS < BOOKKEEPING
    assert MANAGED.keys() >= set(DEACTIVATED)
    assert len({column.name for column in TARGET_COLUMNS}) == len(TARGET_COLUMNS) == 31


@pytest.mark.parametrize("rule", WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize("name", [*MANAGED, "page", "ordinal"])
def test_a_managed_column_cannot_be_mapped(name: str, rule: ColumnRule) -> None:
    with pytest.raises(ConfigError, match=rf"mapping\.columns\.{name}: this column") as caught:
        load_mapper(MappingRules(columns={name: rule}))
    assert f"mapping.columns: {{{name}: null}}" in caught.value.hint


def test_is_active_may_be_fixed_to_true_or_left_out() -> None:
    for rule in (ColumnRule(constant=True, type="boolean"), None):
        mapper = load_mapper(MappingRules(columns={"is_active": rule}))
        fixed = {column.name: value for column, value in mapper.constants}
        assert fixed.get("is_active") is (True if rule else None)
