"""Past runs from a real database: the true state of each, and what is kept of it."""

from __future__ import annotations

import pytest

from carsync.errors import ConfigError
from carsync.model import Target
from carsync.postgres.wait import Connection
from carsync.reporting.views.run_details import find_past, gather, has_schema, list_past
from carsync.run.report import summary_data
from carsync.state import runs, samples, target_lock
from carsync.state.samples import Failure
from tests.conftest import ask
from tests.support import snapshots
from tests.support.merge_rig import TARGET, Rig, cars
from tests.support.past_runs import a_sample
from tests.support.snapshots import NOW


def test_without_a_schema_there_is_no_run(empty_conn: Connection) -> None:
    assert not has_schema(empty_conn)
    assert list_past(empty_conn, TARGET, 10) == []
    with pytest.raises(ConfigError, match="there is no run 1") as caught:
        find_past(empty_conn, TARGET, 1)
    assert "has no run yet" in caught.value.detail


def test_a_run_recorded_as_running_is_running_only_while_its_lock_is_held(conn: Connection) -> None:
    rig = Rig(conn)
    older = rig.begin().run_id
    newest = rig.begin().run_id
    states = {past.run.run_id: past.state for past in list_past(conn, TARGET, 10)}
    assert states == {older: "interrupted", newest: "interrupted"}
    target_lock.acquire(conn, TARGET)
    found = list_past(conn, TARGET, 10)
    assert [(past.run.run_id, past.state) for past in found] == [
        (newest, "running"),
        (older, "interrupted"),
    ], "the lock is the newest run's"
    assert find_past(conn, TARGET, newest).is_running
    assert len(list_past(conn, TARGET, 1)) == 1


def test_a_replay_that_did_what_it_was_asked_for_is_complete(conn: Connection) -> None:
    rig = Rig(conn)
    rig.sync(cars(range(3)))
    run = rig.begin()
    ask(conn, "UPDATE carsync.runs SET replay_of = run_id - 1 WHERE run_id = %s", run.run_id)
    assert runs.finish_run(conn, run, "partial", 0, {})
    past = find_past(conn, TARGET, run.run_id)
    assert (past.run.state, past.state, past.kind) == ("partial", "complete", "replay")
    assert gather(conn, TARGET, run.run_id - 1, pages=1).replayed_by == (run.run_id,)


def test_what_is_kept_of_a_run_is_gathered(conn: Connection) -> None:
    run = Rig(conn).begin()
    failed = [Failure(1, NOW, page, 1, "timeout", None, "slow", 1.0, False) for page in (3, 4)]
    taken = [a_sample(0), a_sample(9, errors={"timeout": 5})]
    samples.store(conn, run.run_id, 1, taken, failed, first_sample=0, first_failure=0)
    report = snapshots.report(state="failed", exit_code=3)
    assert runs.finish_run(conn, run, "failed", 3, summary_data(report))
    details = gather(conn, TARGET, run.run_id, pages=1)
    assert details.past.report == report
    assert list(details.samples) == taken
    assert details.failed_attempts == {"timeout": 5}
    assert (details.failures_kept.failures, len(details.failed_pages)) == (2, 1)
    ask(conn, "DELETE FROM carsync.samples")
    without = gather(conn, TARGET, run.run_id, pages=9)
    assert without.failed_attempts == report.figures.errors, "the report's, where no sample is left"


def test_an_unknown_run_is_refused_with_the_nearest(conn: Connection) -> None:
    with pytest.raises(ConfigError) as caught:
        find_past(conn, TARGET, 7)
    assert "no run of public.cars is recorded yet" in caught.value.detail
    first, second = (Rig(conn).begin().run_id for _ in range(2))
    with pytest.raises(ConfigError) as caught:
        find_past(conn, TARGET, 99)
    assert caught.value.detail == f"the nearest of public.cars: {first}, {second}"
    assert find_past(conn, Target("public", "other"), first).run.run_id == first
