"""How old the data are, in words. Pure."""

from __future__ import annotations

from datetime import datetime

from carsync import formatting
from carsync.exit_codes import ExitCode
from carsync.model import Mode
from carsync.reporting.views import wording
from carsync.state.checkpoint import CheckpointState
from carsync.state.freshness import data_at


def describe(state: CheckpointState, now: datetime) -> str:
    """Say how old the newest data are, and those of the whole feed; empty if all runs are full."""
    newest, whole = data_at(state, "incremental"), data_at(state, "full")
    if state.incremental is None or newest is None:
        return ""
    if newest == whole:
        return _aged(state, whole, "full", now)
    full = _aged(state, whole, "full", now) if whole else "no full run has succeeded yet"
    return f"{_aged(state, newest, 'incremental', now)}; whole feed: {full}"


def _aged(state: CheckpointState, at: datetime, mode: Mode, now: datetime) -> str:
    """Name the run as well, where no later one of its mode was merged."""
    age = formatting.duration(round(max((now - at).total_seconds(), 0.0)))
    last = state.last_of(mode)
    run = last.last_completed if last else None
    is_known = run is not None and run.exit_code in {ExitCode.OK, ExitCode.ACCEPTANCE}
    number = f" {run.run_id}" if run and is_known else ""
    return f"{age} old ({wording.MODES[mode]}{number})"
