"""Tombstones in a merge: which count, what they write, and that nobody else goes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from carsync.config.lists import REMOVALS_FROM
from carsync.deactivation import approval, candidates
from carsync.deactivation.removals import plan_removals
from carsync.destination import merge, staging
from carsync.destination.removals import RemovalRules
from carsync.errors import StagingLostError
from carsync.model import Reject
from carsync.postgres.wait import Connection
from carsync.state import runs
from tests.conftest import ask
from tests.support.merge_rig import SOURCE, TARGET, car, page, revert
from tests.support.tombstone_rig import TombstoneRig

RULES = RemovalRules([range(REMOVALS_FROM + 1, REMOVALS_FROM + 2)], 9)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
GONE, STAYS = (False, "sold", 9), (True, "active", 5)


@pytest.fixture
def rig(conn: Connection) -> TombstoneRig:
    rig = TombstoneRig(conn)
    rig.fill("1", "2", "3")
    return rig


def began(rig: TombstoneRig) -> Any:
    """When the run that wrote the cars began, by the API's clock."""
    return ask(rig.conn, "SELECT max(api_clock) FROM carsync.runs")[0][0]


def touch(rig: TombstoneRig, when: str) -> None:
    ask(rig.conn, f"UPDATE cars SET updated_at = {when} WHERE id = '1'")


def test_no_replay_brings_a_car_that_went_since_its_record_was_rejected(
    conn: Connection,
) -> None:
    rig = TombstoneRig(conn)
    rig.matches = False
    rig.open()
    rig.bury()
    rejects = [Reject(n, i, "make", "no make", "{}") for n, i in enumerate("89")]
    rig.settle(rejects=rejects)
    rig.open()
    rig.bury(("8", rig.now() + SECOND, 9), ("9", rig.now() - HOUR, 9))
    rig.settle()
    query = "SELECT record_id FROM carsync.rejects WHERE settled_by IS NULL"
    assert ask(conn, query) == [("9",)]


@pytest.mark.parametrize(
    ("after", "is_gone"),
    [
        (timedelta(), True),  # while the run read: it may have gone once it was read
        (SECOND, True),
        (-SECOND, False),
        (HOUR, False),  # from the future: another zone
        (timedelta(minutes=5), True),  # another clock
    ],
)
def test_a_tombstone_counts_unless_the_car_was_listed_after_it(
    rig: TombstoneRig, after: timedelta, *, is_gone: bool
) -> None:
    at = began(rig) + after
    rig.open()
    rig.bury(("1", at, 9))
    counts = rig.settle()
    assert rig.row("1") == (GONE if is_gone else STAYS)
    assert rig.row("2") == STAYS
    assert (counts.deactivated, counts.removed) == (is_gone, is_gone)


@pytest.mark.parametrize(
    "when", ["now()", "now() + '2 days'"], ids=["written since", "no time of this clock"]
)
def test_a_row_that_somebody_else_wrote_after_the_tombstone_stays(
    rig: TombstoneRig, when: str
) -> None:
    at = began(rig)
    touch(rig, when)
    rig.open()
    rig.bury(("1", at, 9))
    rig.settle()
    assert rig.row("1")[0] is (when == "now()")


def test_a_row_that_somebody_else_wrote_before_the_tombstone_goes(rig: TombstoneRig) -> None:
    touch(rig, "now()")
    rig.open()
    rig.bury(("1", rig.now() + 2 * SECOND, 9))
    rig.settle()
    assert rig.row("1") == GONE


def test_a_row_of_a_run_whose_first_request_is_not_known_is_as_old_as_its_merge(
    rig: TombstoneRig,
) -> None:
    ask(rig.conn, "UPDATE carsync.runs SET api_clock = NULL, api_clock_at = NULL")
    at = rig.now()
    rig.open()
    rig.bury(("1", at, 9), ("2", at + 2 * SECOND, 9))
    rig.settle()
    assert (rig.row("1"), rig.row("2")) == (STAYS, GONE)


def test_a_car_of_this_run_stays_rejected_ones_included(rig: TombstoneRig) -> None:
    rig.open()
    at = rig.now()
    unreadable = Reject(3, "3", "carsync removed_at", "no time", "{}")
    rig.bury(("1", at, 9), ("2", at, 9), ("3", at, 9), rejects=[unreadable])
    refused = Reject(1, "2", "make", "no make", "{}")
    rig.settle([("1", "Kia", 2019, 5, True, None, "[]", "1:a")], rejects=[refused])
    assert [rig.row(i) for i in "123"] == [STAYS, STAYS, GONE]


