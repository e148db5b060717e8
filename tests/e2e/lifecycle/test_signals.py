"""Signals: a first one drains, a second one ends at once; the next run goes on from there."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import pytest

from carsync import failpoints
from tests.support import effort
from tests.support.delta_bench import DeltaBench
from tests.support.fake_api import Reply, ScriptedApi, page_reply
from tests.support.fault_bench import Bench
from tests.support.site import SimulatedSite, Site, await_that

PHASES = (
    "sync.locked",
    "fleet.manager_started",
    "probe.leased",
    "merge.compared",
    "sync.merged",
)
"""The failpoints at which signals are tried by default: one signal and two by turns."""
EVERYTHING = [(point, times) for point in failpoints.PARENT for times in (1, 2)]
SAMPLE = [(point, 1 + n % 2) for n, point in enumerate(PHASES)]
SAMPLE_OF_DELTAS = [("sync.read", 2)]
OF_DELTAS = [(point, times) for point, times in EVERYTHING if point != "probe.leased"]


@pytest.mark.parametrize(
    ("number", "exit_code"),
    [pytest.param(signal.SIGINT, 130, marks=pytest.mark.long), (signal.SIGTERM, 143)],
)
def test_a_signal_drains_and_the_next_run_fetches_only_what_is_missing(
    site: SimulatedSite, number: signal.Signals, exit_code: int
) -> None:
    site.widen()
    site.api.hold(after=12)
    running = site.start("sync", "--json")
    site.await_staged(12)
    in_hand = await_that(
        lambda: set(site.api.pages_read()) - site.staged_pages(), "requests under way"
    )
    running.signal(number)
    site.api.release()
    stopped = site.check(running, exit_code)

    assert stopped.report["state"] == "interrupted"
    assert "resumes" in stopped.report["next_step"]
    assert stopped.report["counts"] is None
    staged = site.staged_pages()
    assert in_hand <= staged, "what was under way is not thrown away"
    assert len(staged) < site.pages()
    assert site.active() == {}
    assert site.status()["state"] == "interrupted"

    site.api.reset()
    resumed = site.sync()
    site.assert_exact()
    assert sorted(site.api.pages_read()) == sorted(set(range(1, site.pages() + 1)) - staged)
    assert resumed.report["run_id"] == stopped.report["run_id"]
    assert f"{len(staged)} pages are staged already" in resumed.said
    assert site.staged_pages() == set()


def test_a_signal_to_the_whole_process_group_drains_all_the_same(site: SimulatedSite) -> None:
    """Ctrl-C on a terminal reaches the children as well."""
    site.api.hold(after=10)
    running = site.start("sync", "--json")
    site.await_staged(10)
    for pid in [*(child.pid for child in running.children()), running.process.pid]:
        os.kill(pid, signal.SIGINT)
    site.api.release()
    site.check(running, 130)
    assert site.staged_pages() >= set(site.api.pages_read())


def test_a_second_signal_ends_the_run_at_once(site: SimulatedSite) -> None:
    site.api.hold(after=8)
    running = site.start("sync", "--json")
    site.await_staged(8)
    running.signal(signal.SIGTERM)
    site.await_checkpoint(lambda state: state.phase == "draining", "the drain")
    running.signal(signal.SIGTERM)
    ended = running.end(within_s=5)  # the API answers nothing any more
    assert ended.exit_code == 143
    site.await_no_process()

    staged = site.staged_pages()
    site.api.release()
    site.api.reset()
    site.sync()
    site.assert_exact()
    assert sorted(site.api.pages_read()) == sorted(set(range(1, site.pages() + 1)) - staged)


@pytest.mark.long
def test_a_signal_during_start_up_ends_the_run_in_order(site: SimulatedSite) -> None:
    site.api.hold(after=0)
    running = site.start("sync", "--json")
    await_that(site.checkpoint, "the first checkpoint")
    running.signal(signal.SIGTERM)
    site.api.release()
    site.check(running, 143)
    site.sync()
    site.assert_exact()


def test_a_signal_does_not_wait_for_a_retry_after(
    scripted_api: ScriptedApi, scripted_site: Site
) -> None:
    scripted_api.on("/cars", Reply(429, headers={"Retry-After": "120"}))
    running = scripted_site.start("sync", "--json")
    await_that(lambda: scripted_api.arrivals, "a request")
    await_that(
        lambda: (s := scripted_site.checkpoint()) and s.errors, "the refusal in the checkpoint"
    )
    running.signal(signal.SIGTERM)
    assert running.end(within_s=5).exit_code == 143
    assert len(scripted_api.arrivals) <= 4


@pytest.mark.parametrize(("point", "times"), EVERYTHING if effort.is_long else SAMPLE)
def test_a_signal_in_any_phase_ends_the_run_in_order(bench: Bench, point: str, times: int) -> None:
    _signal_in(bench, point, times)


@pytest.mark.parametrize(("point", "times"), OF_DELTAS if effort.is_long else SAMPLE_OF_DELTAS)
@pytest.mark.long
def test_a_signal_in_any_phase_ends_an_incremental_run_in_order(
    delta_bench: DeltaBench, point: str, times: int
) -> None:
    _signal_in(delta_bench, point, times)


def _signal_in(bench: Bench, point: str, times: int) -> None:
    """Before the merge begins it stops the run; from then on the merge is done or undone."""
    oracle = bench.next_oracle()
    with bench.armed(point, "pause") as mark:
        running = bench.start()
        await_that(mark.exists, f"the failpoint {point}")
        oracle.look_at(running)
        for number in (signal.SIGTERM, signal.SIGINT)[:times]:
            running.signal(number)
        mark.unlink()
        ended = running.end()
    oracle.judge(ended)
    stopped = {143} if times == 1 else {130, 143}  # two that wait are handled in any order
    late = failpoints.PARENT.index(point) >= failpoints.PARENT.index("merge.begun")
    assert ended.exit_code in (stopped | {0} if late else stopped), ended
    assert "Traceback" not in ended.err
    oracle.recover_from(ended)


@pytest.mark.parametrize(
    "role", [pytest.param(1, marks=pytest.mark.long), -1], ids=["fetcher", "writer"]
)
def test_a_signal_does_not_wait_for_a_child_that_hangs(bench: Bench, role: int) -> None:
    """It would never finish what it has in hand."""
    oracle = bench.next_oracle()
    bench.site.api.hold(after=1)
    running = bench.start()
    bench.site.await_staged(1)
    running.children()[role].suspend()
    running.signal(signal.SIGTERM)
    bench.site.api.release()
    ended = running.end(within_s=20)
    assert ended.exit_code == 143
    assert "not all fetched pages are staged" in ended.said
    oracle.judge(ended)
    oracle.recover()


def test_a_signal_is_obeyed_also_where_too_many_records_are_rejected_meanwhile(
    scripted_site: Site, scripted_api: ScriptedApi
) -> None:
    """What was in hand is staged, and the run says that it was stopped."""
    good = [
        {"id": n, "manufacturer": {"name": "Kia"}, "model": {"name": "K"}} for n in range(1, 961)
    ]
    bad = [{"id": None} for _ in range(480)]
    feed = good + bad
    pages = len(feed) // 240
    for page in range(1, pages + 1):
        records = feed[(page - 1) * 240 : page * 240]
        delay_s = 0.0 if page <= 4 else 1.5
        reply = page_reply(records, page, pages, len(feed))
        scripted_api.on("/cars", replace(reply, delay_s=delay_s), page=page)
    scripted_site.variables["PAGE_SIZE"] = "240"
    running = scripted_site.start("sync", "--json")
    await_that(
        lambda: {a.page for a in scripted_api.arrivals} == set(range(1, pages + 1)),
        "all pages are asked for",
    )
    running.signal(signal.SIGTERM)
    stopped = scripted_site.check(running, 143)
    assert stopped.report["state"] == "interrupted"
    assert scripted_site.staged_pages() == set(range(1, pages + 1))
