"""Processes that never start, stand still or die in a transfer; many starts at once."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import psutil
import pytest

from carsync import failpoints
from carsync.demo.feed import FeedOptions
from tests.e2e.conftest import OpenSite
from tests.support.delta_bench import DeltaBench
from tests.support.effort import trials
from tests.support.fault_bench import Bench
from tests.support.oracle import Oracle
from tests.support.site import Running, SimulatedSite, ask, await_that

Choose = Callable[[Running], psutil.Process]


def _manager(running: Running) -> psutil.Process:
    return running.children()[0]


def _fetcher(running: Running) -> psutil.Process:
    return running.children()[1]


def _writer(running: Running) -> psutil.Process:
    return running.children()[-1]


def _parent(running: Running) -> psutil.Process:
    return psutil.Process(running.process.pid)


@pytest.mark.parametrize(
    ("point", "action"),
    [
        pytest.param("manager.opened", "die", marks=pytest.mark.long),
        pytest.param("manager.opened", "hang", marks=pytest.mark.long),
        pytest.param("fetcher.booted", "die", marks=pytest.mark.long),
        ("fetcher.booted", "raise"),
        pytest.param("writer.booted", "die", marks=pytest.mark.long),
    ],
)
def test_a_child_that_never_boots_ends_the_run_resumable(
    site: SimulatedSite, point: str, action: str
) -> None:
    oracle = Oracle(site)
    site.variables[failpoints.VARIABLE] = f"{point}={action}"
    boot_s = 1 if action == "hang" else 10
    deadlines = f"worker_boot_s={boot_s},restart_back_off_s=0:0"
    running = site.start("sync", "--json", deadlines=deadlines)
    ended = running.end()
    assert ended.exit_code == 8, ended
    assert ended.report["problem"] == "worker processes kept dying (2 restarts)"
    assert point.partition(".")[0] in ended.report["detail"]
    assert "it resumes" in ended.report["next_step"]
    oracle.judge(ended)
    del site.variables[failpoints.VARIABLE]
    oracle.recover()


@pytest.mark.parametrize(
    "choose",
    [
        pytest.param(_manager, marks=pytest.mark.long),
        pytest.param(_fetcher, marks=pytest.mark.long),
        pytest.param(_writer, marks=pytest.mark.long),
        _parent,
    ],
)
def test_a_process_that_stands_still(bench: Bench, choose: Choose) -> None:
    _stand_still(bench, choose)


@pytest.mark.long
@pytest.mark.parametrize("choose", [_manager, _fetcher, _writer, _parent])
def test_a_process_of_an_incremental_run_that_stands_still(
    delta_bench: DeltaBench, choose: Choose
) -> None:
    _stand_still(delta_bench, choose)


def _stand_still(bench: Bench, choose: Choose) -> None:
    """A child is found and replaced; the parent, once it goes on, carries on."""
    oracle = bench.next_oracle()
    bench.site.api.hold(after=1)
    running = bench.start()
    bench.site.await_staged(1)
    victim = choose(running)
    victim.suspend()
    bench.site.api.release()
    if victim.pid == running.process.pid:
        in_hand = len(bench.site.api.pages_read())
        await_that(lambda: len(bench.site.staged_pages()) >= in_hand, "what was in hand is staged")
        victim.resume()
    ended = running.end()
    assert ended.exit_code == 0, ended
    oracle.judge(ended)


@pytest.mark.long
@pytest.mark.parametrize("choose", [_manager, _fetcher, _writer])
def test_a_hang_is_found_within_two_minutes(
    site: SimulatedSite, choose: Choose, record_property: Callable[[str, object], None]
) -> None:
    """With the deadlines as they are in production."""
    oracle = Oracle(site)
    site.api.hold(after=5)
    running = site.start("sync", "--json", acceptance__warmup_s=600)
    site.await_staged(5)
    before = {child.pid for child in running.children()}
    stopped_s = time.monotonic()
    choose(running).suspend()
    site.api.release()
    await_that(lambda: before.isdisjoint(c.pid for c in running.children()), "a new fleet", 120)
    record_property("found_after_s", round(time.monotonic() - stopped_s, 1))
    ended = site.check(running)
    oracle.judge(ended)


@pytest.mark.parametrize("victim", [pytest.param(_fetcher, marks=pytest.mark.long), _writer])
def test_a_child_killed_in_the_middle_of_a_transfer(open_site: OpenSite, victim: Choose) -> None:
    """A page larger than the pipe is on its way; whoever dies leaves a lock of the queue held."""
    site = open_site(FeedOptions(cars=3000), page_size=1000)
    site.variables["PAGE_SIZE"] = "1000"
    site.variables["CONCURRENCY"] = "2"
    oracle = Oracle(site)
    running = site.start("sync", "--json")
    await_that(lambda: len(running.children()) == 3, "all children")
    _writer(running).suspend()
    await_that(lambda: len(set(site.api.pages_read())) == 3, "all pages asked for")
    sender = _fetcher(running)
    await_that(lambda: _is_blocked_in_write(sender), "a page in the middle of its way")
    victim(running).kill()
    ended = site.check(running)
    assert "was killed by SIGKILL: restarting all workers" in ended.said
    oracle.judge(ended)


def _is_blocked_in_write(process: psutil.Process) -> bool:
    """Say whether a thread of the process waits for room in a pipe (proc_pid_wchan(5))."""
    for thread in process.threads():
        with open(f"/proc/{process.pid}/task/{thread.id}/syscall") as file:  # noqa: PTH123
            if file.read().split()[0] == "1":  # write(2) on x86-64
                return True
    return False


@pytest.mark.long
def test_a_manager_that_died_is_no_bug_of_the_fetcher_that_notices_first(bench: Bench) -> None:
    oracle = bench.next_oracle()
    with bench.armed("fetch.leased", "pause") as mark:
        running = bench.start()
        await_that(mark.exists, "a fetcher about to ask the gate")
        manager, fetcher = _manager(running), _fetcher(running)
        running.process.send_signal(signal.SIGSTOP)
        manager.kill()
        mark.unlink()
        await_that(lambda: fetcher.status() == psutil.STATUS_ZOMBIE, "the end of the fetcher")
        running.process.send_signal(signal.SIGCONT)
        ended = running.end()
    assert ended.exit_code == 0, ended
    assert "manager was killed by SIGKILL: restarting all workers" in ended.said
    oracle.judge(ended)


@pytest.mark.long
def test_a_new_fleet_asks_with_no_second_burst(site: SimulatedSite) -> None:
    site.variables["RPS"] = "10"
    site.settings["limits.burst"] = 12
    site.sync()  # a first run begins without a burst; the next one has what accrued since
    oracle = Oracle(site)
    site.api.reset()
    running = site.start("sync", "--json")
    site.await_staged(10)
    _fetcher(running).kill()
    ended = site.check(running)
    assert "was killed by SIGKILL: restarting all workers" in ended.said
    oracle.judge(ended)


@pytest.mark.long
def test_a_writer_killed_while_it_waits_for_pages(site: SimulatedSite) -> None:
    """It dies with the queue's reading lock in its hand."""
    oracle = Oracle(site)
    site.widen()
    site.api.hold(after=0)
    running = site.start("sync", "--json")
    await_that(lambda: len(running.children()) == 5, "all children")
    await_that(lambda: len(site.sessions()) == 3, "the writers' sessions")
    for writer in running.children()[-2:]:
        writer.kill()
    site.api.release()
    ended = site.check(running)
    assert "restarting all workers" in ended.said
    oracle.judge(ended)


