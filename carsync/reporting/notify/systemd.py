"""Telling systemd how a run goes: READY, STATUS, WATCHDOG, STOPPING, more time (sd_notify(3)).

systemd kills a run that stops feeding its watchdog. So only the parent's own loop feeds it
(`update`, `pulse`), never a thread or a child: a loop that stands still is noticed.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, MutableMapping
from typing import Self

from carsync import formatting
from carsync.exit_codes import ExitCode
from carsync.reporting.views import wording
from carsync.run.listener import RunListener
from carsync.run.report import RunReport
from carsync.state.figures import Figures
from carsync.state.runs import Run

log = logging.getLogger(__name__)

SOCKET, WATCHDOG, WATCHDOG_PID = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"
FEED_SHARE = 0.25
"""Feed the watchdog after this share of its time; sd_watchdog_enabled(3) wants half."""
STATUS_EVERY_S = 2.0
STILL_EVERY_S = 10.0
"""In a phase without figures (the merge) the status says this often how long it has lasted."""
EXTEND_S = 120.0
"""Ask for this much more time while the run starts or stops."""
EXTEND_EVERY_S = 10.0
STOP_S = 900.0
"""Ask for more time until this long after a stop; a merge that takes longer is rolled back."""
LAST_WORDS_S = 1.0
STATUS_CHARACTERS = 400

Environment = MutableMapping[str, str]


def service_manager(environ: Environment, is_stopping: Callable[[], bool]) -> list[RunListener]:
    """Return the listener that `environ` asks for, if any, and take its variables away.

    The children must neither feed the watchdog nor speak for the run (`NotifyAccess=main`
    would refuse them). `is_stopping` says whether a signal asked the run to stop.
    """
    address, usec, pid = (environ.pop(name, "") for name in (SOCKET, WATCHDOG, WATCHDOG_PID))
    if not address:
        return []
    if not address.startswith(("/", "@")):
        log.warning("%s is not a socket that carsync can use: %s", SOCKET, address)
        return []
    is_ours = usec.isascii() and usec.isdigit() and pid in {"", str(os.getpid())}
    watchdog_s = int(usec) / 1e6 if is_ours else None
    return [ServiceManager(address, is_stopping, watchdog_s=watchdog_s or None)]


class ServiceManager(RunListener):
    """Speaks to systemd over a datagram socket; a socket that is gone fails nothing."""

    def __init__(
        self,
        address: str,
        is_stopping: Callable[[], bool],
        *,
        watchdog_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take a path or, with `@`, an abstract name (unix(7)), and the watchdog's time, if any."""
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._is_stopping = is_stopping
        self._feed_every_s = None if watchdog_s is None else watchdog_s * FEED_SHARE
        self._clock = clock
        self._unsent: dict[str, str] = {}
        self._is_ready = self._is_refused = False
        self._stopping_s: float | None = None
        self._phase = self._line = ""
        self._phase_s = clock()
        self._fed_s = self._extended_s = self._status_s = float("-inf")

    def __enter__(self) -> Self:
        self._say(STATUS="starting: lock, database, schema")
        self._turn()
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()

    def begun(self, run: Run) -> None:
        """Say that the run is ready: it holds the lock, its schema is up to date."""
        self._is_ready = True
        how = "begun" if run.resumed_at is None else "resumed"
        self._say(READY="1", STATUS=f"run {run.run_id} {how}")
        self._turn()

    def update(self, figures: Figures, phase: str) -> None:
        """Feed the watchdog; show the figures every `STATUS_EVERY_S`, a new phase at once."""
        now_s = self._clock()
        self._line = wording.progress(figures)
        if phase != self._phase:
            self._phase, self._phase_s = phase, now_s
            self._status_s = float("-inf")
        if now_s - self._status_s >= STATUS_EVERY_S:
            self._status_s = now_s
            self._say(STATUS=f"{phase} · {self._line}")
        self._turn()

    def pulse(self) -> None:
        """Feed the watchdog; say how long the phase has lasted where no figures come."""
        now_s = self._clock()
        if self._phase and now_s - self._status_s >= STILL_EVERY_S:
            self._status_s = now_s
            lasting = formatting.duration(round(now_s - self._phase_s))
            self._say(STATUS=f"{self._phase} for {lasting} · {self._line}")
        self._turn()

    def message(self, text: str) -> None:
        """Show what the run does before it begins (migrations)."""
        if not self._is_ready:
            self._say(STATUS=f"starting: {text}")
            self._turn()

    def ended(self, report: RunReport) -> None:
        """Say how the run ended and that the process leaves.

        A run that found another one at work is no failed start: it says READY, then STOPPING.
        """
        if report.exit_code == ExitCode.LOCKED and not self._is_ready:
            self._say(READY="1")
        self._say(STATUS=_last_words(report))
        if self._stopping_s is None:
            self._say(STOPPING="1")
        self._socket.settimeout(LAST_WORDS_S)
        self._send()

    def _turn(self) -> None:
        """Say what is due now that the parent's loop turned over."""
        now_s = self._clock()
        if self._stopping_s is None and self._is_stopping():
            self._stopping_s = now_s
            self._extended_s = float("-inf")
            self._say(STOPPING="1")
        if self._wants_time(now_s) and now_s - self._extended_s >= EXTEND_EVERY_S:
            self._extended_s = now_s
            self._say(EXTEND_TIMEOUT_USEC=f"{EXTEND_S * 1e6:.0f}")
        if self._feed_every_s is not None and now_s - self._fed_s >= self._feed_every_s:
            self._fed_s = now_s
            self._say(WATCHDOG="1")
        if self._unsent:
            self._send()

    def _wants_time(self, now_s: float) -> bool:
        """Say whether TimeoutStartSec= or TimeoutStopSec= may be too short.

        Never in between, where the same word would put off RuntimeMaxSec=.
        """
        if self._stopping_s is not None:
            return now_s - self._stopping_s < STOP_S
        return not self._is_ready

    def _say(self, **fields: str) -> None:
        self._unsent |= fields

    def _send(self) -> None:
        """Send what is unsent; keep it for the next turn where that fails.

        Of READY and STOPPING in one datagram systemd obeys only the last.
        """
        datagrams = [{name: value} for name, value in self._unsent.items() if name == "READY"]
        datagrams.append({n: value for n, value in self._unsent.items() if n != "READY"})
        for fields in datagrams:
            lines = [f"{name}={_one_line(value)}" for name, value in fields.items()]
            try:
                self._socket.sendto("\n".join(lines).encode(), self._address)
            except OSError as exc:  # full, or systemd is being replaced: it hears the next turn
                if not self._is_refused and not isinstance(exc, BlockingIOError):
                    log.warning("systemd cannot be reached: %s", exc.strerror or exc)
                    self._is_refused = True
                return
            for name in fields:
                del self._unsent[name]
        self._is_refused = False


def _last_words(report: RunReport) -> str:
    run = "" if report.run_id is None else f"run {report.run_id} "
    if report.problem or report.counts is None:
        problem = f": {report.problem}" if report.problem else ""
        return f"{run}{report.state}, exit code {int(report.exit_code)}{problem}"
    names = ("seen", "inserted", "updated", "reactivated", "deactivated")
    words = ", ".join(f"{getattr(report.counts, name):,} {name}" for name in names)
    return f"{run}{report.state} in {formatting.duration(round(report.duration_s))}: {words}"


def _one_line(text: str) -> str:
    r"""Leave nothing that ends the field early or that systemd refuses; cut what is too long.

    >>> _one_line("a\nb\tc\ud800.")
    'a b c .'
    """
    plain = formatting.printable(text)
    return plain if len(plain) <= STATUS_CHARACTERS else plain[: STATUS_CHARACTERS - 1] + "…"
