"""`carsync changes` as a process: to the feed's end, through a restart, until it is stopped."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from queue import Empty, Queue
from threading import Thread
from typing import IO, Any

import pytest
from psycopg2 import extensions

from carsync import timing
from carsync.config.sections import Config, Database
from carsync.demo.postgres import EmbeddedPostgres
from carsync.destination import migrations
from carsync.errors import DatabaseUnavailableError
from carsync.postgres import connection
from carsync.postgres.wait import Connection
from carsync.redaction import Secret
from carsync.state import change_feed, change_follower, present_cars
from carsync.state.change_feed import Change, FeedCursor
from carsync.state.change_follower import ChangeFollower
from tests.support.command_line import run
from tests.support.json_answers import assert_documented
from tests.support.merge_rig import COLUMNS, TARGET, Rig, cars
from tests.support.pg_proxy import PgProxy
from tests.support.site import CARSYNC, ask, await_that

WITHIN_S = 15.0


def lines(dsn: str, *arguments: str) -> list[dict[str, Any]]:
    """Return what `carsync changes --json` prints, an object for each line."""
    ended = run("changes", "--json", *arguments, DATABASE_URL=dsn)
    assert (ended.exit_code, ended.stderr) == (0, "")
    return [json.loads(line) for line in ended.stdout.splitlines()]


def test_the_command_prints_every_change_behind_a_cursor_once(rig: Rig, dsn: str) -> None:
    rig.sync(cars(range(3)))
    (head,) = lines(dsn, "--head")
    rig.sync([*cars(range(2), "b")])
    found = lines(dsn, "--rows")
    for line in (*found, head):
        assert_documented(line)
    assert [(line["run"], line["id"], line["action"]) for line in found] == [
        (1, "0", "inserted"),
        (1, "1", "inserted"),
        (1, "2", "inserted"),
        (2, "0", "updated"),
        (2, "1", "updated"),
        (2, "2", "deactivated"),
    ]
    assert found[0]["before"] is found[0]["after"] is None
    assert (found[5]["before"]["is_active"], found[5]["after"]) == (True, {"is_active": False})
    assert (found[0]["row"]["price"], found[0]["row"]["data_hash"]) == (12500.5, "0:b")
    assert [line["id"] for line in lines(dsn, "--since", head["cursor"])] == ["0", "1", "2"]
    assert lines(dsn, "--since", found[-1]["cursor"]) == lines(dsn, "--since", "now") == []
    assert [line["id"] for line in lines(dsn, "--limit", "1", "--since", found[3]["cursor"])] == [
        "1"
    ]


class Follower:
    """`carsync changes --follow`, whose lines come into a queue."""

    def __init__(self, dsn: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*CARSYNC, "changes", "--json", "--follow", *arguments],
            env={**os.environ, "DATABASE_URL": dsn},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self._lines: Queue[str] = Queue()
        self._thread = Thread(target=self._read, args=(self.process.stdout,), daemon=True)
        self._thread.start()

    def _read(self, stdout: IO[str]) -> None:
        for line in stdout:
            self._lines.put(line)

    def next(self) -> dict[str, Any]:
        """Return the next line."""
        try:
            line: dict[str, Any] = json.loads(self._lines.get(timeout=WITHIN_S))
        except Empty:
            pytest.fail(f"no line within {WITHIN_S:g} s")
        return line

    def end(self, number: int) -> tuple[int, str]:
        """Send a signal; return the exit code, and what was said, once the process has ended."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=WITHIN_S)
        self._thread.join(WITHIN_S)
        assert self._lines.empty()
        return self.process.returncode, said


@contextmanager
def following(dsn: str, *arguments: str) -> Iterator[Follower]:
    follower = Follower(dsn, *arguments)
    try:
        yield follower
    finally:
        follower.process.kill()
        follower.process.communicate()


def connect(dsn: str) -> Connection:
    return connection.connect(Secret(dsn), application_name="syncs")


@pytest.fixture
def rig(conn: Connection) -> Rig:
    """A rig over the test's migrated database."""
    return Rig(conn)


def test_a_follower_goes_on_through_a_restart_of_postgresql(
    own_server: EmbeddedPostgres, crashing_dsn: str
) -> None:
    with closing(connect(crashing_dsn)) as conn:
        migrations.migrate(conn, TARGET, COLUMNS)
        Rig(conn).sync(cars(range(2)))
    with following(crashing_dsn) as follower:
        assert [follower.next()["id"] for _ in range(2)] == ["0", "1"]
        own_server.stop("immediate")
        own_server.start()
        with closing(connect(crashing_dsn)) as conn:
            Rig(conn).sync(cars(range(2), "b"))
            assert [follower.next()["action"] for _ in range(2)] == ["updated"] * 2
            before_s = time.monotonic()
            Rig(conn).sync([*cars(range(2), "b"), *cars([7])])
            assert follower.next()["id"] == "7"
            assert time.monotonic() - before_s < 2, "it was notified"
        held = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'carsync changes'"
        idle = f"{held} AND state = 'idle' AND backend_xmin IS NULL"
        await_that(lambda: ask(crashing_dsn, idle), "no transaction while nothing happens")
        code, said = follower.end(signal.SIGTERM)
    assert code == 143
    assert "the database is away" in said
    assert "Traceback" not in said


def test_a_stopped_follower_ends_though_nobody_reads_its_lines(rig: Rig, dsn: str) -> None:
    rig.sync(cars(range(2000)))
    environ = {**os.environ, "DATABASE_URL": dsn}
    command = [*CARSYNC, "changes", "--json", "--follow"]
    unread, pipe = os.pipe()
    process = subprocess.Popen(command, env=environ, stdout=pipe)
    try:
        await_that(lambda: not select.select([], [pipe], [], 0)[1], "a full pipe")
        process.send_signal(signal.SIGINT)
        assert process.wait(WITHIN_S) == 130
    finally:
        process.kill()
        process.wait()
        os.close(unread)
        os.close(pipe)


