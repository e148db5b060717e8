"""What a run changes in its configuration arrives at a worker whole, and nothing else does."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from carsync.config.sections import Config
from carsync.engine.dask.overlay import difference, lay_over
from carsync.redaction import Secret
from tests.support.findings import keyed_config

BASE = keyed_config()
WORDS = st.text(max_size=5)
PARAMS = st.dictionaries(WORDS, WORDS, max_size=4)
TYPES = st.sampled_from(["text", "bigint", "uuid"])


@st.composite
def changed(draw: st.DrawFn, config: Config = BASE) -> Config:
    """Give a configuration as a run may change it: window, paging, types of ids, table."""
    columns = dict(config.mapping.columns)
    for name in draw(st.lists(st.sampled_from(sorted(columns)), unique=True, max_size=3)):
        rule = columns[name]
        if rule is not None and draw(st.booleans()):
            columns[name] = replace(rule, path=draw(WORDS), type=draw(TYPES))
        else:
            del columns[name]
    if draw(st.booleans()):
        columns[draw(WORDS)] = next(iter(config.mapping.columns.values()))
    pagination = replace(config.api.pagination, page_size=draw(st.integers(1, 500)))
    api = replace(config.api, params=draw(PARAMS), pagination=pagination)
    database = replace(config.database, table=draw(WORDS), batch_size=draw(st.integers(1, 9)))
    limits = replace(config.limits, requests_per_second=draw(st.floats(0, 50)))
    mapping = replace(config.mapping, columns=columns)
    return replace(config, api=api, database=database, limits=limits, mapping=mapping)


@settings(max_examples=30)
@given(before=changed(), after=changed())
def test_an_overlay_turns_one_configuration_into_the_other(before: Config, after: Config) -> None:
    overlay = pickle.loads(pickle.dumps(difference(before, after)))
    laid = lay_over(before, overlay)
    assert laid == after
    assert list(laid.mapping.columns) == list(after.mapping.columns)
    assert difference(laid, after) == {}


def test_nothing_is_sent_where_nothing_changed() -> None:
    assert difference(BASE, BASE) == {}


def test_a_secret_never_crosses_the_cluster() -> None:
    auth = replace(BASE.api.auth, key=Secret("another"))
    with pytest.raises(AssertionError):
        difference(BASE, replace(BASE, api=replace(BASE.api, auth=auth)))
    overlay: Any = difference(BASE, replace(BASE, database=replace(BASE.database, table="vans")))
    assert overlay == {"database": {"table": "vans"}}
