"""The database server's clock is set while carsync is in use: nobody stays stale, nobody goes.

That the clock was set back by an hour is seen by carsync only as times in its tables
that lie an hour ahead of the clock; so the tests move those.
"""

from __future__ import annotations

import pytest

from carsync.deactivation import candidates
from carsync.destination import merge
from carsync.state import runs
from tests.conftest import ask
from tests.support.merge_rig import SOURCE, TARGET, Rig, cars, page

HOUR_S = 3600.0
STEPS_S = [HOUR_S, -HOUR_S, -3.0, 3.0]
"""Three seconds: the run spans the moment that the last merge was stamped with."""


def set_clock(rig: Rig, step_s: float) -> None:
    """Let all times in the tables look as if the server's clock had just been set by `step_s`."""
    for table, columns in {
        "public.cars": ["created_at", "updated_at", "last_synced_at"],
        "carsync.runs": ["started_at", "resumed_at", "merged_at", "finished_at"],
        "carsync.absences": ["recorded_at"],
    }.items():
        moved = ", ".join(f"{name} = {name} - make_interval(secs => {step_s})" for name in columns)
        ask(rig.conn, f"UPDATE {table} SET {moved}")


def set_clock_during_intake(rig: Rig, step_s: float) -> None:
    """Do the same to the ledger of the run that is going on."""
    set_clock(rig, step_s)
    ask(
        rig.conn,
        f"UPDATE carsync.ledger_{rig.run.run_id} "
        f"SET fetched_at = fetched_at - make_interval(secs => {step_s})",
    )


@pytest.mark.parametrize("step_s", STEPS_S)
def test_a_clock_set_between_two_runs_changes_nothing(rig: Rig, step_s: float) -> None:
    rig.sync(cars(range(10)))
    set_clock(rig, step_s)
    rig.begin()
    rig.stage(page(1, cars(range(8), "b"), age_s=10))
    plan = candidates.plan_deactivation(rig.conn, rig.run, by_tombstones=True)
    assert plan.candidates == 2
    listed = candidates.list_candidates(rig.conn, rig.run, 10, by_tombstones=True)
    assert listed == ["8", "9"], "a second proof is asked for all of them"
    counts = merge.merge(rig.conn, rig.request(1))
    assert (counts.updated, counts.stale, counts.deactivated) == (8, 0, 2)
    assert rig.active() == {str(i): f"{i}:b" for i in range(8)}


@pytest.mark.parametrize("step_s", STEPS_S)
def test_a_clock_set_in_the_middle_of_a_run_changes_nothing(rig: Rig, step_s: float) -> None:
    rig.sync(cars(range(10)))
    rig.begin()
    rig.stage(page(1, cars(range(4), "b"), age_s=1))
    set_clock_during_intake(rig, step_s)
    rig.stage(page(2, cars(range(4, 8), "b"), age_s=1))
    counts = merge.merge(rig.conn, rig.request(2))
    assert (counts.updated, counts.stale, counts.deactivated) == (8, 0, 2)


@pytest.mark.parametrize("step_s", STEPS_S)
def test_after_the_clock_was_set_a_rival_s_new_car_is_still_kept(rig: Rig, step_s: float) -> None:
    rig.sync(cars(range(10)))
    set_clock(rig, step_s)
    rig.begin()
    rig.stage(page(1, cars(range(8), "b"), age_s=1))
    ask(
        rig.conn,
        "INSERT INTO cars (id, is_active, source_api, created_at) "
        "VALUES ('new', true, %s, clock_timestamp())",
        SOURCE,
    )
    counts = merge.merge(rig.conn, rig.request(1))
    assert (counts.updated, counts.deactivated) == (8, 2)
    assert "new" in rig.active()


@pytest.mark.parametrize("step_s", [HOUR_S, -HOUR_S])
def test_an_unfinished_run_is_resumed_after_the_clock_was_set(rig: Rig, step_s: float) -> None:
    run = rig.begin()
    set_clock(rig, step_s)
    found = runs.find_resumable(rig.conn, TARGET, SOURCE, 24)
    assert found is not None
    assert found.run_id == run.run_id


@pytest.mark.parametrize("step_s", STEPS_S)
def test_two_absences_in_a_row_are_counted_by_runs_and_not_by_time(rig: Rig, step_s: float) -> None:
    rig.sync(cars(range(10)))
    rig.sync(cars(range(9)), action="prove")
    set_clock(rig, step_s)
    assert rig.sync(cars(range(9)), action="prove").deactivated == 1
