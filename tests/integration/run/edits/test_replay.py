"""Replay of rejects: what maps now lands, what is older never overwrites, nobody goes."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

import pytest
from psycopg2.sql import SQL

from carsync import timing
from carsync.config.parser import parse
from carsync.config.sections import Config
from carsync.deactivation import approval
from carsync.destination import merge, migrations, staging
from carsync.destination.merge_work import MergeRequest
from carsync.errors import (
    ConfigError,
    DatabaseConflictError,
    DatabaseError,
    DatabaseUnavailableError,
    LockedError,
)
from carsync.mapping.mapper import Mapper
from carsync.model import MAX_ORIGINAL_CHARS
from carsync.postgres import connection, sql
from carsync.postgres.wait import Connection
from carsync.redaction import Secret
from carsync.run.edits.replay import ALTERED, OTHER_ROW, Replay, Replayed
from carsync.run.fingerprints import fingerprints
from carsync.state import rejects, runs, target_lock
from carsync.state.change_feed import FeedReader, find_start
from tests.conftest import TARGET, ask
from tests.support.merge_rig import SOURCE, RecordRig

COLUMNS = "{id: {path: id, required: true}, make: {path: make, required: true}, year: %s}"
BROKEN = "{path: built.year, type: integer}"
MENDED = "{path: year, type: integer}"
HASH = "{fields: [make, year]}"


def record(record_id: object, make: object = "Kia", year: object = 2019) -> str:
    """Give the text of a record; the broken mapping rejects it where `built` is no object."""
    return json.dumps({"id": record_id, "make": make, "year": year, "built": {"year": year}})


def bad(record_id: object, make: object = "Kia", year: object = 2019) -> str:
    """Give a record that maps once the mapping is mended."""
    return json.dumps({"id": record_id, "make": make, "year": year, "built": 7})


class Site:
    """A table, its mapping before and after the fix, and nightly runs by either."""

    def __init__(self, dsn: str, conn: Connection) -> None:
        self.dsn = dsn
        self.conn = conn
        self.broken = self.config(BROKEN)
        self.mended = self.config(MENDED)

    def config(self, year: str, **overrides: str) -> Config:
        given = {
            "mapping.preset": "null",
            "mapping.columns": COLUMNS % year,
            "mapping.hash": HASH,
            **{name.replace("__", "."): value for name, value in overrides.items()},
        }
        environ = {"DATABASE_URL": self.dsn, "API_BASE_URL": "http://feed", "API_KEY": "k"}
        return parse("", environ, [f"{name}={value}" for name, value in given.items()])

    def mapper(self, config: Config) -> Mapper:
        return Mapper.load(config)

    def begin(self, config: Config | None = None) -> RecordRig:
        config = config or self.broken
        mapper = self.mapper(config)
        return RecordRig(self.conn, mapper, fingerprints=fingerprints(config, mapper))

    def sync(self, *pages: list[str], config: Config | None = None, age_s: float = 0.0) -> int:
        """Run a sync of these pages to its end; return its id."""
        rig = self.begin(config)
        for texts in pages:
            rig.stage(*texts, age_s=age_s)
        rig.merge()
        return rig.run.run_id

    def replay(self, config: Config | None = None, run_id: int | None = None) -> Replayed:
        with closing(self.connect()) as conn:
            work = Replay(config or self.mended, conn, run_id)
            return work.carry_out(work.look())

    def connect(self) -> Connection:
        return connection.connect(Secret(self.dsn), application_name="carsync test replay")

    def cars(self) -> dict[str, Any]:
        query = "SELECT id, make, year, is_active FROM public.cars"
        return {car: tuple(rest) for car, *rest in ask(self.conn, query)}

    def open(self) -> list[tuple[Any, ...]]:
        query = (
            "SELECT record_id, column_name, reason FROM carsync.rejects WHERE settled_by IS NULL"
        )
        return ask(self.conn, query + " ORDER BY page, ordinal")

    def writes(self) -> list[tuple[Any, ...]]:
        return ask(self.conn, "SELECT xmin::text, ctid::text, id FROM public.cars ORDER BY id")


@pytest.fixture
def site(dsn: str, conn: Connection) -> Site:
    return Site(dsn, conn)


def test_rejects_that_map_now_land_and_the_others_stay_with_their_new_reason(site: Site) -> None:
    run_id = site.sync(
        [record(1), bad(2), bad(3, make=None)],
        [bad(4), record(5)],
        [record(6)],
        [bad(7, year="x")],
    )
    assert [line[:2] for line in site.open()] == [
        ("2", "year"), ("3", "make"), ("4", "year"), ("7", "year")
    ]  # fmt: skip
    done = site.replay()
    assert (done.outlook.run_id, done.outlook.rejects) == (run_id, 4)
    assert (done.outlook.mapped, done.outlook.rejected, done.refused) == (2, 2, 0)
    assert done.counts is not None
    assert (done.counts.inserted, done.counts.deactivated, done.counts.held) == (2, 0, 0)
    feed = FeedReader(site.conn, TARGET, find_start(site.conn, TARGET))
    told = [(change.id, change.action) for window in feed.windows() for change in window]
    assert told[3:] == [("2", "inserted"), ("4", "inserted")]
    assert site.cars() == {str(i): ("Kia", 2019, True) for i in (1, 2, 4, 5, 6)}
    assert [line[:2] for line in site.open()] == [("3", "make"), ("7", "year")]
    assert "'x' is not a number" in site.open()[1][2]


def test_a_replay_equals_a_sync_by_the_mended_mapping(site: Site, empty_dsn: str) -> None:
    pages = [[record(1), bad(2, "Škoda", 2001)], [bad(3, "BMW", 0)]]
    site.sync(*pages)
    site.replay()
    replayed = ask(
        site.conn, "SELECT id, make, year, data_hash, source_api FROM public.cars ORDER BY 1"
    )
    with closing(connection.connect(Secret(empty_dsn), application_name="t")) as other:
        Site(empty_dsn, other).sync(*pages, config=site.mended)
        assert replayed == ask(
            other, "SELECT id, make, year, data_hash, source_api FROM public.cars ORDER BY 1"
        )


def test_replaying_twice_changes_nothing(site: Site) -> None:
    site.sync([record(1), bad(2), bad(3, make=None)])
    site.replay()
    before = site.writes(), site.open()
    again = site.replay()
    assert (again.outlook.mapped, again.counts, again.replay_run_id) == (0, None, None)
    assert (site.writes(), site.open()) == before


def test_looking_changes_nothing(site: Site) -> None:
    site.sync([record(1), bad(2), bad(3, make=None)])
    before = ask(site.conn, "SELECT * FROM carsync.rejects"), site.writes()
    lines = ask(site.conn, "SELECT * FROM carsync.runs")
    with closing(site.connect()) as conn:
        assert Replay(site.mended, conn, None).look().mapped == 1
    assert (ask(site.conn, "SELECT * FROM carsync.rejects"), site.writes()) == before
    assert ask(site.conn, "SELECT * FROM carsync.runs") == lines


# ── never older over newer, never a goodbye ──────────────────────────────────


def test_data_older_than_what_the_table_holds_never_overwrites_it(site: Site) -> None:
    site.sync([record(2, "old"), record(3, "old")], age_s=7200)
    ask(site.conn, "UPDATE public.cars SET updated_at = now() - interval '2 h',"
        " created_at = NULL, last_synced_at = NULL")  # fmt: skip
    site.sync([bad(2, "replayed"), bad(3, "replayed")], age_s=3600)
    ask(site.conn, "UPDATE public.cars SET make = 'rival', updated_at = now() - interval '50 min'"
        " WHERE id = '2'")  # fmt: skip
    done = site.replay()
    assert done.counts is not None
    assert (done.counts.stale, done.counts.updated) == (1, 1)
    assert {car: row[0] for car, row in site.cars().items()} == {"2": "rival", "3": "replayed"}
    assert site.open() == [], "what the table holds is newer: nothing is left to do"


def test_a_replayed_page_is_exactly_as_old_as_when_it_was_asked_for(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.sync([record(1)], [bad(2), bad(3)], age_s=5000)
    fetched: list[Any] = []
    merged = merge.merge

    def look(conn: Connection, request: MergeRequest) -> Any:
        fetched.extend(
            ask(conn, f"SELECT page, fetched_at FROM carsync.ledger_{request.run.run_id}")
        )
        return merged(conn, request)

    monkeypatch.setattr(merge, "merge", look)
    site.replay()
    known = ask(site.conn, "SELECT DISTINCT page, fetched_at FROM carsync.rejects")
    assert fetched == known
    [(age,)] = ask(site.conn, "SELECT DISTINCT now() - fetched_at FROM carsync.rejects")
    assert 4990 < age.total_seconds() < 5300


def test_lines_of_before_the_migration_are_as_old_as_their_run(empty_conn: Connection) -> None:
    assert rejected_before_replay(empty_conn) == [
        ("record", True),
        ("altered", True),
        ("altered", True),
    ]


def rejected_before_replay(conn: Connection) -> list[tuple[Any, ...]]:
    """Migrate up to version 4, reject three records, migrate on; return what became of them."""
    from_files = {m.version: m.text for m in migrations.load_migrations()}
    ask(conn, "CREATE SCHEMA carsync")
    for version in (1, 2, 3, 4):
        ask(conn, from_files[version])
    ask(conn, "INSERT INTO carsync.runs (schema_name, table_name, source, version, hash_scheme)"
        " VALUES ('public', 'cars', 'external', '0', 'h')")  # fmt: skip
    for ordinal, (reason, original) in enumerate(
        [("r", '{"id": 1}'), ("r", '{"a": "\ufffd"}'), ("PostgreSQL refused it: x", "[1]")]
    ):
        ask(conn, "INSERT INTO carsync.rejects (run_id, page, ordinal, reason, original)"
            " VALUES (1, 1, %s, %s, %s)", ordinal, reason, original)  # fmt: skip
    ask(conn, from_files[5])
    return ask(
        conn,
        "SELECT original_kind, fetched_at = started_at FROM carsync.rejects"
        " JOIN carsync.runs USING (run_id) ORDER BY ordinal",
    )


def test_a_car_read_well_on_another_page_is_not_overwritten_by_its_reject(site: Site) -> None:
    site.sync([record(2, "first")])
    site.sync([bad(2, "rejected"), bad(3)], [record(2, "first")])
    assert [line[0] for line in site.open()] == ["3"]
    site.replay()
    assert site.cars()["2"][0] == "first"


def test_a_car_replayed_from_one_page_is_not_overwritten_from_an_earlier_one(site: Site) -> None:
    """The first replay leaves the row as it is, so that no time tells the second one."""
    site.sync([record(2, "first")])
    site.sync([bad(2, "older", year="unreadable")], [bad(2, "first")])
    assert site.replay().outlook.mapped == 1
    assert site.open() == []
    dropped = site.config("{path: year, type: integer, default: 1}")
    assert site.replay(dropped).outlook.rejects == 0
    assert site.cars()["2"][0] == "first"


def test_a_replay_deactivates_nobody_and_forgets_no_absence(site: Site) -> None:
    site.sync([record(i) for i in range(10)])
    rig = site.begin()
    rig.stage(*[record(i) for i in range(7)], bad(9))
    rig.merge("hold")
    held = ask(
        site.conn, "SELECT id, absent_since_run, held_by_run FROM carsync.absences ORDER BY 1"
    )
    assert [car for car, *_ in held] == ["7", "8"]
    done = site.replay()
    assert done.counts is not None
    assert done.counts.deactivated == 0
    assert all(active for _, _, active in site.cars().values())
    assert (
        ask(site.conn, "SELECT id, absent_since_run, held_by_run FROM carsync.absences ORDER BY 1")
        == held
    )
    shown = [car for car, *_ in held]
    approved = approval.approve(site.conn, TARGET, SOURCE, rig.run.run_id, 72.0, shown)
    assert [car.id for car in approved.to_approve] == shown


def test_a_replayed_car_is_absent_no_longer(site: Site) -> None:
    """Its record had no id that the broken mapping could read, so its car was held."""
    site.sync([record(i) for i in range(4)])
    rig = site.begin()
    rig.stage(*[record(i) for i in range(3)], bad({"no": "id"}))
    rig.merge("hold")
    assert ask(site.conn, "SELECT id FROM carsync.absences") == [("3",)]
    ask(site.conn, "UPDATE carsync.rejects SET original = %s", bad(3))
    site.replay()
    assert ask(site.conn, "SELECT id FROM carsync.absences") == []


def test_a_replay_looks_for_no_absent_car(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would find all others, millions perhaps."""
    site.sync([record(i) for i in range(10)])
    site.sync([*(record(i) for i in range(9)), bad(9, "new")])
    planned: list[Any] = []
    record_merge = runs.record_merge

    def look(cur: Any, run: runs.Run, *what: Any, **marks: Any) -> None:
        planned.extend(sql.rows(cur, SQL(f"SELECT id, action FROM carsync.delta_{run.run_id}")))
        record_merge(cur, run, *what, **marks)

    monkeypatch.setattr(runs, "record_merge", look)
    site.replay()
    assert planned == [("9", "update")]


