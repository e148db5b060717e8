"""The feed of changes: in the order of commits, from any cursor on, without a silent gap."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from threading import Event, Thread, current_thread
from typing import Any

import pytest
from msgspec import Raw

from carsync import failpoints
from carsync.deactivation import approval
from carsync.errors import CursorError, DatabasePermissionError
from carsync.model import Target
from carsync.postgres import connection
from carsync.postgres.listen import listen, wait_for_notice
from carsync.postgres.wait import Connection
from carsync.redaction import Secret
from carsync.state import change_feed, changes, feed_windows, present_cars
from carsync.state.change_feed import Change, FeedCursor, FeedReader, find_head, find_start
from tests.conftest import ask
from tests.support.merge_rig import SOURCE, TARGET, Rig, car, cars, page, revert
from tests.support.site import await_that

OTHER = "other"


def read(conn: Connection, cursor: FeedCursor | None = None, **more: Any) -> list[Change]:
    """Read all that there is behind a cursor, from the start where none is given."""
    reader = FeedReader(conn, TARGET, cursor or find_start(conn, TARGET), **more)
    found = [change for window in reader.windows() for change in window]
    assert not found or reader.cursor == found[-1].cursor
    return found


def values(raw: Raw | None) -> dict[str, Any]:
    assert raw is not None
    return dict(json.loads(bytes(raw)))


def told(found: list[Change]) -> list[tuple[int, str, str]]:
    return [(change.run_id, change.id, change.action) for change in found]


@pytest.fixture
def other(dsn: str) -> Iterator[Rig]:
    """A rig of another feed into the same table."""
    with closing(connection.connect(Secret(dsn), application_name="other")) as conn:
        yield Rig(conn, source=OTHER)


@contextmanager
def merging(
    rig: Rig, step: str, ids: Iterable[int], monkeypatch: pytest.MonkeyPatch, version: str = "a"
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
    rig.stage(page(1, cars(ids, version)))
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


def test_reading_goes_on_behind_any_line_of_a_batch(
    rig: Rig, other: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lines of two merges that go on at once lie between each other."""
    monkeypatch.setattr(change_feed, "WINDOW_LINES", 3)
    rig.sync(cars(range(5)))
    with merging(rig, "merge.updated", [*range(2), *range(20, 26)], monkeypatch, "b"):
        other.sync(cars(range(10, 18)))
    found = read(other.conn)
    assert len(found) == len({change.cursor for change in found}) == 5 + 8 + 2 + 6 + 3
    assert Counter(change.run_id for change in found) == {1: 5, 3: 8, 2: 11}
    assert [change.run_id for change in found[5:13]] == [other.run.run_id] * 8
    for place, change in enumerate(found):
        assert read(other.conn, FeedCursor.parse(str(change.cursor))) == found[place + 1 :]


def test_approvals_reverts_and_their_reverts_are_batches_of_the_feed(rig: Rig, dsn: str) -> None:
    rig.sync(cars(range(3)))
    ask(rig.conn, "UPDATE carsync.runs SET merged_at = merged_at - interval '1 s'")
    rig.sync([*cars(range(1), "b"), car("7")], action="hold")
    held = rig.run.run_id
    behind_merge = find_head(rig.conn, TARGET)
    approval.approve(rig.conn, TARGET, SOURCE, held, 24, ["1", "2"])
    approved = read(rig.conn, behind_merge)
    assert told(approved) == [(held, "1", "deactivated"), (held, "2", "deactivated")]
    reverting, _ = revert(dsn, held)
    undone = read(rig.conn, approved[-1].cursor, with_rows=True)
    rows = {change.id: change.row for change in undone}
    assert {change.run_id for change in undone} == {reverting}
    assert Counter(change.action for change in undone) == {
        "updated": 1,
        "reactivated": 2,
        "deleted": 1,
    }
    (deleted,) = (change for change in undone if change.action == "deleted")
    assert (deleted.id, rows.pop("7"), deleted.after) == ("7", None, None)
    assert values(deleted.before)["price"] == 12500.5
    assert all(rows.values())
    again, _ = revert(dsn, reverting)
    behind = find_head(rig.conn, TARGET)
    assert Counter(change.action for change in read(rig.conn, undone[-1].cursor)) == {
        "updated": 1,
        "deactivated": 2,
        "inserted": 1,
    }
    rig.sync([*cars(range(1), "b"), car("7")])
    assert find_head(rig.conn, TARGET) == behind, "nothing was changed"
    assert again > reverting