@pytest.mark.long
def test_of_many_starts_at_once_exactly_one_runs(site: SimulatedSite) -> None:
    oracle = Oracle(site)
    site.api.hold(after=5)
    runs = [site.start("sync", "--json") for _ in range(trials(5, 10))]
    refused = len(runs) - 1
    await_that(lambda: sum(r.process.poll() is not None for r in runs) == refused, "their end")
    site.api.release()
    codes = sorted(run.end().exit_code for run in runs)
    assert codes == [0] + [75] * refused
    assert ask(site.dsn, "SELECT count(*) FROM carsync.runs") == [(1,)]
    site.await_no_process()
    site.assert_exact()
    oracle.recover()


def test_a_stopped_run_that_goes_on_after_its_table_was_taken_over(site: SimulatedSite) -> None:
    """Its session was ended meanwhile, so another run began: the late one changes nothing."""
    oracle = Oracle(site)
    site.api.hold(after=10)
    late = site.start("sync", "--json")
    site.await_staged(10)
    late.signal(signal.SIGSTOP)
    ask(
        site.dsn,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name LIKE 'carsync%%' AND datname = current_database()",
    )
    site.api.release()
    site.variables["XDG_STATE_HOME"] = str(site.folder / "elsewhere")  # another machine's
    assert site.start("sync", "--json").end().exit_code == 0
    site.assert_exact()
    rows = site.rows()
    late.signal(signal.SIGCONT)
    ended = late.end()
    assert ended.exit_code in {4, 75}, ended
    assert site.rows() == rows
    oracle.judge(ended, after=site.truth(0))