# ── which runs ───────────────────────────────────────────────────────────────


def test_only_rejects_of_the_newest_merged_run_are_replayed(site: Site) -> None:
    older = site.sync([bad(1)])
    newest = site.sync([record(1), bad(2)])
    with pytest.raises(ConfigError, match=f"the rejects of run {older} cannot be replayed") as e:
        site.replay(run_id=older)
    assert f"run {newest} read the feed since" in e.value.detail
    assert "carsync sync" in e.value.hint
    assert site.replay(run_id=newest).outlook.mapped == 1
    assert site.cars().keys() == {"1", "2"}


def test_without_a_merged_run_there_is_nothing_to_replay(site: Site) -> None:
    with pytest.raises(ConfigError, match="was merged yet: there is nothing to replay"):
        site.replay()


def test_a_resumable_run_refuses_the_replay_and_stays_resumable(site: Site) -> None:
    site.sync([bad(1)], config=site.broken)
    unfinished = site.begin(site.mended)
    unfinished.stage(record(1))
    with pytest.raises(LockedError, match=f"run {unfinished.run.run_id} is unfinished") as e:
        site.replay()
    assert e.value.exit_code == 75
    assert "carsync sync" in e.value.hint
    found = runs.find_resumable(site.conn, TARGET, SOURCE, 24)
    assert found is not None
    assert found.run_id == unfinished.run.run_id


