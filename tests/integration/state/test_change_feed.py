"""The feed of changes: in the order of commits, from any cursor on, without a silent gap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from threading import Event, Thread, current_thread
from typing import Any

import pytest

from carsync import failpoints
from carsync.postgres import connection
from carsync.postgres.wait import Connection
from carsync.redaction import Secret
from carsync.state.change_feed import Change, FeedCursor, FeedReader, find_start
from tests.conftest import ask
from tests.support.merge_rig import TARGET, Rig, cars, page
from tests.support.site import await_that

OTHER = "other"


def read(conn: Connection, cursor: FeedCursor | None = None, **more: Any) -> list[Change]:
    """Read all that there is behind a cursor, from the start where none is given."""
    reader = FeedReader(conn, TARGET, cursor or find_start(conn, TARGET), **more)
    found = [change for window in reader.windows() for change in window]
    assert not found or reader.cursor == found[-1].cursor
    return found


def told(found: list[Change]) -> list[tuple[int, str, str]]:
    return [(change.run_id, change.id, change.action) for change in found]


@pytest.fixture
def other(dsn: str) -> Iterator[Rig]:
    """A rig of another feed into the same table."""
    with closing(connection.connect(Secret(dsn), application_name="other")) as conn:
        yield Rig(conn, source=OTHER)


@contextmanager
def merging(
    rig: Rig, step: str, ids: Iterable[int], monkeypatch: pytest.MonkeyPatch
) -> Iterator[int]:
    """Let a merge stand still at a step inside its transaction; it ends when the block does."""
    waits, go_on = Event(), Event()
    reach = failpoints.reach

    def pause(name: str) -> None:
        if name == step and current_thread() is thread:
            waits.set()
            assert go_on.wait(20)
        reach(name)

    run = rig.begin()
    rig.stage(page(1, cars(ids)))
    thread = Thread(target=rig.merge_staged, args=(1,))
    with monkeypatch.context() as patch:
        patch.setattr(failpoints, "reach", pause)
        thread.start()
        assert waits.wait(20)
        try:
            yield run.run_id
        finally:
            go_on.set()
            thread.join(20)
    assert not thread.is_alive()


def test_a_run_that_began_first_and_commits_last_is_missed_by_nobody(
    rig: Rig, other: Rig, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that goes by the numbers of runs, or of lines, misses the slow run for ever."""
    with closing(connection.connect(Secret(dsn), application_name="reader")) as reader:
        with merging(rig, "merge.deactivated", range(3), monkeypatch) as slow:
            other.sync(cars(range(10, 13)))
            first = read(reader)
            naive = ask(reader, "SELECT max(run_id), max(line) FROM carsync.changes")[0]
        late = read(reader, first[-1].cursor)
        missed = [
            ask(reader, f"SELECT id FROM carsync.changes WHERE {test}", after)
            for test, after in zip(("run_id > %s", "line > %s"), naive, strict=True)
        ]
    assert missed == [[], []], "what goes by numbers finds nothing of the slow run"
    assert {change.run_id for change in first} == {other.run.run_id}
    assert [change.source for change in first] == [OTHER] * 3
    assert told(late) == [(slow, str(n), "inserted") for n in range(3)]
    assert slow < other.run.run_id


def test_nobody_is_committed_before_one_whose_place_is_drawn(
    rig: Rig, other: Rig, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(connection.connect(Secret(dsn), application_name="reader")) as reader:
        with merging(rig, "merge.recorded", range(3), monkeypatch) as slow:
            second = Thread(target=other.sync, args=(cars(range(10, 13)),))
            second.start()
            waits = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            await_that(lambda: ask(reader, waits) or not second.is_alive(), "a wait for the place")
            seen = read(reader)
        second.join(20)
        runs = [change.run_id for change in read(reader, seen[-1].cursor if seen else None)]
    assert seen == []
    assert runs == [slow] * 3 + [other.run.run_id] * 3
