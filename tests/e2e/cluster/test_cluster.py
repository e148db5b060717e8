"""Runs that a cluster carries out."""

from __future__ import annotations

from tests.support.cluster_site import ClusterSite
from tests.support.oracle import Oracle


def test_a_run_over_two_workers_is_exact(cluster: ClusterSite) -> None:
    oracle = Oracle(cluster)
    ended = cluster.sync()
    oracle.judge(ended)
    assert cluster.counted()["pages"] >= 30