def test_an_unfinished_run_that_cannot_be_resumed_is_no_obstacle(site: Site) -> None:
    site.sync([bad(1)])
    unfinished = site.begin(site.broken)  # the mapping was mended since
    assert site.replay().outlook.mapped == 1
    assert staging.exists(site.conn, unfinished.run.run_id), "and is left as it is"


def test_while_another_run_holds_the_lock_nothing_is_replayed(site: Site) -> None:
    site.sync([bad(1)])
    with closing(site.connect()) as rival:
        target_lock.acquire(rival, TARGET)
        with pytest.raises(LockedError):
            site.replay()
    assert site.replay().outlook.mapped == 1


def test_a_replay_is_never_taken_for_a_reading_of_the_feed(site: Site) -> None:
    run_id = site.sync([bad(1)])
    done = site.replay()
    assert done.replay_run_id is not None
    assert done.replay_run_id > run_id
    found = runs.last_merged(site.conn, TARGET, SOURCE)
    assert found is not None
    assert found.run_id == run_id
    completed = "SELECT max(run_id) FROM carsync.runs WHERE state IN ('complete', 'held')"
    assert ask(site.conn, completed) == [(run_id,)]
    replay = runs.find_run(site.conn, done.replay_run_id)
    assert replay is not None
    assert (replay.replay_of, replay.state, replay.exit_code) == (run_id, "partial", 0)
    assert replay.fingerprints == {}, "so that an older carsync resumes it as little"
    assert runs.find_resumable(site.conn, TARGET, SOURCE, 24) is None
    assert not staging.exists(site.conn, done.replay_run_id)


