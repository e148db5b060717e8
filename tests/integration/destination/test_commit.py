"""A merge is done once: repeated after a conflict, looked up after a break, never both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

import pytest

from carsync import timing
from carsync.config.sections import Config, Database
from carsync.destination import merge
from carsync.destination.commit import exactly_once
from carsync.errors import (
    CarsyncError,
    DatabaseBusyError,
    DatabaseConflictError,
    DatabaseUnavailableError,
)
from carsync.model import MergeCounts
from carsync.postgres.connect import open_database
from carsync.postgres.wait import Connection
from carsync.redaction import Secret
from tests.conftest import ask
from tests.support.merge_rig import Rig, cars, page

DONE = MergeCounts(updated=3)


ATTEMPTS = 1 + len(timing.Timing().merge_back_off_s)


@pytest.fixture(autouse=True)
def no_rest() -> Iterator[None]:
    with timing.shortened(merge_back_off_s=(0.0,) * (ATTEMPTS - 1), outcome_s=0.0):
        yield


@pytest.fixture
def config(dsn: str) -> Config:
    return Config(database=Database(dsn=Secret(dsn)))


@pytest.fixture
def watched(config: Config) -> Iterator[Connection]:
    """A connection as a run has it, whose server process can be ended."""
    with closing(open_database(config, "carsync test")) as opened:
        yield opened


def never() -> bool:
    return False


def failing(error: CarsyncError, times: int) -> tuple[Callable[[], MergeCounts], list[int]]:
    """Give work that raises `error` so many times, and the list of its attempts."""
    attempts: list[int] = []

    def work() -> MergeCounts:
        attempts.append(len(attempts))
        if len(attempts) <= times:
            raise error
        return DONE

    return work, attempts


@pytest.mark.parametrize("times", [0, 1, ATTEMPTS - 1])
def test_a_conflict_is_repeated(config: Config, conn: Connection, times: int) -> None:
    work, attempts = failing(DatabaseConflictError("deadlock"), times)
    assert exactly_once(config, conn, 1, work, never) == DONE
    assert len(attempts) == times + 1


def test_a_conflict_is_not_repeated_for_ever(config: Config, conn: Connection) -> None:
    work, attempts = failing(DatabaseConflictError("deadlock"), 99)
    with pytest.raises(DatabaseConflictError):
        exactly_once(config, conn, 1, work, never)
    assert len(attempts) == ATTEMPTS


def test_a_conflict_is_not_repeated_after_a_second_signal(config: Config, conn: Connection) -> None:
    work, attempts = failing(DatabaseConflictError("deadlock"), 99)
    with pytest.raises(DatabaseConflictError):
        exactly_once(config, conn, 1, work, lambda: True)
    assert len(attempts) == 1


def test_a_lock_that_was_not_got_names_who_holds_it(config: Config, conn: Connection) -> None:
    with closing(open_database(config, "the rival")) as rival:
        ask(rival, "BEGIN; LOCK TABLE public.cars")
        work, _ = failing(DatabaseBusyError("busy", detail="too long"), 1)
        with pytest.raises(DatabaseBusyError) as caught:
            exactly_once(config, conn, 1, work, never)
    assert caught.value.detail.startswith("too long; locks on public.cars are held by ")
    assert "the rival" in caught.value.detail


@pytest.mark.parametrize("is_committed", [True, False])
def test_after_a_break_the_outcome_is_looked_up(
    rig: Rig, config: Config, watched: Connection, is_committed: bool
) -> None:
    rig.begin()
    rig.stage(page(1, cars(range(3))))
    request = rig.request(1)

    def broken() -> MergeCounts:
        if is_committed:
            merge.merge(rig.conn, request)
        raise DatabaseUnavailableError("the connection broke")

    if is_committed:
        counts = exactly_once(config, watched, request.run.run_id, broken, never)
        assert (counts.inserted, counts.seen) == (3, 3)
    else:
        with pytest.raises(DatabaseUnavailableError):
            exactly_once(config, watched, request.run.run_id, broken, never)
        work = partial(merge.merge, rig.conn, request)
        assert exactly_once(config, rig.conn, request.run.run_id, work, never).inserted == 3


def test_a_server_process_that_does_not_know_of_the_break_is_ended_first(
    rig: Rig, config: Config, watched: Connection
) -> None:
    """It holds the run's line, and would commit or not as it likes."""
    run = rig.begin()
    ask(watched, "BEGIN")
    ask(watched, "SELECT FROM carsync.runs WHERE run_id = %s FOR UPDATE", run.run_id)
    work, _ = failing(DatabaseUnavailableError("the connection broke"), 1)
    with pytest.raises(DatabaseUnavailableError):
        exactly_once(config, watched, run.run_id, work, never)
    alive = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"
    assert ask(rig.conn, alive, watched.info.backend_pid) == [(0,)]


def test_an_outcome_that_cannot_be_asked_for_is_not_known(conn: Connection) -> None:
    gone = Config(database=Database(dsn=Secret("host=127.0.0.1 port=1")))
    work, _ = failing(DatabaseUnavailableError("the connection broke"), 1)
    with pytest.raises(DatabaseUnavailableError, match="the connection broke"):
        exactly_once(gone, conn, 1, work, never)
