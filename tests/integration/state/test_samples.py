"""Samples and failed attempts in a real database: stored, read, replaced, forgotten."""

from __future__ import annotations

from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest
from psycopg2.sql import SQL

from carsync.errors import DatabaseError
from carsync.postgres import connection, sql
from carsync.postgres.wait import Connection
from carsync.redaction import Secret
from carsync.run.figures.sampler import Sampler
from carsync.state import runs, samples
from carsync.state.runs import Run
from carsync.state.samples import FailedPage, Failure, FailureCount, Sample
from tests.conftest import ask
from tests.support import snapshots
from tests.support.merge_rig import SOURCE, TARGET

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


FAILURES = """
    SELECT session, at, page, attempt, kind, status, problem, latency_s, given_up
    FROM carsync.failures WHERE run_id = %s ORDER BY session, position
"""


def start(conn: Connection) -> Run:
    """Record a run."""
    return runs.start_run(conn, TARGET, SOURCE, hash_scheme="h:v1")


def sample(session: int = 1, second: int = 0) -> Sample:
    """Give a sample; nothing can be said of its latencies yet in second 0."""
    latency_s = 0.1 * second or None
    return Sample(
        session=session,
        at=NOW + timedelta(seconds=second),
        elapsed_s=float(second),
        phase="fetching",
        pages_planned=2000,
        pages_done=20 * second,
        pages_given_up=1,
        rows_staged=2000 * second,
        rejects=3,
        pages_per_s=20.0,
        recent_rows_per_s=2000.5,
        recent_latency_p50_s=latency_s,
        recent_latency_p95_s=latency_s,
        recent_latency_p99_s=latency_s,
        queue_depth=4,
        rss_bytes=3_000_000_000,
        rss_by_kind={"parent": 1_000_000_000, "writer": 2_000_000_000},
        wire_bytes=5_000_000_000,
        attempts=20 * second + 2,
        retries=2,
        errors={"rate_limited": 2},
        breaker_openings=0,
    )


def failure(page: int, attempt: int, *, session: int = 1, given_up: bool = False) -> Failure:
    """Give a failed attempt: a 429 at first, then 500s."""
    kind, status = ("rate_limited", 429) if attempt == 1 else ("server_error", 500)
    at = NOW + timedelta(seconds=attempt)
    problem = f"answered {status}"
    return Failure(session, at, page, attempt, kind, status, problem, 0.25, given_up)


def test_samples_and_failures_come_back_as_they_were_stored(conn: Connection) -> None:
    run_id = start(conn).run_id
    assert samples.exist(conn)
    assert samples.open_session(conn, run_id) == (1, 0)
    first = [sample(second=0), sample(second=1)]
    failed = [failure(7, 1), failure(9, 1), failure(9, 2)]
    samples.store(conn, run_id, 1, first, failed, first_sample=0, first_failure=0)
    more = [failure(9, 3, given_up=True)]
    samples.store(conn, run_id, 1, [sample(second=2)], more, first_sample=2, first_failure=3)
    assert samples.read_samples(conn, run_id) == [*first, sample(second=2)]
    stored = ask(conn, FAILURES, run_id)
    assert [Failure(*line) for line in stored] == failed + more
    assert samples.count_failures(conn, run_id) == FailureCount(4, 2, 1)
    last = more[0]
    kinds = {"rate_limited": 1, "server_error": 2}
    pages = samples.list_failed_pages(conn, run_id, 10)
    assert pages[0] == FailedPage(9, 3, kinds, 3, "server_error", 500, last.problem, True, last.at)
    assert [page.page for page in pages] == [9, 7]


def test_thinned_samples_replace_those_of_their_session_and_no_other(conn: Connection) -> None:
    run_id = start(conn).run_id
    earlier = [sample(second=0), sample(second=1)]
    samples.store(conn, run_id, 1, earlier, [], first_sample=0, first_failure=0)
    assert samples.open_session(conn, run_id) == (2, 0)
    dense = [sample(2, second) for second in range(5)]
    samples.store(conn, run_id, 2, dense, [], first_sample=0, first_failure=0)
    samples.store(conn, run_id, 2, dense[::2], [], first_sample=0, first_failure=0)
    assert samples.read_samples(conn, run_id) == earlier + dense[::2]


def test_a_locked_table_is_not_waited_for_and_the_connection_lives(
    conn: Connection, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = start(conn).run_id
    monkeypatch.setattr(samples, "ANSWER_S", 4.0)
    with conn.cursor() as cur:
        cur.execute("SET lock_timeout = '90s'")
    with closing(connection.connect(Secret(dsn), application_name="rival")) as rival:
        cur = rival.cursor()
        cur.execute("BEGIN; LOCK TABLE carsync.samples")
        with pytest.raises(DatabaseError, match="storing how the run goes"):
            samples.store(conn, run_id, 1, [sample()], [], first_sample=0, first_failure=0)
        with pytest.raises(DatabaseError, match="looking for details"):
            samples.open_session(conn, run_id)
        cur.execute("ROLLBACK")
    assert samples.read_samples(conn, run_id) == []
    with conn.cursor() as cur:  # what was set for the brief write is not left behind
        cur.execute("SELECT current_setting('statement_timeout'), current_setting('lock_timeout')")
        assert cur.fetchall() == [("0", "90s")]


def test_a_sampler_stays_out_of_a_transaction_and_outlives_a_broken_connection(
    conn: Connection,
) -> None:
    run = start(conn)
    sampler = Sampler()
    sampler.begun(run)
    sampler.update(snapshots.snapshot(), "fetching")
    with suppress(ZeroDivisionError), connection.transaction(conn, "merging") as cur:
        sql.run(cur, SQL("CREATE TABLE public.half_done ()"))
        sampler.write(conn)
        raise ZeroDivisionError
    with conn.cursor() as cur:
        cur.execute("SELECT to_regclass('public.half_done')")
        assert cur.fetchall() == [(None,)], "the transaction was committed by the sampler"
    assert samples.read_samples(conn, run.run_id) == []
    sampler.write(conn)
    (kept,) = samples.read_samples(conn, run.run_id)
    assert (kept.phase, kept.pages_done, kept.errors) == ("fetching", 812, {"rate_limited": 2})
    sampler.update(snapshots.snapshot(), "merging")
    with conn.cursor() as cur, pytest.raises(psycopg2.Error):
        cur.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    sampler.write(conn)


def test_details_of_old_runs_of_this_source_are_forgotten(conn: Connection) -> None:
    old, other, young = (start(conn) for _ in range(3))
    for run in (old, other, young):
        samples.store(
            conn, run.run_id, 1, [sample()], [failure(1, 1)], first_sample=0, first_failure=0
        )
    with conn.cursor() as cur:
        cur.execute(
            "UPDATE carsync.runs SET started_at = started_at - interval '91 days' "
            "WHERE run_id IN (%s, %s)",
            (old.run_id, other.run_id),
        )
        cur.execute("UPDATE carsync.runs SET source = 'o' WHERE run_id = %s", (other.run_id,))
    assert samples.prune(conn, TARGET, SOURCE, 90) == 2
    kept = [len(samples.read_samples(conn, run.run_id)) for run in (old, other, young)]
    assert kept == [0, 1, 1]
    assert samples.count_failures(conn, old.run_id).failures == 0
