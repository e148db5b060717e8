"""Faults of incremental runs and of their feed of removals: the oracle holds there, too.

Steps that fail, signals and random kills of such runs are tried where those of full runs are.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
import pytest

from carsync.demo.postgres import EmbeddedPostgres
from tests.e2e.conftest import OpenSite
from tests.support import delta_bench, effort
from tests.support.delta_bench import PAGE_SIZE, DeltaApi, DeltaBench, DeltaOracle
from tests.support.pg_proxy import CommitCut, PgProxy
from tests.support.site import Running, SimulatedSite, ask, await_that
from tests.support.site_templates import Shelf

HASTY = (
    "first_ping_s=0.5,ping_s=0.5,ping_answer_s=2,statement_silence_s=3,look_s=1,"
    "look_again_s=0.5,cancel_s=1,outcome_s=2,merge_back_off_s=0.1:0.1:0.1"
)
RECORDS_MERGE = "merged_at = now()"
LONG = pytest.mark.long
HOUR_S = 3600.0


def open_bench(open_site: OpenSite, shelf: Shelf, **options: Any) -> DeltaBench:
    """Open a site of its own, in step with its feed."""
    site = open_site(delta_bench.FEED, api=DeltaApi, page_size=PAGE_SIZE, **options)
    delta_bench.use_changes(site)
    shelf.leave(site, "filled", lambda: site.sync("--mode", "full"))
    return DeltaBench(site)


def start(bench: DeltaBench, **settings: Any) -> Running:
    return bench.site.start("sync", "--json", deadlines=HASTY, **settings)


@contextmanager
def held_merge(site: SimulatedSite) -> Iterator[None]:
    """Hold all rows of the table; enter the block when the merge waits for one."""
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
    waiting += "AND datname = current_database() AND application_name = 'carsync'"
    with closing(psycopg2.connect(site.dsn)) as conn:
        with conn.cursor() as cur:
            cur.execute("UPDATE public.cars SET title = title")
        site.api.release()
        await_that(lambda: ask(site.dsn, waiting), "the merge's wait for the row")
        yield


# ── PostgreSQL ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize("is_merging", [False, pytest.param(True, marks=LONG)])
@pytest.mark.long
def test_a_crash_of_postgresql(
    open_site: OpenSite,
    crashing_dsn: str,
    own_server: EmbeddedPostgres,
    own_shelf: Shelf,
    *,
    is_merging: bool,
) -> None:
    """What was staged is lost, tombstones too; what was merged is not."""
    bench = open_bench(open_site, own_shelf, dsn=crashing_dsn)
    site, oracle = bench.site, bench.next_oracle()
    site.api.hold(after=2)
    running = start(bench)
    site.await_staged(2)
    if is_merging:
        with held_merge(site):
            own_server.stop("immediate")
    else:
        own_server.stop("immediate")
    site.api.release()
    ended = site.check(running, 4)
    own_server.start()
    oracle.judge(ended)
    assert oracle.recover().report["mode"] == "incremental"
    oracle.expect_truth()


@LONG
@pytest.mark.parametrize("is_merging", [True, False])
def test_a_database_that_says_nothing_any_more(
    open_site: OpenSite, shelf: Shelf, proxy: PgProxy, *, is_merging: bool
) -> None:
    bench = open_bench(open_site, shelf)
    site = bench.site
    site.variables["DATABASE_URL"] = proxy.dsn
    oracle = bench.next_oracle()
    site.api.hold(after=2)
    running = start(bench, database__connect_timeout_s=2.0)
    site.await_staged(2)
    if is_merging:
        with held_merge(site):
            proxy.swallow()
            ended = site.check(running, 4)
            proxy.recover()
    else:
        proxy.swallow()
        site.api.release()
        ended = site.check(running, 4)
        proxy.recover()
    oracle.judge(ended)
    oracle.recover()


@pytest.mark.parametrize(("when", "code"), [("after", 0), pytest.param("before", 4, marks=LONG)])
@pytest.mark.long
def test_a_merge_that_is_cut_at_its_commit(
    open_site: OpenSite, shelf: Shelf, proxy: PgProxy, when: CommitCut, code: int
) -> None:
    bench = open_bench(open_site, shelf)
    bench.site.variables["DATABASE_URL"] = proxy.dsn
    oracle = bench.next_oracle()
    proxy.cut_commit(when, after_query=RECORDS_MERGE, application_name="carsync")
    ended = bench.site.check(start(bench), code)
    assert proxy.cuts == 1
    oracle.judge(ended)
    oracle.recover()


def _kill(running: Running, site: SimulatedSite) -> None:
    running.process.kill()


def _signal_twice(running: Running, site: SimulatedSite) -> None:
    running.signal(signal.SIGINT)
    running.signal(signal.SIGTERM)


def _end_session(running: Running, site: SimulatedSite) -> None:
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    ended += "WHERE application_name = 'carsync' AND datname = current_database()"
    ask(site.dsn, ended)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (_kill, -signal.SIGKILL),
        pytest.param(_signal_twice, 130, marks=LONG),
        pytest.param(_end_session, 4, marks=LONG),
    ],
)
@pytest.mark.long
def test_a_merge_that_is_ended_while_it_waits(
    delta_bench: DeltaBench, fault: Callable[[Running, SimulatedSite], None], code: int
) -> None:
    site, oracle = delta_bench.site, delta_bench.next_oracle()
    site.api.hold(after=1)
    running = start(delta_bench)
    site.await_staged(1)
    with held_merge(site):
        fault(running, site)
        ended = running.end()
    assert ended.exit_code == code, ended
    oracle.judge(ended)
    oracle.recover()


# ── the feed ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", range(effort.trials(1, 40)))
@pytest.mark.long
def test_a_feed_that_moves_while_its_changes_are_read(delta_bench: DeltaBench, seed: int) -> None:
    """Hours go by in the middle of a window, also between a killed run and the one resuming it."""
    dice = random.Random(f"drift {seed}")
    site, oracle = delta_bench.site, delta_bench.next_oracle()
    answers = dice.randint(1, 4)
    site.api.hold(after=answers)
    running = start(delta_bench)
    site.await_staged(answers)
    if dice.random() < 0.5:
        running.process.kill()
        running.end()
        site.await_no_process()
        site.api.release()
        oracle = _let_hour_pass(delta_bench, of_running=True)
        site.sync()
    else:
        oracle = _let_hour_pass(delta_bench, of_running=False)
        site.api.release()
        assert running.end().exit_code in {0, 5}  # 5: the window moved on by an hour
    oracle.judge_drifted()
    oracle = delta_bench.pass_hour()
    oracle.recover()
    oracle.expect_truth()


def _let_hour_pass(bench: DeltaBench, *, of_running: bool) -> DeltaOracle:
    """Let an hour go by; return the oracle of what was listed before and after it."""
    before = bench.site.api.snapshot.number
    delta_bench.pass_hour(bench.site, of_running=of_running)
    return DeltaOracle(bench.site, snapshots=(before, before + 1))


@LONG
@pytest.mark.parametrize("step_s", [2 * HOUR_S, -2 * HOUR_S])
def test_the_clock_of_the_api_is_set_while_its_changes_are_read(
    delta_bench: DeltaBench, step_s: float
) -> None:
    """Set back, it has tombstones from the future for two hours."""
    site, oracle = delta_bench.site, delta_bench.next_oracle()
    site.api.hold(after=2)
    running = start(delta_bench)
    site.await_staged(2)
    timeline = site.api.timeline
    timeline.set_clock(timeline.now_s + step_s)
    site.api.release()
    ended = running.end()
    assert ended.exit_code in {0, 5}, ended
    oracle.judge_drifted()
    for _ in range(3):
        oracle = delta_bench.pass_hour()
        assert start(delta_bench).end().exit_code in {0, 5}
        oracle.judge_drifted()
    oracle.recover()
    oracle.expect_truth()
