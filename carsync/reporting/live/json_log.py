"""A run as JSON log lines: one for each event, with the figures as fields.

`event` names what a line is about: `run_begun`, `phase`, `progress`, `message` and
`run_ended` here; `page_retry`, `page_given_up`, `breaker_opened`, `restart` and
`probe_failed` where they happen (`run/intake.py`, `run/api_health.py`, `run/probes.py`);
`notice` and `notice_failed` after the run.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import msgspec

from carsync import logging_setup
from carsync.exit_codes import ExitCode
from carsync.reporting.views import wording
from carsync.run.listener import RunListener
from carsync.run.report import RunReport, outcome, summary_data
from carsync.state.figures import Figures
from carsync.state.runs import Run

EVERY_S = 10.0

_ELSEWHERE = ("snapshot", "run_id", "source", "target")
"""Fields of the summary that the line of the end has under other names, or every line has."""
_BLEMISHED = (
    *(ExitCode.PARTIAL, ExitCode.HELD, ExitCode.ACCEPTANCE),
    *(ExitCode.LOCKED, ExitCode.SIGINT, ExitCode.SIGTERM),
)
_LEVELS = {ExitCode.OK: logging.INFO, **dict.fromkeys(_BLEMISHED, logging.WARNING)}

log = logging.getLogger("carsync.run")


class EventLog(RunListener):
    """Logs the figures when the phase changes and every `EVERY_S` seconds, then the end.

    From `begun` on every line of the process carries `run_id`, `source` and `target`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._phase: str | None = None
        self._due_s = 0.0

    def begun(self, run: Run) -> None:
        """Name the run, in this line and in all that follow."""
        logging_setup.bind(run_id=run.run_id, source=run.source, target=str(run.target))
        resumed = run.resumed_at is not None
        words = "run %d resumed" if resumed else "run %d begun"
        log.info(words, run.run_id, extra={"event": "run_begun", "resumed": resumed})

    def update(self, figures: Figures, phase: str) -> None:
        """Log the figures every `EVERY_S` seconds, and at once when the phase changes."""
        now_s = self._clock()
        is_new = phase != self._phase
        if not is_new and now_s < self._due_s:
            return
        self._phase, self._due_s = phase, now_s + EVERY_S
        logging_setup.bind(phase=phase)
        text = f"phase: {phase}" if is_new else wording.progress(figures)
        extra = {"event": "phase" if is_new else "progress", **figures_of(figures)}
        log.info("%s", text, extra=extra)

    def message(self, text: str) -> None:
        """Log the sentence."""
        log.info("%s", text, extra={"event": "message"})

    def ended(self, report: RunReport) -> None:
        """Log the summary: exit code, problem, detail, hint, counts, checks, figures."""
        summary = {n: v for n, v in summary_data(report).items() if n not in _ELSEWHERE}
        text = outcome(report.exit_code)
        if report.problem:
            text = f"{report.problem} (exit {int(report.exit_code)})"
        level = _LEVELS.get(ExitCode(report.exit_code), logging.ERROR)
        logging_setup.bind(phase="ended")
        extra = {"event": "run_ended", **summary, "figures": figures_of(report.figures)}
        log.log(level, "%s", text, extra=extra)


def figures_of(figures: Figures) -> dict[str, Any]:
    """Return the figures as plain data, seconds and rates to the millisecond."""
    plain: dict[str, Any] = msgspec.to_builtins(figures)
    return {name: round(v, 3) if isinstance(v, float) else v for name, v in plain.items()}
