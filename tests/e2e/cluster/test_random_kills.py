"""Random kills in a cluster of four workers: whoever it is, several times; then once in peace.

A trial's seed decides whom, how and when. Who is killed is started again a moment later, as
systemd does, but for the run itself.
"""

from __future__ import annotations

import random
import signal
import subprocess
import time
from contextlib import suppress

import psutil
import pytest

from tests.support.cluster_site import END_S, ClusterSite
from tests.support.fault_bench import Bench
from tests.support.site import Running, await_that

LONGEST_RUN_S = 4.0
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)
ENDS = {0, 8, 143, -signal.SIGKILL, -signal.SIGTERM}


def _strike(
    site: ClusterSite, workers: tuple[str, ...], running: Running, dice: random.Random
) -> None:
    """Send a signal to a worker process, to a nanny, to the scheduler or to the run."""
    kind = dice.choice(["worker", "worker", "nanny", "scheduler", "driver"])
    node = site.nodes[dice.choice(workers)]
    number = dice.choice(SIGNALS)
    print(f"{time.strftime('%H:%M:%S')} {number.name} for {kind}")
    with suppress(psutil.Error):
        if kind == "driver":
            running.signal(number)
        elif kind != "worker":
            (site.scheduler if kind == "scheduler" else node).process.send_signal(number)
        elif (child := node.child) is not None:
            child.send_signal(number)


def _let_pass(running: Running, seconds: float) -> None:
    with suppress(subprocess.TimeoutExpired):
        running.process.wait(seconds)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(100))
def test_a_cluster_that_is_struck_at_random(
    cluster: ClusterSite, four_workers: tuple[str, ...], bench: Bench, seed: int
) -> None:
    dice = random.Random(seed)
    oracle = bench.next_oracle()
    cluster.api.change(latency_ms=(0.0, dice.choice([1.0, 100.0, 400.0])))
    with cluster.revived(dice.uniform(0.1, 1.0)):
        running = cluster.start("sync", "--json")
        if dice.random() < 0.7:
            await_that(
                lambda: cluster.api.log or running.process.poll() is not None, "a request", END_S
            )
        for _ in range(dice.choice([1, 1, 2, 3])):
            _let_pass(running, dice.uniform(0.0, LONGEST_RUN_S))
            _strike(cluster, four_workers, running, dice)
        ended = running.end(within_s=END_S)
        assert ended.exit_code in ENDS, ended
        assert "Traceback" not in ended.err, ended.err
        oracle.judge(ended)
        oracle.recover_from(ended)
