"""One run's work in one worker process: who asks the API, and the connection that stages."""

from __future__ import annotations

import logging
import os
import pickle
import threading
import time
from collections.abc import Callable

from distributed import Worker

from carsync import timing
from carsync.config.sections import Config
from carsync.engine.attempts import POLL_S, Attempts
from carsync.engine.dask.gate_keeper import Job
from carsync.engine.dask.overlay import lay_over
from carsync.engine.dask.remote_gate import GateLine, RemoteGate, RunOverError
from carsync.engine.dask.stager import Stager
from carsync.engine.messages import (
    Event,
    Lease,
    LimitsTold,
    PageFetched,
    PagesStaged,
    RequestsMade,
    TokenIssued,
    WorkerFailed,
    failed_by_worker,
)
from carsync.engine.reader import PageRead
from carsync.errors import ConfigError, DatabaseConflictError, DatabaseUnavailableError
from carsync.mapping.mapper import tombstone_columns
from carsync.source.auth.token_store import TokenStore

log = logging.getLogger(__name__)

TELL_S = 1.0
_UNHURRIED = (RequestsMade, LimitsTold, PageFetched)
"""Events that travel with the next one, which mostly says that the page is staged."""


class WorkerRun:
    """Serves the leases of one run, each on a thread of the worker's pool."""

    def __init__(
        self, worker: Worker, line: GateLine, config: Config, job: Job, threads: int
    ) -> None:
        config = lay_over(config, job.overlay)
        self._worker = worker
        self._job = job
        self._refresh_token = config.api.auth.refresh_token
        self._stager = Stager(
            config.database,
            job.run_id,
            job.token,
            job.columns,
            tombstone_columns(config),
            config.api.auth.secrets,
            self._tell_staged,
        )
        self._attempts = Attempts(
            config,
            threads,
            RemoteGate(line, job.session, lambda: self._attempts.count_unused(), job.late_s),
            TokenStore(time.monotonic),
            self._tell,
            self._take_page,
        )
        self._untold: list[Event] = []
        self._untold_lock = threading.Lock()
        self._steps = self._attempts.steps
        self._idle_since_s = time.monotonic()
        self._lock = threading.Lock()
        self.is_closed = False
        threading.Thread(target=self._watch, name="carsync-watch", daemon=True).start()

    def serve(self, lease: Lease) -> None:
        """Make a lease's attempt and tell what came of it; a run that is over hears nothing.

        Raises `OSError` where the scheduler is out of reach.
        """
        self._steps.allow()
        try:
            self._attempts.serve(lease)
        except (DatabaseUnavailableError, DatabaseConflictError) as exc:
            words = f"worker {self._worker.name}: {exc.problem}"
            self._tell(failed_by_worker(lease, words, exc.hint))
        except RunOverError:
            return
        except OSError:
            raise
        except Exception as exc:
            self._tell(WorkerFailed.of(exc, f"worker {self._worker.name}"))
        finally:
            with self._lock:
                self._steps.end()
                self._idle_since_s = time.monotonic()

    # ── events ───────────────────────────────────────────────────────────────

    def _tell(self, event: Event) -> None:
        """Send an event to the run's parent, some a little later; access tokens stay here."""
        if isinstance(event, TokenIssued):
            if event.token.refresh not in {None, self._refresh_token}:
                raise ConfigError(
                    "the API replaces the refresh token with each use, so that workers cannot "
                    "share it",
                    hint="set engine.type: local, or another api.auth.grant",
                )
            return
        with self._untold_lock:
            self._untold.append(event)
        if not isinstance(event, _UNHURRIED):
            self._send()

    def _send(self) -> None:
        """Send what is not told yet, in its order."""
        with self._untold_lock:
            if self._untold:
                body = pickle.dumps((self._job.session, self._worker.name, self._untold))
                self._untold = []
                self._worker.log_event(topic_of(self._job), body)

    def _take_page(self, read: PageRead) -> None:
        self._attempts.send(read.fetched())
        if not self._job.run_id:
            self._send()
        else:
            self._steps.allow(timing.current().writer_silence_s)
            self._stager.stage(read.mapped)

    def _tell_staged(self, event: PagesStaged) -> None:
        self._attempts.send(event)

    def stop(self) -> None:
        """Let no thread begin another request; what is in hand is staged."""
        self._attempts.stopping.set()

    # ── deadlines ────────────────────────────────────────────────────────────

    def _watch(self) -> None:
        """Enforce deadlines until nothing has been asked of this run for a while."""
        told_s = time.monotonic()
        while not self._close_if_idle():
            time.sleep(POLL_S)
            self._attempts.turn()
            overdue_s, now_s = self._steps.overdue_s(), time.monotonic()
            if overdue_s > timing.current().overdue_s:
                log.error("a thread hangs for %.0f s: this worker process ends", overdue_s)
                os._exit(1)  # the nanny starts another; the scheduler tells who lost a lease
            if now_s - told_s >= TELL_S:
                told_s = now_s
                self._attempts.tell()
            self._send()

    def _close_if_idle(self) -> bool:
        with self._lock:
            idle_s = time.monotonic() - self._idle_since_s
            is_over = idle_s > timing.current().idle_s or self._attempts.stopping.is_set()
            is_idle = not self._steps and is_over
            if is_idle:
                self.is_closed = True
                self._stager.close()
                self._attempts.close()
            return is_idle


class WorkerRuns:
    """The runs in hand of one worker process, and the configurations of its feeds."""

    def __init__(self, worker: Worker, threads: int, find: Callable[[Job], Config]) -> None:
        self._worker = worker
        self._threads = threads
        self.config_of = find
        self._line = GateLine(worker)
        self._runs: dict[str, WorkerRun] = {}
        self._lock = threading.Lock()

    def stop(self) -> None:
        """Let the threads go soon: the process ends, or has lost the scheduler."""
        self._line.close()
        for run in list(self._runs.values()):
            run.stop()

    def of(self, session: str, find_job: Callable[[Worker, str], Job]) -> WorkerRun:
        """Return the run of a session; `find_job` asks the scheduler for one that is new here."""
        with self._lock:
            run = self._runs.get(session)
            if run is None or run.is_closed:
                job = find_job(self._worker, session)
                config = self.config_of(job)
                run = WorkerRun(self._worker, self._line, config, job, self._threads)
                self._runs = {key: each for key, each in self._runs.items() if not each.is_closed}
                self._runs[session] = run
            return run


def topic_of(job: Job) -> str:
    """Return under which name the scheduler passes events on: one per feed, for it keeps some."""
    return f"carsync {job.offer.place}"