def test_another_hash_scheme_asks_for_a_sync(site: Site) -> None:
    site.sync([bad(1)])
    other = site.config(MENDED, mapping__hash="{fields: [make]}")
    with pytest.raises(ConfigError, match="the hash scheme changed"):
        site.replay(other)


def test_a_column_that_the_table_lacks_asks_for_a_migration(site: Site) -> None:
    site.sync([bad(1)])
    more = site.config("{path: year, type: integer}, seats: {path: seats, type: integer}")
    with pytest.raises(DatabaseError) as caught:
        site.replay(more)
    assert "carsync migrate" in caught.value.hint


# ── texts that are not the record any more ───────────────────────────────────


def test_a_text_cut_or_altered_is_not_replayed_as_if_it_were_the_record(site: Site) -> None:
    long = bad(1)[:-1] + f', "x": "{"y" * MAX_ORIGINAL_CHARS}"}}'
    nul = bad(2)[:-1] + ', "x": "a\0b"}'
    no_utf8 = bad(3)[:-1] + ', "x": "\udcff"}'
    site.sync([record(0), long, nul, no_utf8, bad(4)])
    done = site.replay()
    assert done.outlook.left_out == ((ALTERED, 3),)
    assert done.outlook.mapped == 1
    assert site.cars().keys() == {"0", "4"}
    assert [line[0] for line in site.open()] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("narrow", "widen", "column", "reason"),
    [
        (
            "ALTER TABLE public.cars ALTER make TYPE varchar(5)",
            "ALTER TABLE public.cars ALTER make TYPE text",
            "make",
            "value too long for type character varying(5)",
        ),
        (
            "CREATE INDEX narrow ON public.cars ((1 / nullif(length(make) - 8, 8)))",
            "DROP INDEX narrow",
            None,
            "division by zero",
        ),
    ],
    ids=["staging", "merge"],
)
def test_a_row_that_postgresql_refused_is_replayed_once_the_table_takes_it(
    site: Site, narrow: str, widen: str, column: str | None, reason: str
) -> None:
    ask(site.conn, narrow)
    site.sync([record(1), record(2, "Mercedes", 2001)])
    assert site.open() == [("2", column, f"PostgreSQL refused it: {reason}")]
    assert site.replay(site.broken).refused == 1, "the same again"
    assert [line[:2] for line in site.open()] == [("2", column)]
    ask(site.conn, widen)
    assert site.replay().outlook.left_out == ((OTHER_ROW, 1),), "made by another mapping"
    done = site.replay(site.broken)
    assert done.counts is not None
    assert done.counts.inserted == 1
    assert site.cars()["2"] == ("Mercedes", 2001, True)
    assert site.open() == []