def test_a_tombstone_from_before_the_window_says_nothing(rig: TombstoneRig) -> None:
    """Whether the car was listed again since then was not asked for."""
    ask(rig.conn, "UPDATE carsync.runs SET api_clock = api_clock - '2 h'::interval")
    rig.open(window=HOUR)
    rig.bury(("1", rig.now() - HOUR - SECOND, 9), ("2", rig.now() - HOUR + 5 * SECOND, 9))
    rig.settle()
    assert (rig.row("1"), rig.row("2")) == (STAYS, GONE)


@pytest.mark.parametrize("is_missed", [False, True])
def test_a_whole_read_after_the_tombstone_that_did_not_miss_the_car_counts_more(
    rig: TombstoneRig, *, is_missed: bool
) -> None:
    at = rig.now()
    rows = [("2", "Kia", 2019, 5, True, None, "[]", "2:a")]
    rows += [] if is_missed else [("1", *rows[0][1:-1], "1:a")]
    rig.open("full")
    rig.bury()
    rig.settle(rows, action="hold", read_all=True)
    rig.open()
    rig.bury(("1", at, 9), ("2", at, 9))
    rig.settle()
    assert (rig.row("1"), rig.row("2")) == (GONE if is_missed else STAYS, STAYS)


def test_the_newest_tombstone_of_a_car_counts_and_a_missing_value_writes_nothing(
    rig: TombstoneRig,
) -> None:
    rig.open()
    at = rig.now()
    rig.bury(("1", at, 9), ("1", at - HOUR, 7), ("2", at, None), ("2", at - SECOND, 7))
    rig.settle()
    assert (rig.row("1"), rig.row("2")) == (GONE, (False, "sold", 5))


def test_a_car_that_a_later_run_listed_stays_where_the_run_was_interrupted(
    rig: TombstoneRig,
) -> None:
    """The later run wrote nothing: the car was as before."""
    unfinished = rig.open("full")
    rig.bury(("1", rig.now(), 9), ("2", rig.now(), 9))
    rig.stage(page(1, []))
    rig.fill("1")
    rig.run = unfinished
    rig.merge_staged(1, "skip", removals=RULES)
    assert (rig.row("1"), rig.row("2")) == (STAYS, GONE)


@pytest.mark.parametrize("make", ["BMW", None])
def test_a_tombstone_of_something_else_of_the_car_says_nothing(
    rig: TombstoneRig, make: str | None
) -> None:
    rig.open()
    rig.bury(("1", rig.now() + SECOND, 9), make=make)
    rig.bury(("1", rig.now(), 8), ("2", rig.now(), 9), number=2)
    rules = [range(REMOVALS_FROM + 1, REMOVALS_FROM + 3)]
    rig.settle(pages=rules)
    assert (rig.row("1"), rig.row("2")) == ((False, "sold", 8), GONE)


def test_unknown_cars_and_those_of_another_source_stay_as_they_are(rig: TombstoneRig) -> None:
    ask(rig.conn, "INSERT INTO cars (id, is_active, source_api) VALUES ('x', true, 'other')")
    rig.open()
    rig.bury(("x", rig.now(), 9), ("nobody", rig.now(), 9))
    counts = rig.settle()
    assert (counts.deactivated, counts.updated) == (0, 0)
    assert rig.row("x")[0] is True
    assert ask(rig.conn, "SELECT count(*) FROM cars")[0][0] == 4


def test_an_inactive_car_is_told_its_final_price_once(rig: TombstoneRig) -> None:
    at = rig.now()
    rig.open()
    rig.bury(("1", at, None))
    rig.settle()
    rig.open()
    rig.bury(("1", at, 9))
    counts = rig.settle()
    assert (counts.updated, counts.deactivated, rig.row("1")) == (1, 0, GONE)
    before = ask(rig.conn, "SELECT id, ctid, xmin FROM cars ORDER BY id")
    rig.open()
    rig.bury(("1", at, 9))
    assert rig.settle().updated == 0
    assert ask(rig.conn, "SELECT id, ctid, xmin FROM cars ORDER BY id") == before


def test_what_tombstones_did_can_be_taken_back(rig: TombstoneRig, dsn: str) -> None:
    run = rig.open()
    rig.bury(("1", rig.now(), 9))
    rig.settle()
    revert(dsn, run.run_id)
    assert rig.row("1") == STAYS


