"""How old the data are, and which age is asked for."""

from __future__ import annotations

from datetime import timedelta

import pytest

from carsync.model import Mode
from carsync.state.checkpoint import CheckpointState, LastOfMode
from carsync.state.freshness import data_at, staleness
from tests.support import snapshots
from tests.support.snapshots import NOW


def state_of(full_h: float | None, incremental_h: float | None) -> CheckpointState:
    """Give a checkpoint with successes so many hours ago."""
    full = None if full_h is None else NOW - timedelta(hours=full_h)
    delta = None if incremental_h is None else NOW - timedelta(hours=incremental_h)
    incremental = None if delta is None else LastOfMode(last_success_at=delta)
    return snapshots.checkpoint(last_success_at=full, incremental=incremental)


@pytest.mark.parametrize(
    ("full_h", "incremental_h", "mode", "age_h"),
    [
        (7, 0.2, "full", 7),
        (7, 0.2, "incremental", 0.2),
        (0.5, 3, "incremental", 0.5),
        (7, None, "incremental", 7),
        (None, 3, "incremental", 3),
        (None, 3, "full", None),
        (None, None, "incremental", None),
    ],
)
def test_a_run_of_the_whole_feed_brings_changes_too_but_not_the_other_way_round(
    full_h: float | None, incremental_h: float | None, mode: Mode, age_h: float | None
) -> None:
    expected = None if age_h is None else NOW - timedelta(hours=age_h)
    assert data_at(state_of(full_h, incremental_h), mode) == expected


def test_each_mode_has_its_age_and_its_words() -> None:
    state = state_of(7, 3)
    assert staleness(state, NOW, 26 * 3600) is None
    said = staleness(state, NOW, 2 * 3600, "incremental")
    assert said == "the newest data are 3 h old, more than 2 h (2026-01-02 00:05:21 UTC)"
    assert staleness(state_of(1, 3), NOW, 2 * 3600, "incremental") is None


def test_staleness_counts_from_the_last_success() -> None:
    state = snapshots.checkpoint()
    assert staleness(state, NOW, 24 * 3600) is None
    assert staleness(state, NOW + timedelta(seconds=1), 24 * 3600) is not None
    reason = staleness(state, NOW + timedelta(days=2), 26 * 3600)
    assert reason is not None
    assert "3 d old, more than 1 d 2 h" in reason


def test_staleness_without_any_success() -> None:
    for state in (None, snapshots.checkpoint(last_success_at=None)):
        reason = staleness(state, NOW, 3600)
        assert reason is not None
        assert "no run has succeeded yet" in reason


def test_a_success_in_the_future_counts_only_within_the_age_asked_for() -> None:
    """A clock that was an hour wrong is forgiven; one that was a year wrong would hide a hang."""
    ahead = snapshots.checkpoint(last_success_at=NOW + timedelta(hours=1))
    assert staleness(ahead, NOW, 26 * 3600) is None
    far_ahead = snapshots.checkpoint(last_success_at=NOW + timedelta(days=365))
    reason = staleness(far_ahead, NOW, 26 * 3600)
    assert reason is not None
    assert "in the future" in reason
