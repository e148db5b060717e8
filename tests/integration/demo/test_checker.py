"""The demo's checker passes an exact table and must not believe a lie."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2
import pytest

from carsync.demo import server
from carsync.demo.checker import NOTHING, Checker, check_requests
from carsync.demo.command import CommandRunner
from carsync.demo.feed import FeedOptions
from carsync.demo.simulator import Simulator, SimulatorOptions
from tests.conftest import new_database

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
        [(1, 200), (2, 200), (3, 200), (4, 200)],
        [(1, 200), (2, 200), (3, 200), (3, 200)],
    ],
)
def test_the_checker_sees_requests_too_many_too_few_or_too_fast(log: list[tuple[int, int]]) -> None:
    arrivals = [(0.0, f"/api/cars?page={page}&per_page=100", status) for page, status in log]
    assert not check_requests(arrivals, 2, ()).passed