# ── crashes ──────────────────────────────────────────────────────────────────


def test_a_crash_before_the_merge_leaves_everything_open(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = site.sync([record(1), bad(2)])

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(merge, "merge", die)
        with pytest.raises(KeyboardInterrupt):
            site.replay()
    assert site.cars().keys() == {"1"}
    assert [line[0] for line in site.open()] == ["2"]
    assert runs.find_resumable(site.conn, TARGET, SOURCE, 24) is None, "a sync begins afresh"
    assert site.replay(run_id=run_id).outlook.mapped == 1
    assert site.cars().keys() == {"1", "2"}
    runs.abandon_runs(site.conn, TARGET, SOURCE)
    assert len(staging.drop_stale(site.conn, TARGET, SOURCE)) == 1
    assert ask(site.conn, "SELECT count(*) FROM carsync.runs WHERE state = 'running'") == [(0,)]


def test_a_replay_that_lost_a_deadlock_is_repeated_and_a_lost_answer_is_looked_up(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.sync([record(1), bad(2)])
    merged, errors = merge.merge, [DatabaseConflictError("deadlock")]

    def fail(conn: Connection, request: MergeRequest) -> Any:
        if errors:
            raise errors.pop()
        merged(conn, request)
        conn.close()
        raise DatabaseUnavailableError("the connection broke")

    monkeypatch.setattr(merge, "merge", fail)
    with timing.shortened(merge_back_off_s=(0.0,)):
        done = site.replay()
    assert done.counts is not None
    assert (done.counts.inserted, errors) == (1, [])
    assert site.cars().keys() == {"1", "2"}


def test_marking_and_merging_are_one_transaction(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither can be without the other: the merge fails after the marks were set."""
    site.sync([record(1), bad(2)])

    def die(*_: object, **__: object) -> None:
        raise DatabaseError("died at the last moment")

    with monkeypatch.context() as patch:
        patch.setattr(runs, "record_merge", die)
        with pytest.raises(DatabaseError):
            site.replay()
    assert site.cars().keys() == {"1"}
    assert [line[0] for line in site.open()] == ["2"]
    states = ask(
        site.conn, "SELECT state, exit_code FROM carsync.runs ORDER BY run_id DESC LIMIT 1"
    )
    assert states == [("failed", 4)]
    site.replay()
    assert site.cars().keys() == {"1", "2"}
    assert site.open() == []


def test_an_answer_lost_after_the_commit_is_made_right_by_replaying_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.sync([record(1), bad(2)])
    merged = merge.merge

    def lose_the_answer(conn: Connection, request: MergeRequest) -> None:
        merged(conn, request)
        conn.close()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(merge, "merge", lose_the_answer)
        with pytest.raises(KeyboardInterrupt):
            site.replay()
    before = site.writes()
    assert site.replay().outlook.rejects == 0
    assert site.writes() == before
    assert site.cars().keys() == {"1", "2"}


# ── the table of rejects ─────────────────────────────────────────────────────


def test_open_rejects_are_listed_and_counted_by_reason(site: Site) -> None:
    older = site.sync([bad(0)])
    newest = site.sync([record(1), bad(2), bad(3), record(4, year="many"), record(5, year="few")])
    listed = rejects.list_open(site.conn, TARGET, SOURCE, None, 10, 12)
    assert [(line.run_id, line.record_id) for line in listed] == [
        (newest, "2"), (newest, "3"), (newest, "4"), (newest, "5"),
    ]  # fmt: skip
    assert [len(line.original) for line in listed] == [12] * 4
    counted = rejects.count_reasons(site.conn, TARGET, SOURCE, None)
    assert [(c.column, c.reason, c.count) for c in counted] == [
        ("year", "a number instead of an object", 2),
        ("year", "… is not a number", 2),
    ]
    assert len(rejects.list_open(site.conn, TARGET, SOURCE, older, 10, 12)) == 1
    site.replay()
    assert len(rejects.list_open(site.conn, TARGET, SOURCE, None, 10, 12)) == 2


def test_rejects_of_long_superseded_runs_are_pruned(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejects, "KEPT_RUNS", 2)
    ended = [site.sync([record(1), bad(n)]) for n in range(2, 6)]
    other = runs.start_run(site.conn, TARGET, "another", hash_scheme="h")
    ask(
        site.conn,
        "UPDATE carsync.rejects SET run_id = %s WHERE run_id = %s",
        other.run_id,
        ended[0],
    )
    assert rejects.prune(site.conn, TARGET, SOURCE) == 1
    kept = ask(site.conn, "SELECT run_id FROM carsync.rejects ORDER BY 1")
    assert kept == [(ended[2],), (ended[3],), (other.run_id,)]
    site.replay()
    assert rejects.prune(site.conn, TARGET, SOURCE) == 0, "a replay is no newer reading"
