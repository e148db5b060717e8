"""The run's journal: what the parent keeps in the checkpoint file while a run goes on."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from carsync.model import RunState
from carsync.source.pagination.plan import PagePlan
from carsync.state.checkpoint import (
    ACTIVE_STATES,
    CheckpointState,
    LastRun,
    failed_excerpt,
    save,
)
from carsync.state.clock import Moment
from carsync.state.figures import Figures
from carsync.state.file_lock import FileLock

SAVE_EVERY_S = 2.0


class CheckpointWriter:
    """Owns the checkpoint file of one run, and keeps the lock beside it in its place.

    Every change is an atomic replacement of the file.
    """

    def __init__(
        self,
        path: Path,
        lock: FileLock,
        *,
        source: str,
        target: str,
        fingerprints: dict[str, str],
        previous: CheckpointState | None,
        dry_run: bool = False,
    ) -> None:
        """Begin a run's state after the `previous` one; a `dry_run` leaves that one in place."""
        now = datetime.now(UTC)
        self._path = path
        self._lock = lock
        self._saved_s = 0.0
        self._kept = previous
        self._is_dry = dry_run
        self.state = CheckpointState(
            run_id=None,
            token="",
            pid=os.getpid(),
            state="running",
            phase="starting",
            source=source,
            target=target,
            started_at=now,
            updated_at=now,
            fingerprints=fingerprints,
            last_completed=previous.last_completed if previous else None,
            last_success_at=previous.last_success_at if previous else None,
        )

    def begin(self, run_id: int, token: str, started_at: datetime) -> None:
        """Name the run and write the file for the first time."""
        self._write(run_id=run_id, token=token, started_at=started_at)

    def progress(self, phase: str, plan: PagePlan, figures: Figures) -> None:
        """Write where the run stands, at most every `SAVE_EVERY_S` seconds."""
        if time.monotonic() - self._saved_s >= SAVE_EVERY_S:
            self.note(phase, plan, figures)

    def note(self, phase: str, plan: PagePlan, figures: Figures, **changes: Any) -> None:
        """Write where the run stands, now."""
        self._write(
            phase=phase,
            pages_done=plan.staged_count,
            pages_ranges=plan.ranges(),
            pages_failed=failed_excerpt(plan.failed),
            rows_per_s=figures.rows_per_s,
            eta_s=figures.eta_s,
            latency=figures.latency,
            **figures.kept()
            | {"pages_planned": plan.planned, "pages_given_up": len(plan.failed)}
            | changes,
        )

    def end(
        self,
        state: RunState,
        exit_code: int,
        *,
        problem: str = "",
        hint: str = "",
        merged: LastRun | None = None,
        success: bool = False,
    ) -> None:
        """Write how the run ended; `merged` is set when its merge was committed."""
        now = datetime.now(UTC)
        changes: dict[str, Any] = {"state": state, "exit_code": exit_code, "phase": "ended"}
        changes |= {"problem": problem, "hint": hint, "eta_s": None}
        if merged is not None:
            changes["last_completed"] = merged
        if success:
            changes["last_success_at"] = now
        self._write(**changes)

    def _write(self, **changes: Any) -> None:
        now = Moment.now()
        if self._is_dry:
            if self._kept is not None:  # else no run after it believes that the API had a rest
                save(self._path, msgspec.structs.replace(self._kept, tried=now))
            self._lock.keep()
            self._saved_s = time.monotonic()
            return
        self.state = msgspec.structs.replace(
            self.state,
            updated_at=now.wall,
            boot_id=now.boot_id,
            updated_uptime_s=now.uptime_s,
            pid=os.getpid(),
            **changes,
        )
        save(self._path, self.state)
        self._lock.keep()
        self._saved_s = time.monotonic()


def idle_since(previous: CheckpointState | None, now: Moment) -> float:
    """Return for how many seconds at least no run has asked the API; 0 where none is known.

    A lost or damaged checkpoint may be a moment old, and a run that was killed may have
    asked until its next save was due. Too low a figure costs the next run its first
    burst, too high a one breaks the API's limit.
    """
    if previous is None:
        return 0.0
    unsaved_s = SAVE_EVERY_S if previous.state in ACTIVE_STATES else 0.0
    rested_s = now.certainly_since(previous.updated) - unsaved_s
    if previous.tried is not None:
        rested_s = min(rested_s, now.certainly_since(previous.tried) - SAVE_EVERY_S)
    return max(0.0, rested_s)
