"""Waiting for one's turn: the run of a target that is going on ends, then the next one begins."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from carsync import formatting
from carsync.errors import LockedError
from carsync.model import Target
from carsync.postgres.wait import Connection, rest
from carsync.state import target_lock
from carsync.state.checkpoint import ACTIVE_STATES, CheckpointState, load_or_none
from carsync.state.clock import Moment
from carsync.state.file_lock import FileLock

LOOK_S = 0.5
"""A lock that another process holds is tried this often."""
TELL_S = 60.0
"""Where the other run stands is told this often."""


class Turn:
    """Takes the locks of a target, after at most `wait_s` seconds; `is_stopped` ends the wait.

    `tell` hears for whom is waited and how far that run is, as its checkpoint of this `place`
    says; `pulse` is called several times a second.
    """

    def __init__(
        self,
        checkpoint_file: Path,
        place: str,
        wait_s: float,
        *,
        is_stopped: Callable[[], bool],
        tell: Callable[[str], None],
        pulse: Callable[[], None] = lambda: None,
    ) -> None:
        self._checkpoint_file = checkpoint_file
        self._place = place
        self._wait_s = wait_s
        self._until_s = time.monotonic() + wait_s
        self._is_stopped = is_stopped
        self._tell = tell
        self._pulse = pulse
        self._told_s: float | None = None
        self.has_waited = False
        """Whether another process held a lock: it may have asked the API a moment ago."""
        self.was_stopped = False
        """Whether a signal ended the wait."""

    @contextmanager
    def file_lock(self) -> Iterator[FileLock]:
        """Hold the file lock until the block ends; raise `LockedError` where another keeps it."""
        lock = FileLock(self._checkpoint_file)
        self._take(lock.acquire)
        try:
            yield lock
        finally:
            lock.release()

    def take_target(self, conn: Connection, target: Target) -> None:
        """Take the database's lock for as long as `conn` lives; raise `LockedError`."""
        self._take(lambda: target_lock.acquire(conn, target))

    def _take(self, acquire: Callable[[], None]) -> None:
        while True:
            try:
                return acquire()
            except LockedError as exc:
                if not self._may_wait(exc):
                    raise
            rest(LOOK_S, self._is_stopped_or_alive)

    def _is_stopped_or_alive(self) -> bool:
        self._pulse()
        return self._is_stopped()

    def _may_wait(self, exc: LockedError) -> bool:
        """Say whether to try once more, and for whom; else let the error say what was done."""
        now_s = time.monotonic()
        if self._wait_s and self._is_stopped():
            self.was_stopped = True
            return False
        if now_s >= self._until_s:
            if self.has_waited:
                waited = f"waited {formatting.duration(self._wait_s)} for it (--wait)"
                exc.detail = "; ".join(filter(None, (exc.detail, waited)))
            return False
        self.has_waited = True
        if self._told_s is None or now_s - self._told_s >= TELL_S:
            self._told_s = now_s
            left = formatting.duration(round(self._until_s - now_s))
            self._tell(f"waiting, for {left} at most: {self._describe(exc)}")
        return True

    def _describe(self, exc: LockedError) -> str:
        state = load_or_none(self._checkpoint_file, self._place)
        is_its = state is not None and state.state in ACTIVE_STATES and state.tried is None
        if state is not None and is_its and state.run_id is not None:
            return describe_progress(state, Moment.now().by_the_clock_of(state.updated))
        return f"{exc.problem} ({exc.detail})" if exc.detail else exc.problem


def describe_progress(state: CheckpointState, now: datetime) -> str:
    """Say which run is going on, since when, how far it is, and for how long still."""
    ago = formatting.duration(round(max((now - state.started_at).total_seconds(), 0)))
    words = f"run {state.run_id} is going on since {formatting.moment(state.started_at)} ({ago})"
    if state.pages_planned:
        words += f", {formatting.part(state.pages_done, state.pages_planned, 'page')} staged"
    if state.phase != "fetching":
        words += f", {state.phase}"
    elif state.eta_s is not None:
        words += f", about {formatting.duration(round(state.eta_s))} left"
    return words
