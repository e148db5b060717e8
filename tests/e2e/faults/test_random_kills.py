"""Random kills: any process, by any signal, at any moment, several times; then once more in peace.

A trial's seed decides whom, how and when; the moments are spread over the whole run.
"""

from __future__ import annotations

import random
import signal
import subprocess
from collections import Counter
from contextlib import suppress

import psutil
import pytest

from tests.support import effort
from tests.support.delta_bench import DeltaBench
from tests.support.fault_bench import Bench
from tests.support.site import PAGE_SIZE, Ended, Running, ask

LONGEST_RUN_S = 1.2
"""About as long as a run of the bench takes from its first child to its end."""
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGINT)

_IS_MERGED = "SELECT merged_at IS NOT NULL FROM carsync.runs ORDER BY run_id DESC LIMIT 1"


def _victims(running: Running) -> list[psutil.Process]:
    """Return the parent and its children as they are now."""
    with suppress(psutil.Error):
        return [psutil.Process(running.process.pid), *running.children()]
    return []


def _strike(running: Running, dice: random.Random) -> None:
    """Send one signal to one process of the run; a stopped parent goes on a while later."""
    victims = _victims(running)
    if not victims:
        return
    victim, number = dice.choice(victims), dice.choice(SIGNALS)
    with suppress(psutil.Error):
        victim.send_signal(number)
        if number == signal.SIGSTOP and victim.pid == running.process.pid:
            _let_pass(running, dice.uniform(0.0, 3.0))
            victim.send_signal(signal.SIGCONT)


def _let_pass(running: Running, seconds: float) -> None:
    """Let so much of the run's time pass, or less where it ends."""
    with suppress(subprocess.TimeoutExpired):
        running.process.wait(seconds)


@pytest.mark.parametrize("seed", range(effort.trials(2, 300)))
def test_a_run_that_is_struck_at_random(bench: Bench, seed: int) -> None:
    dice = random.Random(seed)
    oracle = bench.next_oracle()
    ended = _strike_a_run(bench, dice)
    oracle.judge(ended)
    oracle.recover_from(ended)


@pytest.mark.parametrize("seed", range(effort.trials(1, 200)))
@pytest.mark.long
def test_an_incremental_run_that_is_struck_at_random(delta_bench: DeltaBench, seed: int) -> None:
    dice = random.Random(f"delta {seed}")
    oracle = delta_bench.next_oracle()
    ended = _strike_a_run(delta_bench, dice)
    oracle.judge(ended)
    oracle.recover_from(ended)


@pytest.mark.parametrize("seed", range(effort.trials(1, 60)))
@pytest.mark.long
def test_days_of_full_and_incremental_runs_that_are_struck_at_random(
    delta_bench: DeltaBench, seed: int
) -> None:
    """Nobody clears up after a run: it is resumed, discarded or left alone by those that follow."""
    dice = random.Random(f"days {seed}")
    delta_bench.next_oracle()
    for _ in range(effort.trials(3, 8)):
        mode = dice.choice(["full", "incremental", "incremental"])
        oracle = delta_bench.pass_hour()
        _strike_a_run(delta_bench, dice, "--mode", mode)
        oracle.judge_drifted()
    oracle = delta_bench.pass_hour()
    oracle.recover("--mode", "incremental")
    oracle.expect_truth()


def _strike_a_run(bench: Bench, dice: random.Random, *arguments: str) -> Ended:
    """Run with other processes, at another pace; strike it at other moments."""
    bench.site.settings["limits.fetcher_processes"] = dice.choice([1, 2])
    bench.site.variables["PARALLEL_BATCHES"] = dice.choice(["1", "2"])
    bench.site.api.change(latency_ms=(0.0, dice.choice([1.0, 100.0])))
    running = bench.start(*arguments)
    for _ in range(dice.choice([1, 1, 2, 3])):
        _let_pass(running, dice.uniform(0.0, LONGEST_RUN_S))
        _strike(running, dice)
    ended = running.end(within_s=60)
    assert ended.exit_code in {0, 8, 130, 143, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT}
    return ended


@pytest.mark.parametrize("kind", ["cursor", pytest.param("next_link", marks=pytest.mark.long)])
@pytest.mark.parametrize("seed", range(effort.trials(1, 150)))
def test_a_run_that_reads_page_by_page_and_is_killed(bench: Bench, seed: int, kind: str) -> None:
    """At most the page that waits to be staged and the one in flight are asked for again."""
    dice = random.Random(f"{kind}{seed}")
    site = bench.site
    site.api.change(paging=kind, page_size=PAGE_SIZE, latency_ms=(20.0, 20.0))
    site.settings.update({"api.pagination.type": kind, "api.pagination.page_size": 7})
    try:
        oracle = bench.next_oracle()
        kills = 0
        for _ in range(dice.choice([1, 2, 3])):
            running = bench.start()
            _let_pass(running, dice.uniform(0.3, 2 * LONGEST_RUN_S))
            running.process.kill()
            oracle.judge(running.end(within_s=60))
            kills += 1
            if ask(site.dsn, _IS_MERGED) == [(True,)]:  # the next run reads all pages anew
                site.api.reset()
                kills = 0
        ended = oracle.recover()
        asked = Counter(path for _, path, _ in site.api.log if path.startswith("/api/cars?"))
        assert sum(asked.values()) - len(asked) <= 2 * kills
        assert max(asked.values()) <= 1 + kills
        assert ended.report["state"] == "complete"
    finally:
        site.api.change(paging="page", page_size=PAGE_SIZE)
        for key in ("type", "page_size"):
            del site.settings[f"api.pagination.{key}"]
