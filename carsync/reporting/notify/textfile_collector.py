"""The file of metrics for node_exporter's textfile collector, written while a run goes on.

node_exporter reads every `*.prom` of a folder whenever Prometheus asks, so the file is
replaced as a whole, by a rename in its own folder, and may be read by everybody.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from carsync import __version__
from carsync.config.sections import Config
from carsync.errors import CheckpointError
from carsync.exit_codes import ExitCode
from carsync.reporting.notify.prometheus import Standing, expose
from carsync.run.listener import RunListener
from carsync.run.report import RunReport, last_run
from carsync.state.checkpoint import CheckpointState, LastRun, load
from carsync.state.figures import Figures
from carsync.state.runs import Run

EVERY_S = 60.0
SUCCESSES = frozenset({ExitCode.OK, ExitCode.ACCEPTANCE})

log = logging.getLogger(__name__)


class TextFile(RunListener):
    """Writes `metrics.textfile` every minute of a run and at its end.

    What earlier runs left is taken from the checkpoint, so that a run that goes on or
    failed does not hide the last success. A run that was locked out writes nothing: the
    file is the other's. A file that cannot be written is told once, and fails nothing.
    """

    def __init__(
        self,
        config: Config,
        checkpoint_file: Path,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Take where the figures go, where those of earlier runs are, and two clocks."""
        assert config.metrics.textfile is not None
        self._path = Path(os.path.expanduser(config.metrics.textfile))  # noqa: PTH111 - it never raises
        self._source = config.sync.source
        self._target = f"{config.database.schema}.{config.database.table}"
        self._checkpoint_file = checkpoint_file
        self._clock = clock
        self._now = now
        self._run: Run | None = None
        self._figures: Figures | None = None
        self._previous: CheckpointState | None = None
        self._due_s = 0.0
        self._warned = False

    def begun(self, run: Run) -> None:
        """Learn of the run; the checkpoint still tells of the one before."""
        self._run = run
        self._previous = self._read_checkpoint()

    def update(self, figures: Figures, phase: str) -> None:
        """Keep the figures, and write them where they are due."""
        self._figures = figures
        self.pulse()

    def pulse(self) -> None:
        """Write the figures where they are due, also where none new come."""
        if self._run is None or self._figures is None or self._clock() < self._due_s:
            return
        self._due_s = self._clock() + EVERY_S
        previous = self._previous
        ended = previous if previous is not None and previous.exit_code is not None else None
        self._write(
            in_progress=True,
            exit_code=ended.exit_code if ended else None,
            ended_at=ended.updated_at if ended else None,
        )

    def ended(self, report: RunReport) -> None:
        """Write how the run ended."""
        if report.exit_code == ExitCode.LOCKED:
            return
        if self._run is None:
            self._previous = self._read_checkpoint()
        self._figures = report.figures
        self._write(
            exit_code=report.exit_code,
            ended_at=report.finished_at,
            success_at=self._success_of(report),
            merged=last_run(report),
            started_at=report.started_at,
        )
        self._run = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write that the run is over where a bug ended it."""
        if error is not None and self._run is not None:
            self._write(exit_code=ExitCode.BUG, ended_at=self._now())

    def _success_of(self, report: RunReport) -> datetime | None:
        """Return when the run succeeded, as the next run will find it; None where it did not."""
        if report.exit_code not in SUCCESSES:
            return None
        state = self._read_checkpoint()
        recorded = state is not None and state.run_id == report.run_id
        return (state.last_success_at if state and recorded else None) or report.finished_at

    def _read_checkpoint(self) -> CheckpointState | None:
        try:
            return load(self._checkpoint_file)
        except CheckpointError:  # the run itself tells the operator
            return None

    def _write(
        self,
        *,
        exit_code: int | None,
        ended_at: datetime | None,
        in_progress: bool = False,
        started_at: datetime | None = None,
        success_at: datetime | None = None,
        merged: LastRun | None = None,
    ) -> None:
        run, before = self._run, self._previous
        standing = Standing(
            source=self._source,
            target=self._target,
            version=__version__,
            written_at=self._now(),
            in_progress=in_progress,
            run_id=run.run_id if run else None,
            started_at=started_at or (run.started_at if run else None),
            figures=self._figures,
            exit_code=exit_code,
            ended_at=ended_at,
            last_success_at=success_at or (before.last_success_at if before else None),
            merged=merged or (before.last_completed if before else None),
        )
        try:
            replace(self._path, expose(standing))
        except OSError as exc:
            if not self._warned:
                log.warning(
                    "metrics.textfile %s cannot be written: %s", self._path, exc.strerror or exc
                )
            self._warned = True


def replace(path: Path, data: bytes) -> None:
    """Replace the file at `path` by `data`, readable by everybody (mode 0644).

    Whoever reads sees the old file or the new one. Nothing else is left behind, and what
    a kill left is overwritten by the next call. Raises `OSError`.
    """
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(path.lstat().st_mode):
            raise OSError("it is not a regular file")
    temporary = path.with_name(f".{path.name}.tmp")  # not *.prom: nobody reads it
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(temporary, flags, 0o644), "wb") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(data)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
