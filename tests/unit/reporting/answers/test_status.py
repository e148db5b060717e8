"""The status as JSON: what the file holds, the true state, and the ages."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import msgspec

from carsync.postgres.sessions import DatabaseSession
from carsync.reporting.answers.status import tell_status
from carsync.state.checkpoint import LastOfMode
from tests.support import snapshots
from tests.support.snapshots import DAY_H, NOW

FILE = Path("/var/lib/carsync/x.json")


def test_data_hold_the_file_s_fields_and_the_true_state() -> None:
    data = msgspec.to_builtins(tell_status(FILE, snapshots.checkpoint(), NOW, False, DAY_H))
    assert data["state"] == "interrupted"
    assert data["recorded_state"] == "running"
    assert data["lock_held"] is False
    assert data["pages_done"] == 812
    assert data["pages_failed_count"] == data["pages_given_up"]
    assert data["errors"] == {"rate_limited": 2, "timeout": 1}
    last = data["last_completed"]
    assert last["counts"]["inserted"] == 2000
    assert last["acceptance"] == last["checks"]
    assert data["latency"]["p95_s"] == data["latency_p95_s"]
    assert data["age_s"] == 72.0
    assert data["updated_age_s"] == 2.0
    assert data["last_success_age_s"] == 86400.0
    assert data["checkpoint"] == str(FILE)
    assert "sessions" not in data


def test_without_a_checkpoint_the_state_is_none() -> None:
    session = DatabaseSession(1, "carsync", "idle", "", 2.0, [], False)
    data = msgspec.to_builtins(tell_status(FILE, None, NOW, False, DAY_H, sessions=[session]))
    assert (data["state"], data["lock_held"]) == ("none", False)
    assert data["next_step"] == "run `carsync sync`"
    assert data["sessions"] == data["database_sessions"] == [msgspec.to_builtins(session)]


def test_both_modes_are_told_with_their_ages_and_next_steps() -> None:
    full = snapshots.checkpoint()
    success_at = NOW - timedelta(minutes=12)
    incremental = LastOfMode(last_completed=snapshots.LAST, last_success_at=success_at)
    state = msgspec.structs.replace(
        full, mode="incremental", state="complete", incremental=incremental, other=full.standing
    )
    data = msgspec.to_builtins(tell_status(FILE, state, NOW, False, DAY_H))
    assert (data["mode"], data["newest_data_age_s"], data["last_success_age_s"]) == (
        "incremental",
        720.0,
        86400.0,
    )
    assert data["incremental"]["last_success_age_s"] == 720.0
    assert data["incremental"]["last_completed"]["checks"]
    other = data["other"]
    assert (other["mode"], other["state"], other["recorded_state"]) == (
        "full",
        "interrupted",
        "running",
    )
    assert other["pages_done"] == 812
    step = "run `carsync sync --mode full` again: it fetches only the pages"
    assert other["next_step"].startswith(step)
