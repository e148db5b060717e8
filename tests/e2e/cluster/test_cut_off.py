"""Parts of a cluster that are cut off, stand still or have no valid certificate (minutes each)."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psutil
import pytest

from tests.support.cluster_site import END_S, ClusterSite
from tests.support.fault_bench import Bench
from tests.support.pg_proxy import PgProxy
from tests.support.site import Running, await_that

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

MINUTE_S = 60.0
YESTERDAY = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)


@pytest.fixture
def third(cluster: ClusterSite) -> Iterator[str]:
    """A worker whose way to the database leads over its network, too."""
    if not cluster.network.is_real:
        pytest.skip("NOT TRIED: network namespaces need root")
    with closing(PgProxy(cluster.dsn, (cluster.network.here, 0))) as proxy:
        cluster.add_worker("other", variables={"DATABASE_URL": proxy.dsn})
        cluster.await_workers("other")
        yield "other"
        cluster.nodes.pop("other").close()
        cluster.network.join("other")


@pytest.mark.parametrize("other", [None, "scheduler"])
def test_a_worker_that_is_cut_off_for_a_minute(
    cluster: ClusterSite, bench: Bench, third: str, other: str | None
) -> None:
    """From all, or from the scheduler alone, so that it can still ask and stage."""
    oracle = bench.next_oracle()
    cluster.api.hold(after=3)
    running = cluster.start("sync", "--json")
    await_that(lambda: len(cluster.api.log) >= 13, "leases in hand of all workers")
    cluster.network.cut_off(third, other)
    cut_s = time.monotonic()
    cluster.api.release()
    ended = cluster.check(running)
    oracle.judge(ended)
    time.sleep(max(0.0, cut_s + MINUTE_S - time.monotonic()))
    cluster.network.join(third)
    oracle = bench.next_oracle()
    oracle.recover()
    _expect_workers(cluster, bench, 3)


def test_a_run_that_is_cut_off_from_its_scheduler(
    cluster: ClusterSite, bench: Bench, third: str
) -> None:
    """It goes on with another engine later; its workers stage what they have in hand."""
    oracle = bench.next_oracle()
    cluster.api.hold(after=3)
    running = cluster.start("sync", "--json")
    await_that(lambda: len(cluster.api.log) >= 9, "leases in hand")
    cluster.network.cut_off("driver", "scheduler")
    cluster.api.release()
    time.sleep(MINUTE_S / 2)
    cluster.network.join("driver")
    ended = cluster.check(running)
    oracle.judge(ended)


Choose = Callable[[ClusterSite, Running], list[psutil.Process]]


def _scheduler(site: ClusterSite, _: Running) -> list[psutil.Process]:
    return [site.scheduler.process]


def _worker(site: ClusterSite, _: Running) -> list[psutil.Process]:
    return site.nodes["one"].children()


def _worker_and_nanny(site: ClusterSite, _: Running) -> list[psutil.Process]:
    return [site.nodes["one"].process, *site.nodes["one"].children()]


def _driver(_: ClusterSite, running: Running) -> list[psutil.Process]:
    return [psutil.Process(running.process.pid)]


@pytest.mark.parametrize("seconds", [5.0, 45.0])
@pytest.mark.parametrize("choose", [_scheduler, _worker, _worker_and_nanny, _driver])
def test_a_process_that_stands_still(
    cluster: ClusterSite, bench: Bench, choose: Choose, seconds: float
) -> None:
    oracle = bench.next_oracle()
    cluster.api.hold(after=3)
    running = cluster.start("sync", "--json")
    await_that(lambda: len(cluster.api.log) >= 9, "leases in hand of both workers")
    victims = choose(cluster, running)
    for victim in victims:
        victim.suspend()
    cluster.api.release()
    time.sleep(seconds)
    for victim in victims:
        if victim.is_running():
            victim.resume()
    ended = cluster.check(running)
    oracle.judge(ended)
    _expect_workers(cluster, bench, 2)


@pytest.mark.parametrize("who", ["scheduler", "worker", "driver"])
def test_a_certificate_that_has_expired(cluster: ClusterSite, bench: Bench, who: str) -> None:
    oracle = bench.next_oracle()
    expired = cluster.certificates.issue("expired", YESTERDAY)
    changes: dict[str, Any] = {f"engine.tls.{part}": file for part, file in expired.items()}
    if who == "worker":
        node = cluster.add_worker("other", **changes)
        await_that(lambda: "certificate" in node.said, "the worker is refused")
        cluster.nodes.pop("other").close()
        assert "is not at work" in node.said
        oracle.judge(cluster.sync())
        return
    if who == "scheduler":
        cluster.scheduler.close()
        cluster.add_scheduler(**changes)
        changes = {}
    running = cluster.start("sync", "--json", deadlines="restart_back_off_s=0:0", **changes)
    ended = running.end(END_S)
    if who == "scheduler":
        cluster.scheduler.close()
        cluster.add_scheduler()
    assert ended.exit_code == 8, ended
    assert "certificate" in ended.said
    oracle.judge(ended)
    _expect_workers(cluster, bench, 2)


def _expect_workers(cluster: ClusterSite, bench: Bench, number: int) -> None:
    """Let a run go on once all its workers are back: four requests at a time of each."""
    oracle = bench.next_oracle()
    cluster.variables["CONCURRENCY"] = str(4 * number)
    cluster.api.hold(after=3)
    running = cluster.start("sync", "--json")
    try:
        await_that(lambda: len(cluster.api.log) >= 3 + 4 * number, f"{number} workers", 120)
    finally:
        cluster.api.release()
        cluster.variables["CONCURRENCY"] = "8"
    oracle.judge(cluster.check(running))
