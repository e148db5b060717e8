"""Keeping the checkpoint file of a run up to date while the run is going on."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from carsync.model import RunMode
from carsync.run.report import RunReport, last_run
from carsync.source.pagination.feed_plan import FeedPlan
from carsync.state.checkpoint import (
    ACTIVE_STATES,
    CheckpointState,
    LastOfMode,
    failed_excerpt,
    save,
)
from carsync.state.clock import Moment
from carsync.state.figures import Figures
from carsync.state.file_lock import FileLock

SAVE_EVERY_S = 2.0
"""Progress is saved at most this often."""


class CheckpointWriter:
    """Writes the checkpoint file of one run, and keeps the lock file beside it in its place.

    Every change replaces the file as a whole.
    """

    def __init__(
        self,
        path: Path,
        lock: FileLock,
        *,
        source: str,
        target: str,
        place: str,
        fingerprints: dict[str, str],
        previous: CheckpointState | None,
        mode: RunMode = "full",
        dry_run: bool = False,
    ) -> None:
        """Begin a run's state after the `previous` one, which a `dry_run` leaves in the file."""
        now = datetime.now(UTC)
        self._path = path
        self._lock = lock
        self._saved_s = 0.0
        self._previous = previous
        self._is_dry = dry_run
        self.state = CheckpointState(
            run_id=None,
            token="",
            pid=os.getpid(),
            state="running",
            phase="starting",
            source=source,
            target=target,
            place=place,
            started_at=now,
            updated_at=now,
            fingerprints=fingerprints,
            last_completed=previous.last_completed if previous else None,
            last_success_at=previous.last_success_at if previous else None,
            api_use=previous.api_use if previous else None,
            quotas=previous.quotas if previous else (),
            incremental=previous.incremental if previous else None,
            **self._mode(mode),
        )

    def begin(self, run_id: int, token: str, started_at: datetime, mode: RunMode = "full") -> None:
        """Name the run and write the file for the first time."""
        more = {"window_from": None, "window_overlap_s": None, **self._mode(mode)}
        self._write(run_id=run_id, token=token, started_at=started_at, **more)

    def ask(self, window_from: datetime, overlap_s: float) -> None:
        """Write since when the run asks for changes; `overlap_s` of that it asks for again."""
        self._write(window_from=window_from, window_overlap_s=overlap_s)

    def _mode(self, mode: RunMode) -> dict[str, Any]:
        """Return the mode, and where the last run of the other mode stands."""
        before = self._previous
        if before is None:
            return {"mode": mode, "other": None}
        return {"mode": mode, "other": before.other if before.mode == mode else before.standing}

    def progress(self, phase: str, plan: FeedPlan, figures: Figures) -> None:
        """Write where the run stands, at most every `SAVE_EVERY_S` seconds."""
        if time.monotonic() - self._saved_s >= SAVE_EVERY_S:
            self.note(phase, plan, figures)

    def note(self, phase: str, plan: FeedPlan, figures: Figures, **changes: Any) -> None:
        """Write where the run stands, now; `plan` counts the pages of the whole run."""
        known: dict[str, Any] = {
            **figures.kept(),
            "rows_per_s": figures.rows_per_s,
            "eta_s": figures.eta_s,
            "latency": figures.latency,
            "slowed": figures.slowed,
            "pages_planned": plan.planned,
            "pages_done": plan.staged_count,
            "pages_ranges": plan.ranges(),
            "pages_failed": failed_excerpt(plan.failed_by_label),
            "pages_given_up": len(plan.failed),
            "lists_planned": figures.lists_planned,
            "lists_done": figures.lists_done,
            "requests": figures.requests,
            "api_use": figures.api_use or self.state.api_use,
            "quotas": figures.quotas or self.state.quotas,
        }
        self._write(phase=phase, **known | changes)

    def end(self, plan: FeedPlan, report: RunReport) -> None:
        """Write how the run ended, and how far it got."""
        changes: dict[str, Any] = {"state": report.state, "exit_code": report.exit_code}
        changes |= {"problem": report.problem, "hint": report.hint, "eta_s": None}
        last: dict[str, Any] = {}
        if (merged := last_run(report)) is not None:
            last["last_completed"] = merged
        if report.is_success:
            last["last_success_at"] = report.data_at
        changes |= self._mode(report.mode)
        if report.mode == "full":
            changes |= last
        elif last:
            before = self.state.incremental or LastOfMode()
            changes["incremental"] = msgspec.structs.replace(before, **last)
        self.note("ended", plan, report.figures, **changes)

    def _write(self, **changes: Any) -> None:
        now = Moment.now()
        if not self._is_dry:
            clocks = {"boot_id": now.boot_id, "updated_uptime_s": now.uptime_s}
            changes |= {"updated_at": now.wall, "pid": os.getpid(), **clocks}
            self.state = msgspec.structs.replace(self.state, **changes)
            save(self._path, self.state)
        elif self._previous is not None:  # else no run after it believes that the API had a rest
            cost = {name: changes[name] for name in ("api_use", "quotas") if name in changes}
            save(self._path, msgspec.structs.replace(self._previous, tried=now, **cost))
        self._lock.keep()
        self._saved_s = time.monotonic()


def idle_since(previous: CheckpointState | None, now: Moment) -> float:
    """Return for how many seconds, at least, no run has asked the API; 0 where that is unknown.

    A lost or damaged checkpoint may be a moment old, and a run that was killed may have
    asked until its next save was due. A figure too low costs the next run its first
    burst, a figure too high breaks the API's limit.
    """
    if previous is None:
        return 0.0
    unsaved_s = SAVE_EVERY_S if previous.state in ACTIVE_STATES else 0.0
    rested_s = now.certainly_since(previous.updated) - unsaved_s
    if previous.tried is not None:
        rested_s = min(rested_s, now.certainly_since(previous.tried) - SAVE_EVERY_S)
    return max(0.0, rested_s)
