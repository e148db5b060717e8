"""The record of changes: summarised, and forgotten in time."""

from __future__ import annotations

import pytest

from carsync.errors import RevertError
from carsync.state import changes
from tests.conftest import ask
from tests.support.merge_rig import SOURCE, TARGET, Rig, cars, revert


def test_changes_are_forgotten_in_time(rig: Rig, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "PRUNE_ROWS", 3)
    rig.sync(cars(range(8)))
    old = rig.run.run_id
    ask(rig.conn, "UPDATE carsync.runs SET merged_at = now() - interval '31 days'")
    rig.sync(cars(range(8), "b"))
    assert changes.prune(rig.conn, TARGET, SOURCE, 32) == 0
    monkeypatch.setattr(changes, "PRUNE_S", 0.0)
    assert changes.prune(rig.conn, TARGET, SOURCE, 30) == 0, "no time"
    with pytest.raises(RevertError, match="no longer recorded"):
        revert(dsn, old)
    monkeypatch.setattr(changes, "PRUNE_S", 20.0)
    assert changes.prune(rig.conn, TARGET, SOURCE, 30) == 8
    assert changes.prune(rig.conn, TARGET, SOURCE, 30) == 0
    assert ask(rig.conn, "SELECT DISTINCT run_id FROM carsync.changes") == [(rig.run.run_id,)]
    with pytest.raises(RevertError, match="no longer recorded"):
        revert(dsn, old)
    assert revert(dsn, rig.run.run_id)[1].counts.updated == 8


def test_a_car_is_followed_by_its_id_however_that_is_spelt(rig: Rig) -> None:
    rig.sync(cars(range(8)))
    for spelling in ("007", " +7", "x"):
        assert changes.list_car_changes(rig.conn, TARGET, spelling, 9) == []
    ask(rig.conn, "ALTER TABLE cars ALTER COLUMN id TYPE bigint USING id::bigint")
    for spelling in ("7", "007", " +7"):
        assert len(changes.list_car_changes(rig.conn, TARGET, spelling, 9)) == 1
    assert changes.list_car_changes(rig.conn, TARGET, "x", 9) == []
