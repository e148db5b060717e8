"""Sending notices about a run's end to the web hook, and keeping which one was sent last.

The web hook's module is imported by name: only a run with something to send needs it.
"""

from __future__ import annotations

import importlib
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec

from carsync.config.dsn import place_of
from carsync.config.sections import Config
from carsync.errors import NoticeError
from carsync.reporting.notify.notifications import Notice, about_bug, about_run, headline, render
from carsync.run.report import RunReport
from carsync.run.signals import StopSignal
from carsync.state import atomic_file
from carsync.state.checkpoint import CheckpointState, load_or_none
from carsync.state.clock import Moment

log = logging.getLogger(__name__)


class SentNotice(msgspec.Struct, frozen=True):
    """The last notice of a run that a web hook took: about which exit code, and when."""

    exit_code: int
    at: datetime


class Notifier:
    """Sends the web hook, if any, a notice of one run's end; called when all else is done.

    Its methods never raise and take at most `webhook.BUDGET_S`; a further signal ends the
    sending at once.
    """

    def __init__(self, config: Config, checkpoint_file: Path, stop: StopSignal) -> None:
        """Take the checkpoint as the run finds it."""
        self._config = config
        self._checkpoint_file = checkpoint_file
        self._stop = stop
        self._before = load_or_none(checkpoint_file, place_of(config))

    def ended(self, report: RunReport) -> None:
        """Send what there is to say of the run's end."""
        now, host = here_and_now(self._before)
        self._send(about_run(self._config.notify, report, self._before, now, host))

    def failed(self, bug: Exception) -> None:
        """Send that a bug ended the run."""
        now, host = here_and_now(self._before)
        source, target = self._config.sync.source, str(self._config.target)
        common = {"source": source, "target": target, "host": host, "sent_at": now}
        self._send(about_bug(self._config.notify, type(bug).__name__, **common))

    def _send(self, notice: Notice | None) -> None:
        if self._config.notify.url is None or notice is None or notice.exit_code is None:
            return
        times = self._stop.times
        with failure_logged(log, "no notification", {"event": "notice_failed"}):
            post(self._config, notice, lambda: self._stop.times > times)
            write_sent_notice(self._checkpoint_file, SentNotice(notice.exit_code, notice.sent_at))


@contextmanager
def failure_logged(to: logging.Logger, nothing: str, extra: dict[str, str]) -> Iterator[None]:
    """Log why `nothing` was sent, e.g. "no ping", and raise nothing: the run has its own end."""
    try:
        yield
    except NoticeError as exc:
        reason = f"{exc.problem} ({exc.detail})" if exc.detail else exc.problem
        to.warning("%s was sent: %s", nothing, reason, extra=extra)
    except Exception as exc:
        kind = type(exc).__name__
        to.warning("%s was sent: a bug: %s", nothing, kind, extra=extra)


def post(config: Config, notice: Notice, should_end: Callable[[], bool] = lambda: False) -> None:
    """Send a notice; raises `NoticeError`."""
    webhook = importlib.import_module("carsync.reporting.notify.webhook")
    webhook.deliver(config.notify, render(notice, config.notify.format), should_end)
    log.info(
        "notification sent: %s", headline(notice), extra={"event": "notice", "about": notice.event}
    )


def here_and_now(state: CheckpointState | None) -> tuple[datetime, str]:
    """Return the time, by the clock that `state` was written by, and this host's name."""
    moment = Moment.now()
    now = moment.by_the_clock_of(state.updated) if state else moment.wall
    return now, socket.gethostname()


def write_sent_notice(checkpoint_file: Path, sent: SentNotice) -> None:
    """Keep the last notice of a run beside the checkpoint, where that can be written."""
    try:
        atomic_file.replace(_notice_file(checkpoint_file), msgspec.json.encode(sent))
    except OSError as exc:
        log.debug("the sent notification could not be recorded: %s", exc)


def read_sent_notice(checkpoint_file: Path) -> SentNotice | None:
    """Return the last notice of a run, None where there is none that can be read."""
    try:
        data = atomic_file.read(_notice_file(checkpoint_file))
        return None if data is None else msgspec.json.decode(data, type=SentNotice)
    except (OSError, msgspec.DecodeError):
        return None


def _notice_file(checkpoint_file: Path) -> Path:
    return checkpoint_file.with_name(f"{checkpoint_file.name}.notice")
