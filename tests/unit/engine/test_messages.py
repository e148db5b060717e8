"""Messages: an error becomes words, and a worker's error is itself again in the parent."""

from __future__ import annotations

import pickle

from carsync.engine.messages import EngineLost, PageFailed, PageLease, ProbeLease, WorkerFailed
from carsync.errors import CarsyncError, DatabaseBusyError, FailureKind, revive


def test_an_error_of_carsync_keeps_its_class_and_its_words() -> None:
    exc = DatabaseBusyError("busy", detail="a lock", hint="wait")
    told = WorkerFailed.of(exc, "a writer")
    assert told == WorkerFailed("DatabaseBusyError", "busy", "a lock", "wait")
    again = revive(told.error, told.problem, told.detail, told.hint)
    assert (type(again), str(again)) == (DatabaseBusyError, str(exc))


def test_an_error_that_nobody_expected_says_who_failed() -> None:
    told = WorkerFailed.of(ZeroDivisionError("by zero"), "a writer")
    assert told.problem == "a writer failed: ZeroDivisionError('by zero')"
    assert type(revive(told.error, told.problem, told.detail, told.hint)) is CarsyncError


def test_messages_cross_a_process_border_unchanged() -> None:
    lease = PageLease(7, 2, 2000, "t")
    for message in (
        lease,
        ProbeLease("42", 1, lease),
        PageFailed(7, 2, FailureKind.TIMEOUT, "slow", "", None, 3.0, 0.5),
        EngineLost("writer-1", "was killed by SIGKILL"),
    ):
        assert pickle.loads(pickle.dumps(message)) == message
