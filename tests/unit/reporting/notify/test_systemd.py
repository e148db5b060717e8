"""What systemd is told of a run, over a real datagram socket; the clock is set by hand."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from carsync.exit_codes import ExitCode
from carsync.model import MergeCounts
from carsync.reporting.notify.systemd import EXTEND_S, STOP_S, ServiceManager, service_manager
from carsync.run.report import RunReport
from carsync.state.runs import Run
from tests.support import snapshots
from tests.support.fake_clock import FakeClock
from tests.support.snapshots import NOW

RUN = Run(
    *(7, "token", "public", "cars", "external", "running", NOW, None, None, None, None, "1"),
    *({}, "md5", None, None, None, None, "whole", None),
)


class Listener:
    """The other end: what systemd hears, one text a datagram."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind(address.replace("@", "\0"))

    def heard(self) -> list[str]:
        """Return the lines that came since the last call."""
        lines: list[str] = []
        with suppress(BlockingIOError):
            while True:
                lines += self.socket.recv(4096).decode().splitlines()
        return lines


class Bench:
    """A manager, its listener, its clock, and whether a stop was asked for."""

    def __init__(self, listener: Listener, address: str, watchdog_s: float | None = 20.0) -> None:
        self.clock = FakeClock()
        self.is_stopping = False
        self.listener = listener
        self.manager = ServiceManager(
            address, lambda: self.is_stopping, watchdog_s=watchdog_s, clock=self.clock
        )

    def heard(self) -> list[str]:
        return self.listener.heard()

    def pulse_for(self, seconds: float) -> dict[str, int]:
        """Let the parent's loop turn over for that long; count what was said by field."""
        counted: dict[str, int] = {}
        for _ in range(round(seconds / 0.2)):
            self.clock.advance(0.2)
            self.manager.pulse()
            for line in self.heard():
                name = line.partition("=")[0]
                counted[name] = counted.get(name, 0) + 1
        return counted


def report(**changes: Any) -> RunReport:
    return snapshots.report(**{"run_id": 7, **changes})


@pytest.fixture
def address(tmp_path: Path) -> str:
    return str(tmp_path / "notify")


@pytest.fixture
def listener(address: str) -> Iterator[Listener]:
    listener = Listener(address)
    yield listener
    listener.socket.close()


@pytest.fixture
def bench(listener: Listener, address: str) -> Iterator[Bench]:
    bench = Bench(listener, address)
    with bench.manager:
        yield bench


# the variables


def test_without_a_socket_nobody_is_told() -> None:
    assert service_manager({"WATCHDOG_USEC": "1000000"}, lambda: False) == []


def test_an_unknown_kind_of_socket_fails_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert service_manager({"NOTIFY_SOCKET": "vsock:2:1234"}, lambda: False) == []
    assert "vsock:2:1234" in caplog.text


@pytest.mark.parametrize("abstract", [False, True])
@pytest.mark.parametrize(("who", "fed"), [("anyone", True), ("me", True), ("another", False)])
def test_the_variables_are_obeyed_and_kept_from_the_children(
    tmp_path: Path, abstract: bool, who: str, fed: bool
) -> None:
    name = f"@carsync-{uuid.uuid4().hex}" if abstract else str(tmp_path / "notify")
    listener = Listener(name)
    environ = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1000000", "PATH": "/bin"}
    if who != "anyone":
        environ["WATCHDOG_PID"] = str(os.getpid() + (who == "another"))
    (manager,) = service_manager(environ, lambda: False)
    assert environ == {"PATH": "/bin"}
    with manager:
        manager.begun(RUN)
        lines = listener.heard()
    listener.socket.close()
    assert "READY=1" in lines
    assert ("WATCHDOG=1" in lines) is fed


def test_a_watchdog_s_time_that_is_no_number_is_none(address: str) -> None:
    environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "²"}
    (manager,) = service_manager(environ, lambda: False)
    with manager:
        manager.begun(RUN)


# the run's life


def test_ready_comes_once_the_run_has_begun(bench: Bench) -> None:
    bench.manager.message("created table public.cars")
    before = bench.heard()
    assert "READY=1" not in before
    assert "STATUS=starting: created table public.cars" in before
    bench.manager.begun(RUN)
    assert {"READY=1", "STATUS=run 7 begun"} <= set(bench.heard())
    bench.manager.message("a note")
    assert bench.heard() == []


def test_the_status_is_the_progress_line(bench: Bench) -> None:
    bench.manager.update(snapshots.snapshot(), "fetching")
    (status,) = [line for line in bench.heard() if line.startswith("STATUS=fetching")]
    assert "pages 812/2000 (40.6 %) · 20.0 pages/s" in status
    bench.clock.advance(0.5)
    bench.manager.update(snapshots.snapshot(), "fetching")
    assert bench.heard() == []
    bench.manager.update(snapshots.snapshot(), "deciding")
    assert "STATUS=deciding · " in "\n".join(bench.heard())


