"""Runs that a cluster carries out, and what becomes of them where a part of it fails."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import psutil
import pytest

from tests.support.cluster_site import END_S, ClusterSite
from tests.support.fault_bench import Bench
from tests.support.oracle import KEY, PASSWORD
from tests.support.site import await_that

pytestmark = pytest.mark.timeout(1800)  # on a busy machine a cluster starts in a minute

OLDER = "import carsync\ncarsync.__version__ = '0.0.9'\n"


@pytest.mark.long
def test_a_run_over_two_workers_is_exact(cluster: ClusterSite, bench: Bench) -> None:
    oracle = bench.next_oracle()
    cluster.api.hold(after=3)
    running = cluster.start("sync", "--json")
    await_that(lambda: len(cluster.api.log) >= 6, "requests of both workers")
    cluster.api.release()
    ended = cluster.check(running)
    oracle.judge(ended)
    assert max(Counter(cluster.api.pages_asked()).values()) == 1


def test_a_killed_workers_leases_are_read_by_others(cluster: ClusterSite, bench: Bench) -> None:
    oracle = bench.next_oracle()
    cluster.api.hold(after=3)
    running = cluster.start("sync", "--json")
    await_that(lambda: len(cluster.api.log) >= 9, "leases in hand of both workers")
    victim = cluster.nodes["one"].child
    assert victim is not None
    victim.kill()
    await_that(lambda: cluster.nodes["one"].child not in {None, victim}, "a new worker process")
    cluster.api.release()
    ended = cluster.check(running)
    oracle.judge(ended)
    assert 1 <= _asked_again(cluster) <= 4


def test_a_killed_run_is_resumed_behind_what_is_staged(cluster: ClusterSite, bench: Bench) -> None:
    oracle = bench.next_oracle()
    cluster.api.hold(after=10)
    running = cluster.start("sync", "--json")
    staged = cluster.await_staged(10)
    running.process.kill()
    oracle.judge(running.end())
    asked = set(cluster.api.pages_asked())
    cluster.api.release()
    ended = oracle.recover()
    assert ended.report["figures"]["pages_resumed"] >= len(staged)
    pages = Counter(cluster.api.pages_asked())
    assert not staged & {page for page, count in pages.items() if count > 1}
    assert {page for page, count in pages.items() if count > 1} <= asked


def test_a_scheduler_that_is_lost_and_comes_back(cluster: ClusterSite, bench: Bench) -> None:
    oracle = bench.next_oracle()
    cluster.api.hold(after=10)
    running = cluster.start("sync", "--json")
    cluster.await_staged(10)
    with cluster.revived():
        cluster.scheduler.process.kill()
        cluster.api.release()
        ended = cluster.check(running)
    oracle.judge(ended)
    assert "the scheduler" in ended.said
    assert _asked_again(cluster) <= 8


def test_one_retry_after_silences_all_workers(cluster: ClusterSite, bench: Bench) -> None:
    oracle = bench.next_oracle()
    cluster.api.hold(after=5)
    running = cluster.start("sync", "--json")
    cluster.await_staged(5)
    cluster.api.refuse_once(3)
    cluster.api.release()
    ended = cluster.check(running)
    oracle.judge(ended)
    arrivals = [(arrived_s, status) for arrived_s, _, status in cluster.api.log]
    refused_s = next(arrived_s for arrived_s, status in arrivals if status == 429)
    assert not [at for at, _ in arrivals if refused_s + 0.3 < at < refused_s + 2.9]


def test_single_cars_are_asked_for_by_workers(cluster: ClusterSite, bench: Bench) -> None:
    if not cluster.active():
        cluster.sync()
    oracle = bench.next_oracle()
    car = next(iter(oracle.truth))
    ended = cluster.check(cluster.start("refresh", car, "--json"))
    assert [each["id"] for each in ended.report["refreshed"]] == [car]
    assert any(path.endswith(f"/{car}") for _, path, _ in cluster.api.log)


def test_no_secret_reaches_the_scheduler(cluster: ClusterSite, bench: Bench) -> None:
    oracle = bench.next_oracle()
    cluster.api.hold(after=10)
    running = cluster.start("sync", "--json")
    cluster.await_staged(10)
    held = _memory_of(cluster.scheduler.process)
    cluster.api.release()
    oracle.judge(cluster.check(running))
    assert held.count(b"carsync_gate") > 0  # it is its memory that was read
    for secret in (KEY, PASSWORD):
        assert secret.encode() not in held
        assert secret not in cluster.scheduler.said


def test_only_workers_of_this_version_get_leases(
    cluster: ClusterSite, bench: Bench, tmp_path: Path
) -> None:
    """Where no other has the feed's label, the run ends in bounded time and says why."""
    oracle = bench.next_oracle()
    (tmp_path / "sitecustomize.py").write_text(OLDER)
    variables = {"PYTHONPATH": str(tmp_path)}
    cluster.add_worker("other", "--label", "egress", variables=variables)
    cluster.await_workers("other")
    deadlines = "no_workers_s=3"
    running = cluster.start("sync", "--json", deadlines=deadlines, engine__label="egress")
    ended = running.end(END_S)
    cluster.nodes.pop("other").close()
    assert ended.exit_code == 8, ended
    assert re.search(r"worker \S+ is not used: it has carsync 0.0.9, the run", ended.said)
    assert "it has no label egress" in ended.said
    assert "no worker of the cluster was fit" in ended.report["problem"]
    assert not cluster.api.log
    oracle.judge(ended)
    oracle.recover()


def _asked_again(site: ClusterSite) -> int:
    return sum(count - 1 for count in Counter(site.api.pages_asked()).values())


def _memory_of(process: psutil.Process) -> bytes:
    """Return what a process has in memory that it may write (proc_pid_mem(5))."""
    parts = []
    with Path(f"/proc/{process.pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{process.pid}/maps").read_text().splitlines():
            span, mode = line.split()[:2]
            first, end = (int(each, 16) for each in span.split("-"))
            if mode.startswith("rw") and "[v" not in line:
                memory.seek(first)
                parts.append(memory.read(end - first))
    return b"".join(parts)
