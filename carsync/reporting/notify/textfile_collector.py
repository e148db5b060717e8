"""The file of metrics for node_exporter's textfile collector, written during a run.

node_exporter reads every `*.prom` of a folder whenever Prometheus asks, so the file is
replaced as a whole, by a rename in its own folder, and may be read by everybody.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import replace

from carsync import __version__
from carsync.config.dsn import place_of
from carsync.config.sections import Config
from carsync.exit_codes import ExitCode
from carsync.model import RunMode
from carsync.reporting.notify.prometheus import ModeStanding, Standing, expose
from carsync.run.listener import RunListener
from carsync.run.report import RunReport, last_run
from carsync.state import atomic_file
from carsync.state.checkpoint import CheckpointState, load_or_none
from carsync.state.figures import Figures
from carsync.state.runs import Run

EVERY_S = 60.0
MODE = 0o644

log = logging.getLogger(__name__)


class TextFile(RunListener):
    """Writes `metrics.textfile` every minute of a run and at its end.

    What earlier runs left is taken from the checkpoint, so that a run that is going on or
    failed does not hide the last success. A run that was locked out writes nothing: the
    file belongs to the other run. A file that cannot be written is logged once, and fails
    nothing.
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
        self._checkpoint_file = checkpoint_file
        self._place = place_of(config)
        self._clock = clock
        self._now = now
        self._standing = Standing(
            source=config.sync.source,
            target=str(config.target),
            version=__version__,
            written_at=now(),
        )
        self._has_window = config.api.window.param is not None
        self._mode: RunMode = "full"
        self._due_s = 0.0
        self._has_warned = False

    def begun(self, run: Run) -> None:
        """Learn of the run; the checkpoint still holds the run before."""
        self._recall()
        self._mode = run.mode
        self._standing = replace(
            self._standing, in_progress=True, run_id=run.run_id, started_at=run.started_at
        )

    def update(self, figures: Figures, phase: str) -> None:
        """Keep the figures, and write them where they are due."""
        self._standing = replace(self._standing, figures=figures)
        self.pulse()

    def pulse(self) -> None:
        """Write the figures every `EVERY_S` seconds, also where none new come."""
        known = self._standing.in_progress and self._standing.figures is not None
        if known and self._clock() >= self._due_s:
            self._due_s = self._clock() + EVERY_S
            self._write()

    def ended(self, report: RunReport) -> None:
        """Write how the run ended."""
        if report.exit_code == ExitCode.LOCKED or report.mode == "refresh":
            return
        if not self._standing.in_progress:
            self._recall()
        before = self._standing
        of_mode = getattr(before, report.mode) or ModeStanding()
        of_mode = ModeStanding(
            exit_code=report.exit_code,
            ended_at=report.finished_at,
            last_success_at=self._success_of(report) or of_mode.last_success_at,
            merged=last_run(report) or of_mode.merged,
        )
        self._standing = replace(
            before,
            in_progress=False,
            started_at=report.started_at,
            figures=report.figures,
            **{report.mode: of_mode},
        )
        self._write()

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        """Write that the run is over where a bug ended it."""
        if kind is not None and self._standing.in_progress:
            before = getattr(self._standing, self._mode) or ModeStanding()
            of_mode = replace(before, exit_code=ExitCode.BUG, ended_at=self._now())
            self._standing = replace(self._standing, in_progress=False, **{self._mode: of_mode})
            self._write()

    def _recall(self) -> None:
        """Take what the runs before left from the checkpoint, where that can be read."""
        state = load_or_none(self._checkpoint_file, self._place)
        if state is None:
            return
        full = _recall_mode(state, "full") or ModeStanding()
        incremental = _recall_mode(state, "incremental") if self._has_window else None
        self._standing = replace(self._standing, full=full, incremental=incremental)

    def _success_of(self, report: RunReport) -> datetime | None:
        """Return when the run succeeded, as the next run will find it; None where it did not."""
        if not report.is_success:
            return None
        state = load_or_none(self._checkpoint_file, self._place)
        recorded = state is not None and state.run_id == report.run_id
        last = state.last_of(report.mode) if state and recorded else None
        return (last.last_success_at if last else None) or report.data_at

    def _write(self) -> None:
        text = expose(replace(self._standing, written_at=self._now()))
        try:
            if self._path.is_symlink():
                raise atomic_file.NotAFileError
            atomic_file.replace(self._path, text, mode=MODE, is_durable=False)
        except OSError as exc:
            if not self._has_warned:
                reason = exc.strerror or exc
                log.warning("metrics.textfile %s cannot be written: %s", self._path, reason)
            self._has_warned = True


def _recall_mode(state: CheckpointState, mode: RunMode) -> ModeStanding | None:
    """Return what the checkpoint knows of the runs of a mode; None where there was none."""
    run, last = state.standing_of(mode), state.last_of(mode)
    if run is None and last is None:
        return None
    exit_code = run.exit_code if run else None
    return ModeStanding(
        exit_code=exit_code,
        ended_at=run.updated_at if run and exit_code is not None else None,
        last_success_at=last.last_success_at if last else None,
        merged=last.last_completed if last else None,
    )
