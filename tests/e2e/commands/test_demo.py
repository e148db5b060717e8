"""`carsync demo` as a newcomer runs it."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import psutil
import psycopg2
import pytest
from click.testing import CliRunner

from carsync.cli.demo import demo
from carsync.demo.console import Console
from carsync.demo.scenario import DemoOptions

COMMAND = [str(Path(sys.executable).with_name("carsync")), "demo", "--cars", "2000"]
TIMEOUT_S = 120
MARK = "CARSYNC_TEST_MARK"


@contextmanager
def started(folder: Path, *options: str, **popen: Any) -> Iterator[subprocess.Popen[str]]:
    """Start the demo with temporary files in `folder`, marked so that its children are found."""
    # Settings of the caller's own must not lead the demo to a real system.
    foreign = {
        "API_BASE_URL": "http://127.0.0.1:9",
        "API_KEY": "x",
        "PAGE_SIZE": "7",
        "PGHOST": "x",
    }
    environ = {**os.environ, **foreign, "TMPDIR": str(folder), MARK: str(uuid.uuid4())}
    settings = {"stdout": subprocess.PIPE, "stdin": subprocess.DEVNULL, **popen}
    process = subprocess.Popen(
        [*COMMAND, *options], env=environ, cwd="/", stderr=subprocess.PIPE, text=True, **settings
    )
    try:
        yield process
        assert not list(folder.glob("carsync-*"))
        deadline_s = time.monotonic() + 5  # PostgreSQL's last process ends just after its files
        while (left := left_behind(environ[MARK], folder)) and time.monotonic() < deadline_s:
            psutil.wait_procs(left, timeout=0.5)
        assert not left
    finally:
        process.kill()
        for child in left_behind(environ[MARK], folder):
            child.kill()
        process.communicate()


@contextmanager
def watched(process: subprocess.Popen[str]) -> Iterator[None]:
    """Kill `process` if reading from it takes too long."""
    watchdog = threading.Timer(TIMEOUT_S, process.kill)
    watchdog.start()
    try:
        yield
    finally:
        watchdog.cancel()


def left_behind(mark: str, folder: Path) -> list[psutil.Process]:
    """Return the processes that inherited `mark`, or that work in `folder` as PostgreSQL's do."""
    found = []
    for process in psutil.process_iter():
        try:
            marked = process.environ().get(MARK) == mark
            if marked or any(str(folder) in part for part in process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short folder that PostgreSQL's user can reach, as a temporary directory must be."""
    with tempfile.TemporaryDirectory(prefix="cs-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@pytest.mark.slow
@pytest.mark.long
def test_every_check_passes_and_the_database_stays_up_until_enter_on_a_terminal(
    folder: Path,
) -> None:
    ours, theirs = pty.openpty()
    try:
        with started(folder, stdin=theirs) as process:
            assert process.stdout is not None
            out = ""
            with watched(process):
                for line in process.stdout:
                    out += line
                    if line.startswith("To continue with the feed"):
                        break
            dsn = re.findall(r"^'(postgresql://.*)'$", out, re.MULTILINE)[-1]
            with closing(psycopg2.connect(dsn)) as conn, conn.cursor() as cur:
                cur.execute("SELECT count(*) FROM cars WHERE is_active")
                assert cur.fetchone() == (2000,)
            os.write(ours, b"\n")
            rest, err = process.communicate(timeout=TIMEOUT_S)
            assert process.returncode == 0, out + rest + err
    finally:
        os.close(ours)
        os.close(theirs)
    checks = [line for line in out.splitlines() if line.startswith("  ✓ ")]
    assert f"All {len(checks)} checks passed" in out
    assert len(checks) == 4 * 5 + 3
    assert "✗" not in out
    assert "Traceback" not in err
    # The connection string is as long as the temporary folder's path makes it.
    assert all(len(line) <= 80 for line in out.splitlines() if "postgresql://" not in line)
    commands = re.findall(r"^\$ (.*)", out, re.MULTILINE)
    assert commands == [
        *["carsync sync"] * 3,
        "RPS=2 carsync sync",
        "carsync sync",
        "carsync status",
    ]
    assert "2,000 inserted, 0 updated, 0 deactivated: as in the feed" in out
    assert "10 inserted, 20 updated, 10 deactivated: as in the feed" in out
    assert re.search(r"\d+ pages kept, the other \d+ read once each", out)


@pytest.mark.slow
def test_ctrl_c_in_the_middle_leaves_nothing_behind(folder: Path) -> None:
    with started(folder, start_new_session=True) as process:
        assert process.stdout is not None
        with watched(process):
            for line in process.stdout:
                if line.startswith("── 2."):
                    break
        os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to the whole group
        process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 130


def test_without_a_terminal_it_ends_after_the_last_chapter_unless_it_is_to_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stays = []

    def play(options: DemoOptions, console: Console, stay: Callable[[], None] | None) -> bool:
        stays.append(stay is not None)
        return options.cars == 2000

    monkeypatch.setattr("carsync.cli.demo.play", play)
    monkeypatch.setattr("carsync.cli.demo.signal", Mock())
    monkeypatch.setattr("carsync.cli.demo.forget_configuration", Mock())
    ends = [
        CliRunner().invoke(demo, ["--cars", cars, *option]).exit_code
        for cars, option in (("2000", []), ("2000", ["--keep"]), ("3000", ["--no-keep"]))
    ]
    assert stays == [False, True, False]
    assert ends == [0, 0, 1], "a check that failed is told"
