"""Who listens to a run and who learns of its end, as options and configuration say.

What only some configurations need is imported here by name, when it is needed.
"""

from __future__ import annotations

import importlib
import logging
import os
import socket
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import msgspec

from carsync import logging_setup
from carsync.config.sections import Config
from carsync.errors import NoticeError
from carsync.postgres.connect import target_of
from carsync.reporting.live.progress import choose_progress
from carsync.reporting.notify.notifications import Notice, about_bug, about_run, headline, render
from carsync.reporting.notify.systemd import service_manager
from carsync.run.listener import Listeners, RunListener
from carsync.run.report import RunReport
from carsync.run.signals import StopSignal
from carsync.state import atomic_file
from carsync.state.checkpoint import CheckpointState
from carsync.state.clock import Moment

log = logging.getLogger(__name__)


class SentNotice(msgspec.Struct, frozen=True):
    """The last notice of a run that a web hook took: about which exit code, and when."""

    exit_code: int
    at: datetime


def listeners(
    config: Config, checkpoint_file: Path, stop: StopSignal, *, plain: bool, dry_run: bool = False
) -> Listeners:
    """Return all who listen to one run.

    These are the service manager, if any; the terminal or the log; the file of metrics, if any,
    but not of a `dry_run`, whose success it would show as that of a real run.
    """
    found: list[RunListener] = [
        *service_manager(os.environ, lambda: stop.requested),
        choose_progress(sys.stderr, os.environ, as_json=logging_setup.is_json(), plain=plain),
    ]
    if config.metrics.textfile is not None and not dry_run:
        module = importlib.import_module("carsync.reporting.notify.textfile_collector")
        found.append(module.TextFile(config, checkpoint_file))
    return Listeners(found)


def notify_end(
    config: Config,
    checkpoint_file: Path,
    before: CheckpointState | None,
    report: RunReport,
    stop: StopSignal,
) -> None:
    """Send the web hook, if any, a notice of the run's end; called when all else is done.

    Never raises and takes at most `webhook.BUDGET_S`; a further signal ends the sending at once.
    """
    now, host = here_and_now(before)
    _send(config, checkpoint_file, about_run(config.notify, report, before, now, host), stop)


def notify_bug(
    config: Config,
    checkpoint_file: Path,
    before: CheckpointState | None,
    bug: Exception,
    stop: StopSignal,
) -> None:
    """Send the web hook, if any, a notice that a bug ended the run; like `notify_end`."""
    now, host = here_and_now(before)
    notice = about_bug(
        config.notify,
        type(bug).__name__,
        source=config.sync.source,
        target=str(target_of(config)),
        host=host,
        sent_at=now,
    )
    _send(config, checkpoint_file, notice, stop)


def _send(config: Config, checkpoint_file: Path, notice: Notice | None, stop: StopSignal) -> None:
    """Send a notice, if there is one and a web hook for it, and keep that; never raises."""
    if config.notify.url is None or notice is None or notice.exit_code is None:
        return
    times = stop.times
    try:
        post(config, notice, lambda: stop.times > times)
        write_sent_notice(checkpoint_file, SentNotice(notice.exit_code, notice.sent_at))
    except NoticeError as exc:
        reason = f"{exc.problem} ({exc.detail})" if exc.detail else exc.problem
        log.warning("no notice was sent: %s", reason, extra={"event": "notice_failed"})
    except Exception as exc:  # whatever it is, the run is over and has its exit code
        kind = type(exc).__name__
        log.warning("no notice was sent: a bug: %s", kind, extra={"event": "notice_failed"})


def post(config: Config, notice: Notice, should_end: Callable[[], bool] = lambda: False) -> None:
    """Send a notice; raises `NoticeError`."""
    body = render(notice, config.notify.format)
    importlib.import_module("carsync.reporting.notify.webhook").deliver(
        config.notify, body, should_end
    )
    log.info("notice sent: %s", headline(notice), extra={"event": "notice", "about": notice.event})


def here_and_now(state: CheckpointState | None) -> tuple[datetime, str]:
    """Return the time, by the clock that `state` was written by, and this host's name."""
    moment = Moment.now()
    now = moment.by_the_clock_of(state.updated) if state else moment.wall
    return now, socket.gethostname()


def notice_file(checkpoint_file: Path) -> Path:
    """Return the file that says which notice was sent last."""
    return checkpoint_file.with_name(f"{checkpoint_file.name}.notice")


def write_sent_notice(checkpoint_file: Path, sent: SentNotice) -> None:
    """Keep the last notice of a run beside the checkpoint, where that can be written."""
    try:
        atomic_file.replace(notice_file(checkpoint_file), msgspec.json.encode(sent))
    except OSError as exc:
        log.debug("that a notice was sent could not be noted: %s", exc)


def read_sent_notice(checkpoint_file: Path) -> SentNotice | None:
    """Return the last notice of a run, None where there is none that can be read."""
    try:
        data = atomic_file.read(notice_file(checkpoint_file))
        return None if data is None else msgspec.json.decode(data, type=SentNotice)
    except (OSError, msgspec.DecodeError):
        return None
