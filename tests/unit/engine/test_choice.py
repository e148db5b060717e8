"""Which engine a configuration gets, and what is said where its package is missing."""

from __future__ import annotations

import sys

import pytest

from carsync.engine.base import GivenFeed
from carsync.engine.choice import check_engine, new_engine
from carsync.engine.local.fleet import Fleet
from carsync.errors import ConfigError
from carsync.source.auth.token_store import TokenStore
from tests.support.fake_clock import FakeClock
from tests.support.findings import keyed_config

CLUSTER = "engine: {type: dask, scheduler: 'tcp://127.0.0.1:8786'}"


def test_the_local_engine_is_the_default() -> None:
    config = keyed_config()
    engine = new_engine(
        GivenFeed(config, {}), config, 0, "", (), idle_s=0.0, tokens=TokenStore(FakeClock())
    )
    assert isinstance(engine, Fleet)


def test_a_cluster_without_its_package_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in sys.modules if name.startswith("carsync.engine.dask")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError) as caught:
        check_engine(keyed_config(CLUSTER))
    assert "distributed is not installed" in caught.value.problem
    assert "pip install 'carsync[cluster]'" in caught.value.hint
    check_engine(keyed_config())
