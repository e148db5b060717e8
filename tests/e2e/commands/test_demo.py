"""`carsync demo` as a newcomer runs it, and its checker, which must not believe a lie."""

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
from carsync.demo import server
from carsync.demo.checker import NOTHING, Checker, check_requests
from carsync.demo.command import CommandRunner
from carsync.demo.console import Console
from carsync.demo.feed import FeedOptions
from carsync.demo.scenario import DemoOptions
from carsync.demo.simulator import Simulator, SimulatorOptions
from tests.conftest import new_database

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
                    if line.startswith("To go on with the feed"):
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
    assert re.search(r"\d+ pages were kept, the other \d+ read once each", out)


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


# ── the checker ──────────────────────────────────────────────────────────────

FEED = FeedOptions(cars=1000)


@pytest.fixture(scope="module")
def synced(server_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The DSN of a database that holds snapshot 1 of `FEED`, synced after snapshot 0."""
    app = Simulator(SimulatorOptions(feed=FEED))
    with new_database(server_dsn, "template0") as dsn, server.running(app) as api:
        runner = CommandRunner(
            {
                "API_BASE_URL": api.base_url,
                "API_KEY": "demo",
                "RPS": "0",
                "DATABASE_URL": dsn,
                "STATE_DIRECTORY": str(tmp_path_factory.mktemp("state")),
            }
        )
        assert runner.run("sync").exit_code == 0
        app.show(1)
        assert runner.run("sync").exit_code == 0
        yield dsn


@contextmanager
def altered(dsn: str, statement: str) -> Iterator[None]:
    """Alter the table for the length of the block."""
    with closing(psycopg2.connect(dsn)) as conn, conn.cursor() as cur:
        cur.execute("CREATE TABLE honest AS TABLE cars")
        cur.execute(statement)
        conn.commit()
        try:
            yield
        finally:
            cur.execute("TRUNCATE cars")
            cur.execute("INSERT INTO cars TABLE honest")
            cur.execute("DROP TABLE honest")
            conn.commit()


def test_the_checker_passes_an_exact_table(synced: str) -> None:
    checker = Checker(FEED, synced)
    assert checker.check_ids(1).passed
    assert checker.check_rows(1).passed


LIES = {
    "price": "UPDATE cars SET price = price + 1 WHERE id = '7000500'",
    "a photo": "UPDATE cars SET images = images - 0 WHERE id = '7000500'",
    "hash": "UPDATE cars SET data_hash = NULL WHERE id = '7000500'",
    "source": "UPDATE cars SET domain_name = 'other' WHERE id = '7000500'",
    "gone": "DELETE FROM cars WHERE id = '7000500'",
}


@pytest.mark.parametrize("lie", LIES)
def test_the_checker_sees_one_wrong_row(synced: str, lie: str) -> None:
    with altered(synced, LIES[lie]):
        finding = Checker(FEED, synced).check_rows(1)
        assert not finding.passed
        assert finding.text.startswith("1 of 1,000 differ; 7000500: ")


@pytest.mark.parametrize(
    "lie",
    [
        "UPDATE cars SET is_active = false WHERE id = '7000500'",
        "UPDATE cars SET is_active = true WHERE NOT is_active",
        "DELETE FROM cars WHERE NOT is_active",
        "DELETE FROM cars WHERE id = '7000500'",
        "INSERT INTO cars (id, source_api, is_active) VALUES ('1', 'external', true)",
    ],
)
def test_the_checker_sees_one_wrong_id(synced: str, lie: str) -> None:
    with altered(synced, lie):
        assert not Checker(FEED, synced).check_ids(1).passed


def test_the_checker_sees_rows_that_were_written_for_nothing(synced: str) -> None:
    checker = Checker(FEED, synced)
    before = checker.writes()
    assert before != NOTHING
    assert checker.check_writes(before, 1, since=1).passed
    with closing(psycopg2.connect(synced)) as conn, conn, conn.cursor() as cur:
        cur.execute("UPDATE cars SET make = make WHERE id = '7000500'")
    assert not checker.check_writes(before, 1, since=1).passed


def test_the_checker_sees_counts_that_are_not_the_feeds(synced: str) -> None:
    checker = Checker(FEED, synced)
    counts = {"inserted": 5, "updated": 10, "deactivated": 5, "unchanged": 985}
    assert checker.check_counts(counts, 1, since=0).passed
    for name in ("inserted", "updated", "deactivated"):
        assert not checker.check_counts({**counts, name: 1}, 1, since=0).passed
    assert not checker.check_counts({}, 1, since=0).passed


@pytest.mark.parametrize(
    "log",
    [
        [(1, 200)],
        [(1, 200), (2, 200), (2, 200)],
        [(1, 200), (2, 429), (2, 200)],
        [(1, 200), (2, 200), (3, 200)],
    ],
)
def test_the_checker_sees_requests_too_many_too_few_or_too_fast(log: list[tuple[int, int]]) -> None:
    arrivals = [(0.0, f"/api/cars?page={page}&per_page=100", status) for page, status in log]
    assert not check_requests(arrivals, 2, ()).passed
