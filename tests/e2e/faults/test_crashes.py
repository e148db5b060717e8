"""Crashes: kill -9 of every kind of process, a process that hangs, and PostgreSQL's own crash."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import psutil
import psycopg2
import pytest

from carsync.demo.feed import FeedOptions
from carsync.demo.postgres import EmbeddedPostgres
from tests.e2e.conftest import Fill, OpenSite
from tests.support.site import Running, SimulatedSite, ask, await_that
from tests.support.site_templates import Shelf

FEED = FeedOptions(cars=600, changed_share=0.05, added_share=0.03, removed_share=0.04)
Choose = Callable[[Running], psutil.Process]


def _fetcher(running: Running) -> psutil.Process:
    return running.children()[1]


def _writer(running: Running) -> psutil.Process:
    return running.children()[-1]


def _manager(running: Running) -> psutil.Process:
    return running.children()[0]


def test_after_kill_9_of_the_parent_only_unstaged_pages_are_fetched_again(
    site: SimulatedSite,
) -> None:
    site.widen()
    site.api.hold(after=14)
    running = site.start("sync", "--json")
    site.await_staged(14)
    assert len(running.children()) == 5
    os.kill(running.process.pid, signal.SIGKILL)
    assert running.end().exit_code == -signal.SIGKILL
    site.await_no_process()
    await_that(lambda: not site.sessions(), "the end of all sessions", 5)
    assert site.active() == {}

    staged = site.staged_pages()
    site.api.release()
    site.api.reset()
    resumed = site.sync()
    site.assert_exact()
    assert resumed.counts == {"seen": 600, "inserted": 600}
    assert sorted(site.api.pages_read()) == sorted(set(range(1, site.pages() + 1)) - staged)


@pytest.mark.parametrize(
    "choose",
    [
        pytest.param(_fetcher, marks=pytest.mark.long),
        _writer,
        pytest.param(_manager, marks=pytest.mark.long),
    ],
)
@pytest.mark.long
def test_a_run_survives_the_death_of_any_child(site: SimulatedSite, choose: Choose) -> None:
    site.widen()
    site.api.hold(after=10)
    running = site.start("sync", "--json")
    staged = site.await_staged(10)
    before = {child.pid for child in running.children()}
    choose(running).kill()
    await_that(lambda: before.isdisjoint(c.pid for c in running.children()), "a new fleet")
    site.api.reset()
    site.api.release()
    ended = site.check(running)
    site.assert_exact()
    assert "was killed by SIGKILL: restarting all workers" in ended.said
    assert staged.isdisjoint(site.api.pages_read())


@pytest.mark.long
def test_a_child_that_hangs_is_found_and_the_run_goes_on(site: SimulatedSite) -> None:
    site.api.hold(after=10)
    running = site.start("sync", "--json", deadlines="fetcher_silence_s=2")
    site.await_staged(10)
    _fetcher(running).suspend()
    site.api.release()
    ended = site.check(running)
    site.assert_exact()
    assert "fetcher-1 gave no sign of life" in ended.said


def test_children_that_keep_dying_end_the_run_resumable(site: SimulatedSite) -> None:
    site.api.hold(after=10)
    running = site.start("sync", "--json", deadlines="restart_back_off_s=0")
    site.await_staged(10)
    before = {child.pid for child in running.children()}
    _writer(running).kill()
    await_that(lambda: before.isdisjoint(c.pid for c in running.children()), "a new fleet")
    await_that(lambda: len(running.children()) == 3, "all of the new fleet")
    _manager(running).kill()
    ended = site.check(running, 8)
    assert ended.report["problem"] == "worker processes kept dying (1 restart)"
    assert "it resumes" in ended.report["next_step"]
    site.api.release()
    site.sync()
    site.assert_exact()


@pytest.fixture
def crashing_site(open_site: OpenSite, crashing_dsn: str, own_shelf: Shelf) -> SimulatedSite:
    """A site whose table is full, in a new database of the server that may crash."""
    site = open_site(FEED, dsn=crashing_dsn)
    own_shelf.fill(site)
    return site


@pytest.mark.long
def test_after_a_crash_of_postgresql_the_lost_staging_is_noticed(
    crashing_site: SimulatedSite, own_server: EmbeddedPostgres
) -> None:
    site = crashing_site
    site.api.show(1)
    site.api.reset()
    site.api.hold(after=15)
    running = site.start("sync", "--json")
    site.await_staged(15)
    await_that(lambda: (s := site.checkpoint()) and s.pages_done == 15, "it in the checkpoint")
    own_server.stop("immediate")
    site.api.release()
    failed = site.check(running, 4)
    assert failed.report["problem"]
    assert "it resumes" in failed.report["next_step"]
    assert site.status()["state"] == "failed"

    own_server.start()
    assert site.active() == site.truth(0)
    site.api.reset()
    again = site.sync()
    assert failed.report["run_id"] == again.report["run_id"]
    assert any("the ledger lost" in note for note in again.report["notes"])
    assert sorted(site.api.pages_read()) == list(range(1, site.pages(1) + 1))
    site.assert_exact(1)
    assert site.inactive() == site.truth(0).keys() - site.truth(1).keys()


@pytest.mark.long
def test_a_crash_of_postgresql_while_nobody_runs_deactivates_nobody(
    crashing_site: SimulatedSite, own_server: EmbeddedPostgres
) -> None:
    site = crashing_site
    site.api.hold(after=15)
    running = site.start("sync", "--json")
    site.await_staged(15)
    running.process.kill()
    running.end()
    site.await_no_process()
    own_server.stop("immediate")
    own_server.start()
    site.api.release()
    again = site.sync()
    assert again.counts == {"seen": 600, "unchanged": 600}
    assert site.inactive() == set()
    site.assert_exact()


@contextmanager
def _merge_kept_waiting(site: SimulatedSite, fill: Fill) -> Iterator[Running]:
    """Give a run whose merge waits for a row that another session holds."""
    fill(site)
    site.api.show(1)
    with closing(psycopg2.connect(site.dsn)) as conn:
        with conn.cursor() as cur:
            cur.execute("UPDATE public.cars SET title = title")
            running = site.start("sync", "--json")
            site.await_checkpoint(lambda state: state.state == "merging", "the merge")
            waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
            waiting += "AND datname = current_database()"
            await_that(lambda: ask(site.dsn, waiting), "the merge's wait for the row")
            yield running
        conn.rollback()


@pytest.mark.long
def test_kill_9_during_the_merge_leaves_all_or_nothing(open_site: OpenSite, fill: Fill) -> None:
    site = open_site(FEED)
    with _merge_kept_waiting(site, fill) as running:
        running.process.kill()
        running.end()
        site.await_no_process()
        # The server itself notices that the client is gone, though it waits for the row.
        await_that(lambda: not site.sessions(), "the end of all sessions", 15)
    assert site.active() == site.truth(0)
    assert "finds out whether the merge was committed" in site.status()["next_step"]

    site.api.reset()
    site.sync()
    site.assert_exact(1)
    assert site.api.pages_read() == [], "all was staged"


@pytest.mark.long
def test_a_merge_whose_connection_breaks_is_repeated_by_the_next_run(
    open_site: OpenSite, fill: Fill
) -> None:
    site = open_site(FEED)
    with _merge_kept_waiting(site, fill) as running:
        ask(
            site.dsn,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'carsync' AND datname = current_database()",
        )
        failed = site.check(running, 4)
    assert "it resumes" in failed.report["next_step"]
    assert site.active() == site.truth(0)

    site.api.reset()
    site.sync()
    site.assert_exact(1)
    assert site.api.pages_read() == []


def test_a_second_signal_cancels_a_merge_that_waits(open_site: OpenSite, fill: Fill) -> None:
    site = open_site(FEED)
    with _merge_kept_waiting(site, fill) as running:
        running.signal(signal.SIGINT)
        running.signal(signal.SIGTERM)  # another, for two of a kind may arrive as one
        assert running.end(within_s=5).exit_code == 130
        await_that(lambda: not site.sessions(), "the end of all sessions", 15)
    assert site.active() == site.truth(0)
    assert site.status()["state"] == "interrupted"

    site.api.reset()
    site.sync()
    site.assert_exact(1)
    assert site.api.pages_read() == [], "all was staged"


@pytest.mark.parametrize("session", ["carsync", "carsync writer%"])
@pytest.mark.long
def test_a_session_that_is_terminated_ends_the_run_resumable(
    site: SimulatedSite, session: str
) -> None:
    site.api.hold(after=10)
    running = site.start("sync", "--json")
    staged = site.await_staged(10)
    ask(
        site.dsn,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name LIKE %s AND datname = current_database()",
        (session,),
    )
    site.api.release()
    failed = site.check(running, 4)
    assert "it resumes" in failed.report["next_step"]
    assert staged <= site.staged_pages()
    site.api.reset()
    site.sync()
    site.assert_exact()
    assert staged.isdisjoint(site.api.pages_read())