def test_a_follower_ends_once_its_reader_is_gone(rig: Rig, dsn: str) -> None:
    rig.sync(cars(range(1)))
    command = f"{CARSYNC[0]} changes --json --follow | head -n 1"
    environ = {**os.environ, "DATABASE_URL": dsn}
    piped = ["bash", "-c", f"{command}; echo ${{PIPESTATUS[0]}}"]
    ended = subprocess.run(piped, env=environ, capture_output=True, text=True, timeout=WITHIN_S)
    line, code = ended.stdout.splitlines()
    assert (json.loads(line)["id"], code, ended.stderr) == ("0", "141", "")


def test_who_begins_is_given_the_table_and_a_cursor_to_follow_it(
    rig: Rig, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lines(dsn, "--since", "table") == []
    rig.sync(cars(range(5)))
    rig.sync(cars(range(3), "b"))
    found = lines(dsn, "--since", "table")
    for line in found:
        assert_documented(line)
    assert [(line["id"], line["action"], line["row"]["is_active"]) for line in found] == [
        ("0", "present", True),
        ("1", "present", True),
        ("2", "present", True),
        ("3", "present", False),
        ("4", "present", False),
    ]
    (head,) = lines(dsn, "--head")
    assert {line["cursor"] for line in found} == {head["cursor"]}
    monkeypatch.setattr(present_cars, "WINDOW_ROWS", 2)
    target, cursor = TARGET, FeedCursor.parse(head["cursor"])
    windows = list(present_cars.read_table(rig.conn, target, cursor))
    assert [[car.id for car in window] for window in windows] == [["0", "1"], ["2", "3"], ["4"]]
    rig.sync(cars(range(4), "b"))
    behind = lines(dsn, "--since", head["cursor"], "--rows")
    assert [(line["id"], line["action"]) for line in behind] == [("3", "reactivated")]
    assert run("changes", "--since", "table", "--limit", "1", DATABASE_URL=dsn).exit_code == 2


def test_a_refused_cursor_is_told_with_exit_code_2(rig: Rig, dsn: str) -> None:
    rig.sync(cars(range(1)))
    ended = run("changes", "--json", "--since", "99-00000000", DATABASE_URL=dsn)
    assert ended.exit_code == 2
    error = json.loads(ended.stdout)["error"]
    assert "not of this database" in error["problem"]
    assert "--since table" in error["hint"]


def test_a_change_is_a_line_for_people(rig: Rig, dsn: str) -> None:
    rig.sync(cars(range(1)))
    assert run("changes", DATABASE_URL=dsn).stdout.endswith("run 1  0  inserted\n")
    head = run("changes", "--head", DATABASE_URL=dsn).stdout.strip()
    assert run("changes", "--since", head, DATABASE_URL=dsn).stdout == ""


def test_a_reader_is_told_which_rights_it_needs(rig: Rig, dsn: str) -> None:
    name = "reader_without_rights"
    ask(dsn, f"CREATE ROLE {name} LOGIN")
    theirs = extensions.make_dsn(dsn, user=name)
    try:
        for options in ([], ["--head"]):
            ended = run("changes", *options, DATABASE_URL=theirs)
            assert ended.exit_code == 4
            assert "SELECT on carsync.changes, carsync.change_batches" in ended.stderr
        tables = "carsync.changes, carsync.change_batches, carsync.runs"
        ask(dsn, f"GRANT USAGE ON SCHEMA carsync TO {name}; GRANT SELECT ON {tables} TO {name}")
        assert run("changes", DATABASE_URL=theirs).exit_code == 0
    finally:
        ask(dsn, f"DROP OWNED BY {name}; DROP ROLE {name}")


def test_a_database_that_was_not_migrated_has_no_feed(empty_dsn: str) -> None:
    ended = run("changes", DATABASE_URL=empty_dsn)
    assert ended.exit_code == 4
    assert "`carsync migrate`" in ended.stderr


def test_on_a_standby_the_feed_is_looked_at_again_and_again(
    rig: Rig, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LISTEN is refused there."""
    monkeypatch.setattr(change_feed, "is_standby", lambda conn: True)
    monkeypatch.setattr(change_follower, "_POLL_S", 0.05)
    monkeypatch.setattr(change_follower, "listen", lambda conn: pytest.fail("it listens"))
    rig.sync(cars(range(1)))
    follower = ChangeFollower(Config(database=Database(dsn=Secret(dsn))), "now")
    windows = follower.read(follow=True, each_turn=lambda: None)
    assert next(windows) == []
    rig.sync(cars(range(1), "b"))
    found = next(window for window in windows if window)
    assert [change.action for change in found if isinstance(change, Change)] == ["updated"]


def test_a_follower_waits_for_the_database_for_a_limited_time(rig: Rig, proxy: PgProxy) -> None:
    rig.sync(cars(range(1)))
    config = Config(database=Database(dsn=Secret(proxy.dsn), connect_timeout_s=2))
    follower = ChangeFollower(config, "start")
    windows = follower.read(follow=True, each_turn=lambda: None)
    with timing.shortened(follow_outage_s=0.5):
        assert len(next(windows)) == 1
        proxy.close()
        before_s = time.monotonic()
        with pytest.raises(DatabaseUnavailableError):
            list(windows)
        assert time.monotonic() - before_s < 14
