"""A cluster for the tests of a module: scheduler, workers, API and database, all real."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from carsync.demo.feed import FeedOptions
from carsync.demo.server import running
from carsync.demo.simulator import SimulatorOptions
from tests.conftest import new_database
from tests.support.cluster_site import ClusterSite, RefusingApi, cluster_network
from tests.support.fault_bench import Bench
from tests.support.oracle import KEY
from tests.support.site import PAGE_SIZE

FEED = FeedOptions(cars=400, changed_share=0.1, added_share=0.05, removed_share=0.05)
WORKERS = ("one", "two")
MORE_WORKERS = ("three", "four")


@pytest.fixture(scope="package")
def cluster(
    server_dsn: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ClusterSite]:
    """A cluster of two workers with four threads each; its feed has 20 pages."""
    api = RefusingApi(SimulatorOptions(feed=FEED, key=KEY, page_size=PAGE_SIZE))
    with (
        new_database(server_dsn, template) as dsn,
        running(api) as server,
        cluster_network(*WORKERS, *MORE_WORKERS, "other") as network,
    ):
        folder = tmp_path_factory.mktemp("cluster")
        site = ClusterSite(server, api, dsn, folder, network)
        site.variables.update(RPS="8", CONCURRENCY="8")  # most of the pages come in a burst
        try:
            site.open(*WORKERS)
            yield site
        finally:
            api.release()
            site.close()


@pytest.fixture(scope="package")
def moving_feed(cluster: ClusterSite) -> Bench:
    """The cluster as a bench: trial follows trial, each against a feed that moved on."""
    return Bench(cluster)


@pytest.fixture(scope="module")
def four_workers(cluster: ClusterSite) -> Iterator[tuple[str, ...]]:
    """The names of four workers of the cluster, all of which have requests at once."""
    usual = cluster.variables["CONCURRENCY"]
    for name in MORE_WORKERS:
        cluster.add_worker(name)
    cluster.await_workers(*MORE_WORKERS)
    cluster.variables["CONCURRENCY"] = "16"
    yield (*WORKERS, *MORE_WORKERS)
    cluster.variables["CONCURRENCY"] = usual
    for name in MORE_WORKERS:
        cluster.nodes.pop(name).close()


@pytest.fixture
def bench(cluster: ClusterSite, moving_feed: Bench) -> Iterator[Bench]:
    """The bench, whose parts are at work again after the test."""
    yield moving_feed
    cluster.api.release()
    cluster.mend()