def test_more_than_the_cap_are_held_and_may_be_approved(rig: TombstoneRig) -> None:
    run = rig.open()
    at = rig.now()
    rig.bury(("1", at, 9), ("2", at, 9))
    counts = rig.settle(most=1, is_watermark=True)
    assert (counts.deactivated, counts.held) == (0, 2)
    assert runs.find_watermark(rig.conn, TARGET, SOURCE) is None, "they are read again"
    approval.approve(rig.conn, TARGET, SOURCE, run.run_id, 72, ["1", "2"])
    assert set(rig.active()) == {"3"}
    rig.open()
    rig.bury(("1", at, 9), ("2", at, 9))
    rig.settle(is_watermark=True)
    assert rig.row("1") == GONE
    assert runs.find_watermark(rig.conn, TARGET, SOURCE) is not None


def test_an_absent_car_with_a_tombstone_needs_no_other_proof(rig: TombstoneRig) -> None:
    run = rig.open("full")
    rig.bury(("1", rig.now(), 9))
    rig.stage(page(2, [car("3")]))
    plan = candidates.plan_deactivation(rig.conn, run, by_tombstones=True)
    assert (plan.candidates, plan.removed) == (1, 1)
    assert candidates.list_candidates(rig.conn, run, 9, by_tombstones=True) == ["2"]
    assert plan_removals(rig.conn, run, moves=False).removed == 1
    counts = rig.settle([], action="prove")
    assert (counts.deactivated, counts.removed, counts.held) == (1, 1, 1)
    assert (rig.row("1"), rig.row("2")) == (GONE, STAYS)


def keep_by_trigger(rig: TombstoneRig, body: str) -> None:
    ask(
        rig.conn,
        f"CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;"
        " CREATE TRIGGER keep BEFORE UPDATE ON cars FOR EACH ROW"
        " WHEN (NEW.id = '1') EXECUTE FUNCTION keep()",
    )


@pytest.mark.parametrize(
    "body",
    ["RETURN NULL;", "NEW.is_active := true; RETURN NEW;", "RAISE check_violation;"],
    ids=["not written", "active again", "refused"],
)
def test_a_car_that_the_table_keeps_stays_and_is_told(rig: TombstoneRig, body: str) -> None:
    keep_by_trigger(rig, body)
    rig.open()
    rig.bury(("1", rig.now(), 9), ("2", rig.now(), 9))
    counts = rig.settle()
    assert (counts.removed, counts.deactivated, counts.kept) == (1, 1, 1)
    assert (rig.row("1")[0], rig.row("2")) == (True, GONE)


def empty(rig: TombstoneRig) -> None:
    """What a crash of PostgreSQL does."""
    for name in ("tombstones", "tombstone_pages"):
        ask(rig.conn, f"TRUNCATE carsync.{name}_{rig.run.run_id}")


def lose(rig: TombstoneRig) -> None:
    ask(rig.conn, f"DELETE FROM carsync.tombstones_{rig.run.run_id}")


@pytest.mark.parametrize("harm", [empty, lose])
def test_nobody_goes_by_tombstones_that_were_lost(
    rig: TombstoneRig, harm: Callable[[TombstoneRig], None]
) -> None:
    rig.open()
    rig.bury(("1", rig.now(), 9))
    harm(rig)
    with pytest.raises(Exception, match="missing" if harm is empty else "does not add up"):
        rig.settle()
    assert rig.row("1") == STAYS


def test_pages_of_tombstones_are_cleared_and_dropped_with_the_others(rig: TombstoneRig) -> None:
    rig.open()
    rig.bury(("1", rig.now(), 9), rejects=[Reject(1, "2", None, "odd", "{}")])
    run_id = rig.run.run_id
    assert [line.rows for line in staging.read_tombstone_pages(rig.conn, run_id)] == [1]
    staging.clear(rig.conn, run_id, staging.ALL_PAGES)
    assert not list(staging.read_tombstone_pages(rig.conn, run_id))
    assert ask(rig.conn, "SELECT count(*) FROM carsync.rejects")[0][0] == 0
    assert run_id in staging.drop_stale(rig.conn, TARGET, SOURCE)
    left = "SELECT relname FROM pg_class WHERE relname LIKE 'tombstone%'"
    assert ask(rig.conn, left) == []
    with pytest.raises(StagingLostError):
        merge.merge(rig.conn, rig.request(1))