def test_lines_of_before_the_feed_are_history_and_not_of_it(rig: Rig) -> None:
    rig.sync(cars(range(3)))
    ask(rig.conn, "UPDATE carsync.runs SET merged_at = merged_at - interval '1 s'")
    rig.sync([*cars(range(1), "b"), car("7")], action="hold")
    ask(rig.conn, "UPDATE carsync.changes SET line = 0")
    ask(rig.conn, "DELETE FROM carsync.change_batches WHERE run_id IS NOT NULL")
    assert read(rig.conn) == []
    approval.approve(rig.conn, TARGET, SOURCE, rig.run.run_id, 24, ["2"])
    assert told(read(rig.conn)) == [(rig.run.run_id, "2", "deactivated")]
    history = "SELECT action FROM carsync.car_history WHERE id = '2' ORDER BY changed_at"
    assert ask(rig.conn, history) == [("inserted",), ("deactivated",)]


def test_a_consumer_that_is_behind_the_record_is_told_so(rig: Rig) -> None:
    rig.sync(cars(range(3)))
    old = read(rig.conn)
    rig.sync(cars(range(3), "b"))
    newer = read(rig.conn, old[-1].cursor)
    assert len(newer) == 3
    expire = "UPDATE carsync.runs SET merged_at = now() - interval '31 days' WHERE run_id = %s"
    ask(rig.conn, expire, old[0].run_id)
    changes.prune(rig.conn, TARGET, SOURCE, 30)
    assert read(rig.conn) == newer == read(rig.conn, old[-1].cursor)
    with pytest.raises(CursorError, match="missing from the feed") as caught:
        read(rig.conn, old[1].cursor)
    assert f"run {old[0].run_id} " in caught.value.detail
    assert str(old[1].cursor) in caught.value.detail
    assert "--since table" in caught.value.hint
    rig.sync(cars(range(3), "c"), records=False)
    with pytest.raises(CursorError, match="missing from the feed") as caught:
        read(rig.conn, newer[-1].cursor)
    assert "changes_keep_days was 0" in caught.value.detail
    assert read(rig.conn) == read(rig.conn, find_head(rig.conn, TARGET)) == []
    rig.sync(cars(range(3), "d"))
    assert len(read(rig.conn)) == 3


def test_lines_pruned_while_a_batch_is_read_are_no_gap(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change_feed, "WINDOW_LINES", 2)
    rig.sync(cars(range(6)))
    windows = FeedReader(rig.conn, TARGET, find_start(rig.conn, TARGET)).windows()
    assert len(next(windows)) == 2
    ask(rig.conn, "UPDATE carsync.runs SET merged_at = now() - interval '31 days'")
    changes.prune(rig.conn, TARGET, SOURCE, 30)
    with pytest.raises(CursorError, match="missing from the feed"):
        next(windows)


@pytest.mark.parametrize("lost", ["true", "line <= 2", "line > 2"])
def test_lines_that_are_lost_otherwise_are_no_gap(rig: Rig, lost: str) -> None:
    """Somebody emptied the table, or put a backup back that has none of it."""
    rig.sync(cars(range(4)))
    ask(rig.conn, f"DELETE FROM carsync.changes WHERE {lost}")
    with pytest.raises(CursorError, match="missing from the feed") as caught:
        read(rig.conn)
    assert "no longer in carsync.changes" in caught.value.detail


def test_large_rows_are_read_a_few_at_a_time(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_windows, "WINDOW_BYTES", 20_000)
    rig.sync(cars(range(300)))
    ask(rig.conn, "UPDATE cars SET images = to_jsonb(repeat('x', 5000))")
    start = find_start(rig.conn, TARGET)
    windows = list(FeedReader(rig.conn, TARGET, start, with_rows=True).windows())
    present = list(present_cars.read_table(rig.conn, TARGET, start))
    for sizes in ([len(window) for window in windows], [len(window) for window in present]):
        assert sum(sizes) == 300
        assert max(sizes[1:]) <= 4


def test_a_row_is_one_line_whatever_its_columns_hold(rig: Rig) -> None:
    ask(rig.conn, "ALTER TABLE cars ADD note json")
    rig.sync(cars(range(1)))
    ask(rig.conn, "UPDATE cars SET title = E'a\\nb', note = E'{\"a\":\\n\"\\\\u0000\"}'")
    start = find_start(rig.conn, TARGET)
    (change,), (((car),),) = (
        read(rig.conn, start, with_rows=True),
        present_cars.read_table(rig.conn, TARGET, start),
    )
    for row in (change.row, car.row):
        assert row is not None
        assert b"\n" not in bytes(row)
        assert (values(row)["title"], values(row)["note"]) == ("a\nb", {"a": "\0"})


def test_rows_that_a_policy_hides_are_refused(rig: Rig) -> None:
    """Each would look like a car whose row was deleted."""
    rig.sync(cars(range(1)))
    start = find_start(rig.conn, TARGET)
    ask(rig.conn, "CREATE ROLE hidden_from; ALTER TABLE cars ENABLE ROW LEVEL SECURITY")
    try:
        ask(rig.conn, "GRANT USAGE ON SCHEMA carsync TO hidden_from")
        ask(rig.conn, "GRANT SELECT ON ALL TABLES IN SCHEMA carsync, public TO hidden_from")
        ask(rig.conn, "SET ROLE hidden_from")
        assert len(read(rig.conn, start)) == 1
        with pytest.raises(DatabasePermissionError, match="hides rows"):
            read(rig.conn, start, with_rows=True)
        with pytest.raises(DatabasePermissionError, match="hides rows"):
            next(present_cars.read_table(rig.conn, TARGET, start))
    finally:
        ask(rig.conn, "RESET ROLE; DROP OWNED BY hidden_from; DROP ROLE hidden_from")


