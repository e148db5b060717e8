"""How old the data are, in words; `test_status.py` shows them in their place."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from carsync.reporting.views.freshness import describe
from carsync.state.checkpoint import LastOfMode
from tests.support import snapshots
from tests.support.snapshots import LAST, NOW

HOUR_AGO = NOW - timedelta(hours=1)
DELTA = LastOfMode(last_completed=replace(LAST, run_id=51), last_success_at=HOUR_AGO)
FAILED = replace(LAST, run_id=52, exit_code=5)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"incremental": DELTA}, "1 h old (incremental run 51); whole feed: 1 d old (full run 41)"),
        ({"incremental": DELTA, "last_success_at": NOW}, "0 s old (full run 41)"),
        (
            {"incremental": DELTA, "last_success_at": None, "last_completed": None},
            "1 h old (incremental run 51); whole feed: no full run has succeeded yet",
        ),
        (
            {"incremental": replace(DELTA, last_completed=FAILED), "last_completed": FAILED},
            "1 h old (incremental run); whole feed: 1 d old (full run)",
        ),
        ({"incremental": LastOfMode(), "last_success_at": None}, ""),
    ],
)
def test_the_newest_data_and_those_of_the_whole_feed(changes: dict[str, Any], said: str) -> None:
    assert describe(snapshots.checkpoint(**changes), NOW) == said