def test_an_hour_of_merging_feeds_the_watchdog_and_says_how_long_it_lasts(bench: Bench) -> None:
    bench.manager.begun(RUN)
    bench.manager.update(snapshots.snapshot(), "merging")
    bench.heard()
    gap_s = last_s = 0.0
    statuses = []
    for turn in range(18_000):
        bench.clock.advance(0.2)
        bench.manager.pulse()
        lines = bench.heard()
        statuses += [line for line in lines if line.startswith("STATUS=")]
        assert not any(line.startswith("EXTEND") for line in lines), "it puts off RuntimeMaxSec="
        if "WATCHDOG=1" in lines:
            gap_s, last_s = max(gap_s, turn * 0.2 - last_s), turn * 0.2
    assert gap_s <= 20 / 2, "sd_watchdog_enabled(3): at least every half of its time"
    assert statuses[-1].startswith("STATUS=merging for 59 min 50 s · pages 812/2000")
    assert 300 < len(statuses) <= 360


def test_a_parent_whose_loop_stands_still_feeds_nobody(bench: Bench) -> None:
    bench.manager.begun(RUN)
    bench.heard()
    bench.clock.advance(3600)
    assert bench.heard() == []


def test_more_time_is_asked_for_while_the_run_starts_and_while_it_stops(bench: Bench) -> None:
    assert bench.pulse_for(60)["EXTEND_TIMEOUT_USEC"] == 6
    bench.manager.begun(RUN)
    bench.heard()
    assert "EXTEND_TIMEOUT_USEC" not in bench.pulse_for(60)
    bench.is_stopping = True
    bench.manager.pulse()
    assert {"STOPPING=1", f"EXTEND_TIMEOUT_USEC={EXTEND_S * 1e6:.0f}"} <= set(bench.heard())
    stopping = bench.pulse_for(STOP_S)
    assert stopping["EXTEND_TIMEOUT_USEC"] >= STOP_S / EXTEND_S
    assert "STOPPING" not in stopping
    assert "EXTEND_TIMEOUT_USEC" not in bench.pulse_for(60), "a merge may not block for ever"


def test_the_last_words_tell_the_counts(bench: Bench) -> None:
    bench.manager.begun(RUN)
    bench.heard()
    bench.manager.ended(report())
    assert bench.heard() == [
        "STATUS=run 7 complete in 1 min 43 s: 200,000 seen, 2,000 inserted, 1,999 updated, "
        "12 reactivated, 40 deactivated",
        "STOPPING=1",
    ]


def test_the_last_words_of_a_failure_are_its_problem_on_one_line(bench: Bench) -> None:
    bench.manager.begun(RUN)
    bench.heard()
    problem = "no route\nREADY=1\nto \ud800 host" + "x" * 5000
    ending = {"state": "failed", "exit_code": ExitCode.DATABASE, "counts": None}
    bench.manager.ended(report(problem=problem, **ending))
    status, stopping = bench.heard()
    assert status.startswith("STATUS=run 7 failed, exit code 4: no route READY=1 to   hostxx")
    assert len(status) < 500
    assert stopping == "STOPPING=1"


def test_a_run_that_finds_another_at_work_is_no_failed_start(bench: Bench) -> None:
    """For systemd the end of a service that was never ready is a failure, whatever its code."""
    bench.heard()
    ending = {"state": "failed", "exit_code": ExitCode.LOCKED, "counts": None}
    bench.manager.ended(report(run_id=None, problem="another run holds the lock", **ending))
    first = bench.listener.socket.recv(4096).decode()
    assert first == "READY=1", "of READY and STOPPING in one datagram systemd obeys the last"
    assert bench.heard()[-1] == "STOPPING=1"


def test_other_failures_before_the_run_began_are_failed_starts(bench: Bench) -> None:
    ending = {"state": "failed", "exit_code": ExitCode.DATABASE, "counts": MergeCounts()}
    bench.manager.ended(report(run_id=None, problem="no database", **ending))
    assert "READY=1" not in bench.heard()


# the socket's troubles


def test_a_socket_that_is_gone_fails_nothing_and_hears_the_rest_once_it_is_back(
    address: str, caplog: pytest.LogCaptureFixture
) -> None:
    listener = Listener(address)
    bench = Bench(listener, address)
    listener.socket.close()
    Path(address).unlink()
    with bench.manager as manager:
        manager.begun(RUN)
        manager.pulse()
        assert caplog.text.count("systemd cannot be reached: No such file") == 1
        listener = Listener(address)
        bench.clock.advance(0.2)
        manager.pulse()
        assert {"READY=1", "WATCHDOG=1", "STATUS=run 7 begun"} <= set(listener.heard())
        listener.socket.close()


def test_a_full_socket_does_not_hold_the_run_up(bench: Bench) -> None:
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sender.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            sender.sendto(b"STATUS=noise", bench.listener.socket.getsockname())
    sender.close()
    bench.manager.begun(RUN)
    assert "READY=1" not in bench.heard()
    bench.manager.pulse()
    assert "READY=1" in bench.heard()
