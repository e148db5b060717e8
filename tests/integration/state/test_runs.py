"""The record of runs: begun, taken over, fenced, finished."""

from __future__ import annotations

import pytest

from carsync.errors import LockedError
from carsync.exit_codes import ExitCode
from carsync.model import MergeCounts
from carsync.postgres import connection
from carsync.postgres.wait import Connection
from carsync.state import runs
from tests.conftest import TARGET, ask


def start(conn: Connection, source: str = "external") -> runs.Run:
    return runs.start_run(conn, TARGET, source, fingerprints={"feed": "x"}, hash_scheme="h:v1")


def test_what_a_committed_merge_wrote_of_its_run_stands(conn: Connection) -> None:
    """Also where the process that merged never learned that its COMMIT went through."""
    run = start(conn)
    ask(conn, "UPDATE carsync.runs SET state = 'held', counts = '{}', merged_at = now()")
    assert runs.finish_run(conn, run, "failed", ExitCode.DATABASE, {})
    found = runs.find_run(conn, run.run_id)
    assert found is not None
    assert (found.state, found.exit_code) == ("held", 4)


def test_run_is_recorded_and_finished(conn: Connection) -> None:
    run = start(conn)
    assert (run.state, run.fingerprints, run.target) == ("running", {"feed": "x"}, TARGET)
    assert runs.finish_run(conn, run, "complete", ExitCode.OK, {"rows": 3})
    found = runs.find_run(conn, run.run_id)
    assert found is not None
    assert (found.state, found.exit_code, found.summary) == ("complete", 0, {"rows": 3})
    assert runs.list_runs(conn, TARGET) == [found]


@pytest.mark.parametrize("state", ["interrupted", "failed", "running"])
def test_unfinished_run_is_resumed_under_a_new_token(conn: Connection, state: str) -> None:
    run = start(conn)
    ask(conn, "UPDATE carsync.runs SET state = %s", state)
    found = runs.find_resumable(conn, TARGET, "external", 24)
    assert found is not None
    resumed = runs.resume_run(conn, found.run_id)
    assert resumed is not None
    assert (resumed.run_id, resumed.state) == (run.run_id, "running")
    assert resumed.token != run.token
    assert not runs.finish_run(conn, run, "failed", 1, {}), "the old process is fenced out"


def test_run_is_not_resumed_when_old_superseded_or_of_another_source(conn: Connection) -> None:
    run = start(conn)
    assert runs.find_resumable(conn, TARGET, "another", 24) is None
    ask(conn, "UPDATE carsync.runs SET started_at = started_at - interval '25 h'")
    assert runs.find_resumable(conn, TARGET, "external", 24) is None
    newer = start(conn)
    ask(conn, "UPDATE carsync.runs SET started_at = clock_timestamp()")
    assert runs.finish_run(conn, newer, "complete", 0, {})
    assert runs.find_resumable(conn, TARGET, "external", 24) is None
    assert runs.abandon_runs(conn, TARGET, "external") == 1
    assert runs.resume_run(conn, run.run_id) is None


@pytest.mark.parametrize(
    ("change", "is_left"),
    [
        ("state = 'running'", True),
        ("state = 'failed'", True),
        ("state = 'held'", True),
        ("state = 'held', started_at = started_at - interval '25 h'", True),
        ("state = 'failed', started_at = started_at - interval '25 h'", False),
        ("state = 'abandoned'", False),
        ("mode = 'incremental'", False),
        ("scope = 'sample'", False),
        ("counts = '{}'", False),
        ("source = 'another'", False),
    ],
)
def test_an_unfinished_full_run_is_left_alone_and_fenced(
    conn: Connection, change: str, is_left: bool
) -> None:
    run = start(conn)
    ask(conn, f"UPDATE carsync.runs SET {change}")
    assert runs.set_aside(conn, TARGET, "external", ["full"], 24) == [run.run_id] * is_left
    now = runs.find_run(conn, run.run_id)
    assert now is not None
    assert (now.token != run.token) is is_left
    assert now.state != "running" or not is_left


def test_a_run_is_fenced_by_its_token_until_it_is_merged(conn: Connection) -> None:
    run = start(conn)
    with connection.transaction(conn, "fencing") as cur:
        runs.fence_run(cur, run)
    taken_over = runs.resume_run(conn, run.run_id)
    assert taken_over is not None
    with (
        pytest.raises(
            LockedError, match=f"run {run.run_id} no longer belongs to this process"
        ) as e,
        connection.transaction(conn, "fencing") as cur,
    ):
        runs.fence_run(cur, run)
    assert "carsync status" in e.value.hint
    with connection.transaction(conn, "merging") as cur:
        runs.fence_run(cur, taken_over)
        runs.record_merge(cur, taken_over, "held", MergeCounts(seen=3, held=1), "here")
    with pytest.raises(LockedError), connection.transaction(conn, "fencing") as cur:
        runs.fence_run(cur, taken_over)
    merged = runs.last_merged(conn, TARGET, "external")
    assert merged is not None
    assert (merged.run_id, merged.state, merged.changes_origin) == (run.run_id, "held", "here")
    assert merged.counts is not None
    assert (merged.counts["seen"], merged.counts["held"]) == (3, 1)
    assert merged.merged_at is not None
