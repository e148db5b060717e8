"""Pings to a monitor of scheduled jobs: the run began, it is complete, it failed.

The addresses are those of healthchecks.io and of what copies it: `URL/start`, `URL`, `URL/fail`
(healthchecks.io, "Pinging API"). The monitor tells somebody where no ping came in time, so it also
tells of a machine that is down and of a timer that is off.
"""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Callable
from typing import Literal

from msgspec.structs import asdict

from carsync import formatting
from carsync.config.sections import Config
from carsync.errors import CarsyncError
from carsync.exit_codes import ExitCode, advise
from carsync.model import RunMode
from carsync.redaction import Secret
from carsync.reporting.notify.notifications import SILENT
from carsync.reporting.notify.notifier import failure_logged
from carsync.run.listener import RunListener
from carsync.run.report import RunReport
from carsync.run.signals import StopSignal
from carsync.state.runs import Run

log = logging.getLogger(__name__)

Ping = Literal["start", "success", "fail"]
_MOST_CHARS = 10_000


class Pings(RunListener):
    """Pings the address of the run's mode, if any, when it begins and when all else of it is done.

    No method raises. The ping of the start takes no time of the run, the one of the end at most
    what a notice takes; a further signal ends it at once.
    """

    def __init__(
        self, config: Config, stop: StopSignal, *, is_whole: bool, mode: RunMode = "full"
    ) -> None:
        """`is_whole`: no dry run and none of some pages, which concern only who asked for them.

        `mode` is the one that was asked for; the run itself says which one it is.
        """
        self._config = config
        self._stop = stop
        self._mode = mode
        self._is_whole = is_whole
        self._start: threading.Thread | None = None

    def begun(self, run: Run) -> None:
        """Ping that the run began, from a thread of its own."""
        self._mode = run.mode
        if self._is_on:
            words = f"run {run.run_id} began"
            self._start = threading.Thread(
                target=self._send, args=("start", words), name="ping", daemon=True
            )
            self._start.start()

    def finish(self, report: RunReport) -> None:
        """Ping how the run ended: every other exit code than 0 is somebody's concern."""
        if report.exit_code not in SILENT:
            kind: Ping = "success" if report.exit_code == ExitCode.OK else "fail"
            self._end(kind, describe(report))

    def failed(self, error: Exception) -> None:
        """Ping that an error ended the run before there was a report."""
        is_known = isinstance(error, CarsyncError)
        self._end("fail", str(error) if is_known else f"a bug in carsync: {type(error).__name__}")

    @property
    def _is_on(self) -> bool:
        return self._is_whole and self._config.notify.ping_url_of(self._mode) is not None

    def _end(self, kind: Ping, words: str) -> None:
        if not self._is_on:
            return
        if self._start is not None:  # so that the end does not overtake the start
            self._start.join(self._config.notify.timeout_s)
        self._send(kind, words)

    def _send(self, kind: Ping, words: str) -> None:
        times = self._stop.times
        with failure_logged(log, "no ping", {"event": "ping_failed"}):
            ping(self._config, kind, words, lambda: self._stop.times > times, mode=self._mode)


def ping(
    config: Config,
    kind: Ping,
    words: str,
    should_end: Callable[[], bool] = lambda: False,
    *,
    mode: RunMode = "full",
) -> None:
    """Send one ping for a run of a mode, with `words` as its body; raises `NoticeError`."""
    url = config.notify.ping_url_of(mode)
    assert url is not None
    webhook = importlib.import_module("carsync.reporting.notify.webhook")
    key = "notify.ping_url" if mode == "full" else "notify.incremental_ping_url"
    hook = webhook.Hook(
        address_of(url, kind), key, "the ping's address", "text/plain; charset=utf-8"
    )
    body = words[:_MOST_CHARS].encode("utf-8", "replace")
    webhook.deliver(config.notify, body, should_end, hook=hook)
    log.debug("pinged: %s", kind, extra={"event": "ping", "about": kind})


def address_of(url: Secret, kind: Ping) -> Secret:
    """Return where to ping; a query stays at the end.

    >>> address_of(Secret("https://hc.test/ping/u-u-i-d?rid=1"), "fail").reveal()
    'https://hc.test/ping/u-u-i-d/fail?rid=1'
    """
    if kind == "success":
        return url
    place, mark, query = url.reveal().partition("?")
    return Secret(f"{place.rstrip('/')}/{kind}{mark}{query}")


def describe(report: RunReport) -> str:
    """Say in a few lines how a run ended, for people."""
    run = f"run {report.run_id}" if report.run_id else "the run"
    meaning = advise(report.exit_code).meaning
    lines = [f"{report.source} → {report.target}: exit {int(report.exit_code)}, {meaning}"]
    lines.append(f"{run} took {formatting.duration(report.duration_s)}")
    if report.counts is not None:
        counts = [f"{n:,} {name}" for name, n in asdict(report.counts).items() if n]
        lines.append(", ".join(counts) or "no rows")
    for name in ("problem", "detail", "hint"):
        if text := getattr(report, name):
            lines.append(f"{name}: {formatting.printable(text)}")
    return "\n".join(lines)
