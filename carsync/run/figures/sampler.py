"""Sampling a run while it is going on, and writing the samples into the database.

The sampler writes over the parent's own connection, which holds the run's lock and is otherwise
only pinged while pages are read: a connection of its own would cost every run another session
of a pooler that has few, and a thread. So `write` is called where that connection is known to be
idle: when the run or a phase begins, right after each ping, and at the end over the connection
that records the end. A run killed by SIGKILL loses at most the last 10 s; what it had written
stays its session's when the run is resumed.

Writing can neither end a run nor hold it up for long. It is one short transaction; the server
gives it 1 s for a lock and 5 s for a statement, and does not wait for the disk at COMMIT. Where
writing fails, the run goes on; after `MAX_TRIES` failures in a row nothing more is written.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from carsync import formatting
from carsync.engine.messages import PageFailed
from carsync.errors import DatabaseUnavailableError
from carsync.postgres.wait import Connection, is_idle
from carsync.run.listener import RunListener
from carsync.state import samples
from carsync.state.figures import Figures, rss_by_role
from carsync.state.runs import Run
from carsync.state.samples import Failure, Sample

log = logging.getLogger(__name__)

EVERY_S = 1.0
"""The first distance of samples; it doubles each time there are too many."""
MAX_SAMPLES = 600
"""Samples of one session, whatever its length."""
MAX_FAILURES = 5000
"""Failed attempts kept of one run …"""
KEPT_FOR_GIVEN_UP = 1000
"""… of which this many are reserved for the last attempts at pages that were given up."""
MAX_PROBLEM_CHARS = 300
MAX_TRIES = 3
"""After this many failures in a row nothing more is written."""


class SampleBuffer:
    """At most `limit` samples at even distances, the first and the last always among them.

    When the buffer is full every second sample is dropped and the distance doubled.
    """

    def __init__(self, every_s: float = EVERY_S, limit: int = MAX_SAMPLES) -> None:
        self.samples: list[Sample] = []
        self.written = 0
        """How many of the samples, from the first, are stored as they stand."""
        self.every_s = every_s
        self._limit = limit

    def is_due(self, elapsed_s: float) -> bool:
        """Say whether it is time for the next sample."""
        return not self.samples or elapsed_s >= self.samples[-1].elapsed_s + self.every_s

    def add(self, sample: Sample) -> None:
        """Take a sample, due or not."""
        if len(self.samples) >= self._limit:
            self.samples = self.samples[::2]
            self.every_s *= 2
            self.written = 0
        self.samples.append(sample)


class Sampler(RunListener):
    """Collects the samples and failures that `carsync runs show` shows; `write` stores them."""

    def __init__(
        self,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        series: SampleBuffer | None = None,
    ) -> None:
        self._now = now
        self._run_id: int | None = None
        self._session: int | None = None
        self._phase = ""
        self._series = series or SampleBuffer()
        self._failures: list[Failure] = []
        self._failures_written = 0
        self._room = MAX_FAILURES
        self._tries = 0

    def begun(self, run: Run) -> None:
        """Learn which run the samples belong to; those of another one were its own."""
        if self._run_id is not None:
            self._session, self._series = None, SampleBuffer()
            self._failures.clear()
            self._failures_written = 0
        self._run_id = run.run_id

    def update(self, figures: Figures, phase: str) -> None:
        """Take a sample where one is due or a phase begins."""
        if phase != self._phase or self._series.is_due(figures.elapsed_s):
            self._phase = phase
            self._series.add(_sample(figures, phase, self._session or 0, self._now()))

    def attempt_failed(self, event: PageFailed, *, given_up: bool) -> None:
        """Keep a failed attempt while there is room."""
        if self._room <= (0 if given_up else KEPT_FOR_GIVEN_UP):
            return
        self._room -= 1
        self._failures.append(
            Failure(
                session=self._session or 0,
                at=self._now(),
                page=event.page,
                attempt=event.attempt,
                kind=event.kind.value,
                status=event.status,
                problem=formatting.printable(event.problem)[:MAX_PROBLEM_CHARS],
                latency_s=event.latency_s,
                given_up=given_up,
            )
        )

    def write(self, connection: Connection) -> None:
        """Store what is new; never raises, and leaves `connection` idle and as it was."""
        if self._run_id is None or self._tries >= MAX_TRIES or not is_idle(connection):
            return
        try:
            self._store(connection, self._run_id)
            self._tries = 0
        except DatabaseUnavailableError:
            pass  # whoever needs the connection next will find it broken, and say so
        except Exception as exc:
            self._tries += 1
            log.warning("the run's figures are not kept: %s", exc)

    def _store(self, connection: Connection, run_id: int) -> None:
        if self._session is None:
            self._session, kept = samples.open_session(connection, run_id)
            self._room -= kept
        series = self._series
        new = series.samples[series.written :]
        if not new and not self._failures:
            return
        samples.store(
            connection,
            run_id,
            self._session,
            new,
            self._failures,
            first_sample=series.written,
            first_failure=self._failures_written,
        )
        series.written = len(series.samples)
        self._failures_written += len(self._failures)
        self._failures.clear()


def _sample(figures: Figures, phase: str, session: int, at: datetime) -> Sample:
    roles = rss_by_role(figures.rss_by_process)
    return Sample(
        session=session,
        at=at,
        phase=phase,
        pages_done=figures.pages_done,
        rss_by_kind={role: sum(sizes) for role, sizes in roles.items()},
        **figures.kept(),
    )