def test_a_cursor_of_another_history_is_refused(rig: Rig) -> None:
    rig.sync(cars(range(3)))
    head = find_head(rig.conn, TARGET)
    for cursor in (
        FeedCursor(head.position + 1, head.token),  # a standby took over that had not got it
        FeedCursor(head.position, "00000000", 1),  # a copy that went on by itself
    ):
        with pytest.raises(CursorError, match="not of this database's feed"):
            read(rig.conn, cursor)
    elsewhere = Target("public", "boats")
    with pytest.raises(CursorError, match="another table's feed") as caught:
        list(FeedReader(rig.conn, elsewhere, head).windows())
    assert "public.cars" in caught.value.detail
    assert find_head(rig.conn, elsewhere) == find_start(rig.conn, TARGET)


@pytest.mark.parametrize("text", ["", "x", "1", "1-2", "1-9f3a77c0-", "-1-9f3a77c0", "1-9F3A77C0"])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(CursorError, match="no cursor"):
        FeedCursor.parse(text)


def test_values_have_the_types_of_their_columns(rig: Rig) -> None:
    ask(
        rig.conn,
        "CREATE DOMAIN small AS integer; CREATE TYPE size AS ENUM ('big');"
        "ALTER TABLE cars ADD a text[] DEFAULT '{x,\"y z\"}', ADD b small DEFAULT 7,"
        " ADD c size DEFAULT 'big', ADD d bit(3) DEFAULT '101', ADD e float8 DEFAULT 1.5,"
        " ADD f varchar(4) DEFAULT 'ab', ADD g bytea DEFAULT 'ab', ADD h date DEFAULT '2026-01-02',"
        " ADD i numeric DEFAULT 12345678901234567890.10, ADD k json DEFAULT '{\"x\": 1}';"
        "CREATE FUNCTION empty() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " NEW.a := NULL; NEW.b := NULL; NEW.c := NULL; NEW.d := NULL; NEW.e := NULL;"
        " NEW.f := NULL; NEW.g := NULL; NEW.h := NULL; NEW.i := NULL; NEW.k := NULL;"
        " NEW.images := NULL; RETURN NEW; END $$;"
        "CREATE TRIGGER empty BEFORE UPDATE ON cars FOR EACH ROW EXECUTE FUNCTION empty()",
    )
    rig.sync([car("1")])
    (row,) = ask(rig.conn, "SELECT to_jsonb(cars)::text FROM cars")[0]
    rig.sync([car("1", "b")])
    change = read(rig.conn)[-1]
    was, now = values(change.before), values(change.after)
    assert set(was) == {*"abcdefghik", "images", "data_hash", "updated_at", "last_synced_at"}
    assert was == {name: value for name, value in json.loads(row).items() if name in was}
    assert b"12345678901234567890.10" in bytes(change.before or b"")
    assert now.pop("data_hash") == "1:b"
    assert set(now.values()) == {None}
    ask(rig.conn, "ALTER TABLE cars DROP f, ADD f integer")
    texts = values(read(rig.conn)[-1].before)
    assert (texts["b"], texts["e"], texts["c"]) == ("7", "1.5", "big"), "f was no number then"


def test_rows_are_found_by_ids_of_any_type(rig: Rig) -> None:
    rig.sync(cars(range(2)))
    ask(rig.conn, "ALTER TABLE cars ALTER COLUMN id TYPE bigint USING id::bigint")
    found = read(rig.conn, with_rows=True)
    assert [values(change.row)["id"] for change in found] == [0, 1]


def test_who_listens_is_told_of_each_commit_that_changed_something(rig: Rig, dsn: str) -> None:
    with closing(connection.connect(Secret(dsn), application_name="listener")) as listener:
        listen(listener)
        rig.sync(cars(range(3)))
        assert not wait_for_notice(listener, 0, lambda: None), "nothing was looked at yet"
        ask(listener, "SELECT 1")
        (notice,) = listener.notifies
        assert notice.channel == "carsync"
        assert json.loads(notice.payload) == {
            "run": rig.run.run_id,
            "source": SOURCE,
            "target": "public.cars",
            "cursor": str(find_head(rig.conn, TARGET)),
            "counts": {"inserted": 3},
        }
        assert wait_for_notice(listener, 5, lambda: None)
        rig.sync(cars(range(3)))
        assert not wait_for_notice(listener, 0.2, lambda: None), "nothing was changed"
        long = Rig(rig.conn, source="s" * 9000)
        long.sync([car("9")])
        assert wait_for_notice(listener, 5, lambda: None)
