"""Many threads stage over one connection, a few transactions for many pages."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg2
import pytest

from carsync.config.sections import Database
from carsync.destination.stage_writer import StageWriter
from carsync.destination.staging import drop, read_ledger
from carsync.engine.dask.stager import Stager
from carsync.engine.messages import PagesStaged
from carsync.errors import DatabaseError, LockedError
from carsync.model import MappedPage
from carsync.postgres.wait import Connection
from carsync.redaction import Secret
from tests.conftest import ask
from tests.support.merge_rig import COLUMNS, Rig, cars, page

WRITERS = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'carsync writer%'"


class Staging:
    """A run, a stager of it in one worker process, and what that has told."""

    def __init__(self, conn: Connection, dsn: str, batch_size: int = 500) -> None:
        self.rig = Rig(conn)
        self.rig.begin()
        self.told: list[PagesStaged] = []
        run, database = self.rig.run, Database(dsn=Secret(dsn), batch_size=batch_size)
        self.stager = Stager(database, run.run_id, run.token, COLUMNS, (), (), self.told.append)

    def pages(self) -> list[int]:
        return [line.page for line in read_ledger(self.rig.conn, self.rig.run.run_id)]


def pages(numbers: range) -> list[MappedPage]:
    return [page(number, cars(range(number * 10, number * 10 + 3))) for number in numbers]


def test_many_threads_share_one_connection_and_few_transactions(
    conn: Connection, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging = Staging(conn, dsn)
    started, may_go = threading.Event(), threading.Event()
    really = StageWriter.stage

    def slowly(self: StageWriter, batch: Any) -> Any:
        started.set()
        assert may_go.wait(30)
        return really(self, batch)

    monkeypatch.setattr(StageWriter, "stage", slowly)
    with ThreadPoolExecutor(16) as pool:
        first = pool.submit(staging.stager.stage, pages(range(1, 2))[0])
        assert started.wait(30)
        others = [pool.submit(staging.stager.stage, each) for each in pages(range(2, 16))]
        while len(staging.stager._pages._waiting) < len(others):
            assert not first.done()
        may_go.set()
        for each in (first, *others):
            each.result(30)
    assert staging.pages() == list(range(1, 16))
    assert [len(told.pages) for told in staging.told] == [1, 14], "those who waited went together"
    assert ask(conn, WRITERS) == [(1,)]
    staging.stager.close()


def test_a_batch_ends_at_batch_size_rows(conn: Connection, dsn: str) -> None:
    staging = Staging(conn, dsn, batch_size=5)
    waiting = [page(number, cars(range(number * 10, number * 10 + 3))) for number in range(1, 6)]
    with staging.stager._pages._turn, ThreadPoolExecutor(5) as pool:
        threads = [pool.submit(staging.stager.stage, each) for each in waiting]
        while len(staging.stager._pages._waiting) < 5:
            assert not any(each.done() for each in threads)
        staging.stager._pages._turn.release()
        for each in threads:
            each.result(30)
        staging.stager._pages._turn.acquire()
    assert sorted(len(told.pages) for told in staging.told) == [1, 2, 2]
    staging.stager.close()


def test_an_error_reaches_every_page_of_its_batch_and_the_next_one_heals(
    conn: Connection, dsn: str
) -> None:
    staging = Staging(conn, dsn)
    staging.stager.stage(pages(range(1, 2))[0])
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE %s"
    ask(conn, end.replace("%s", "'carsync writer%'"))
    with staging.stager._pages._turn, ThreadPoolExecutor(3) as pool:
        threads = [pool.submit(staging.stager.stage, each) for each in pages(range(2, 5))]
        while len(staging.stager._pages._waiting) < 3:
            assert not any(each.done() for each in threads)
        staging.stager._pages._turn.release()
        failed = [each.exception(30) for each in threads]
        staging.stager._pages._turn.acquire()
    assert len({id(each) for each in failed}) == 1
    assert isinstance(failed[0], DatabaseError | psycopg2.Error)
    assert staging.pages() == [1]
    staging.stager.stage(pages(range(2, 3))[0])
    assert staging.pages() == [1, 2]
    staging.stager.close()


def test_a_run_that_another_process_took_over_stages_nothing(conn: Connection, dsn: str) -> None:
    staging = Staging(conn, dsn)
    ask(conn, "UPDATE carsync.runs SET token = gen_random_uuid()")
    with pytest.raises(LockedError):
        staging.stager.stage(pages(range(1, 2))[0])
    assert staging.pages() == []
    staging.stager.close()


def test_a_worker_that_stages_into_another_database_says_that_the_run_is_not_there(
    conn: Connection, dsn: str
) -> None:
    staging = Staging(conn, dsn)
    drop(conn, staging.rig.run.run_id)
    with pytest.raises(LockedError):
        staging.stager.stage(pages(range(1, 2))[0])
