"""`carsync status` as JSON. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from msgspec import UNSET, Struct, UnsetType, field
from msgspec.structs import asdict

from carsync.model import Check, Mode
from carsync.postgres.sessions import DatabaseSession
from carsync.reporting.views.status import Verdict, judge, judge_other, updated_age_s
from carsync.state.checkpoint import CheckpointState, LastOfMode, LastRun, RunStanding
from carsync.state.freshness import data_at


class LastCompleted(LastRun, frozen=True, kw_only=True):
    """The last run whose merge was committed."""

    checks: tuple[Check, ...]


class IncrementalAnswer(LastOfMode, frozen=True, kw_only=True):
    """What is remembered of incremental runs."""

    last_completed: LastCompleted | None = None
    last_success_age_s: float | None


class OtherRun(RunStanding, frozen=True, kw_only=True):
    """Where the last run of the other mode stands."""

    recorded_state: str
    reason: str
    next_step: str
    pages_given_up: int = field(default=0, name="pages_given_up")


class StatusAnswer(CheckpointState, frozen=True, kw_only=True):
    """What the checkpoint file holds, the true state of its run, and the next step."""

    recorded_state: str
    reason: str
    next_step: str
    lock_held: bool
    checkpoint: str
    pages_given_up: int = field(default=0, name="pages_given_up")
    pages_failed_count: int
    latency_mean_s: float | None
    latency_p50_s: float | None
    latency_p95_s: float | None
    latency_p99_s: float | None
    age_s: float
    updated_age_s: float
    last_success_age_s: float | None
    last_completed: LastCompleted | None = None
    newest_data_at: datetime | None
    newest_data_age_s: float | None
    incremental: IncrementalAnswer | None = None
    other: OtherRun | None = None
    database_sessions: list[DatabaseSession] | UnsetType = UNSET
    sessions: list[DatabaseSession] | UnsetType = UNSET


class NoCheckpointAnswer(Struct, frozen=True, kw_only=True):
    """What `carsync status` says where there is no checkpoint of this target: no run was here."""

    state: Literal["none"] = "none"
    reason: str
    next_step: str
    lock_held: bool
    checkpoint: str
    database_sessions: list[DatabaseSession] | UnsetType = UNSET
    sessions: list[DatabaseSession] | UnsetType = UNSET


def tell_status(
    path: Path,
    state: CheckpointState | None,
    now: datetime,
    lock_held: bool,
    resume_within_h: float,
    usual: Mode = "full",
    sessions: Sequence[DatabaseSession] | None = None,
) -> StatusAnswer | NoCheckpointAnswer:
    """Return what `--json` prints: the checkpoint's fields, the true state and the next step."""
    verdict = judge(state, now, lock_held, resume_within_h, usual)
    asked = UNSET if sessions is None else list(sessions)
    if state is None:
        return NoCheckpointAnswer(
            reason=verdict.reason,
            next_step=verdict.next_step,
            lock_held=lock_held,
            checkpoint=str(path),
            database_sessions=asked,
            sessions=asked,
        )
    return _tell(path, state, verdict, now, lock_held, resume_within_h, asked)


def _tell(
    path: Path,
    state: CheckpointState,
    verdict: Verdict,
    now: datetime,
    lock_held: bool,
    resume_within_h: float,
    sessions: list[DatabaseSession] | UnsetType,
) -> StatusAnswer:
    latency, success_at = state.latency, state.last_success_at
    newest = data_at(state, "incremental")
    known = asdict(state) | {
        "state": verdict.state,
        "api_use": state.api_use and state.api_use.at(now),
        "last_completed": _tell_completed(state.last_completed),
        "incremental": state.incremental and _tell_incremental(state.incremental, now),
        "other": state.other and _tell_other(state.other, now, resume_within_h),
    }
    return StatusAnswer(
        **known,
        recorded_state=state.state,
        reason=verdict.reason,
        next_step=verdict.next_step,
        lock_held=lock_held,
        checkpoint=str(path),
        pages_failed_count=state.pages_given_up,
        latency_mean_s=latency.mean_s if latency else None,
        latency_p50_s=latency.p50_s if latency else None,
        latency_p95_s=latency.p95_s if latency else None,
        latency_p99_s=latency.p99_s if latency else None,
        age_s=round((now - state.started_at).total_seconds(), 1),
        updated_age_s=round(updated_age_s(state, now), 1),
        last_success_age_s=_age_s(success_at, now),
        newest_data_at=newest,
        newest_data_age_s=_age_s(newest, now),
        database_sessions=sessions,
        sessions=sessions,
    )


def _age_s(at: datetime | None, now: datetime) -> float | None:
    return None if at is None else round((now - at).total_seconds(), 1)


def _tell_completed(last: LastRun | None) -> LastCompleted | None:
    if last is None:
        return None
    return LastCompleted(**asdict(last), checks=last.acceptance)


def _tell_incremental(last: LastOfMode, now: datetime) -> IncrementalAnswer:
    return IncrementalAnswer(
        last_completed=_tell_completed(last.last_completed),
        last_success_at=last.last_success_at,
        last_success_age_s=_age_s(last.last_success_at, now),
    )


def _tell_other(other: RunStanding, now: datetime, resume_within_h: float) -> OtherRun:
    verdict = judge_other(other, now, resume_within_h)
    return OtherRun(
        **asdict(other) | {"state": verdict.state},
        recorded_state=other.state,
        reason=verdict.reason,
        next_step=verdict.next_step,
    )
