"""Each step dies, raises or hangs once: the run survives, or the next one makes it right."""

from __future__ import annotations

from pathlib import Path

import pytest

from carsync import failpoints
from tests.support import effort
from tests.support.delta_bench import DeltaBench
from tests.support.fault_bench import Bench
from tests.support.site import Ended, Running, await_that

ACTIONS = ("die", "raise", "hang")
EVERYTHING = [(point, action) for point in failpoints.ALL for action in ACTIONS]
SAMPLE = [
    ("sync.run_started", "hang"),
    ("checkpoint.renamed", "die"),
    ("fleet.started", "raise"),
    ("intake.staged", "die"),
    ("sync.decided", "raise"),
    ("merge.deactivated", "hang"),
    ("merge.committed", "die"),
    ("sync.closing", "raise"),
    ("manager.opened", "raise"),
    ("fetch.leased", "die"),
    ("fetch.queued", "hang"),
    ("fetch.answered", "raise"),
    ("probe.answered", "die"),
    ("stage.claimed", "raise"),
    ("stage.loaded", "hang"),
    ("stage.committed", "die"),
]
"""Each part of a run, and each action in the parent and in both kinds of children."""
OF_PROBES = ("probe.leased", "probe.answered")
"""An incremental run asks for no car by id."""
SAMPLE_OF_DELTAS = [("merge.recorded", "die")]
OF_DELTAS = [(point, action) for point, action in EVERYTHING if point not in OF_PROBES]


def _end(run: Running, point: str, action: str, mark: Path) -> Ended:
    """Wait for the run's end; a parent that hangs is killed, as its service manager would do."""
    if action == "hang" and point in failpoints.PARENT:
        await_that(mark.exists, f"the failpoint {point}")
        run.process.kill()
    return run.end()


@pytest.mark.parametrize(
    ("point", "action"), EVERYTHING if effort.is_long else SAMPLE, ids=lambda value: value
)
def test_a_step_that_fails_once(bench: Bench, point: str, action: str) -> None:
    _try(bench, point, action)


@pytest.mark.parametrize(
    ("point", "action"), OF_DELTAS if effort.is_long else SAMPLE_OF_DELTAS, ids=lambda value: value
)
def test_a_step_of_an_incremental_run_that_fails_once(
    delta_bench: DeltaBench, point: str, action: str
) -> None:
    _try(delta_bench, point, action)


def _try(bench: Bench, point: str, action: str) -> None:
    oracle = bench.next_oracle()
    with bench.armed(point, action) as mark:
        ended = _end(bench.start(), point, action, mark)
    assert mark.exists(), f"the run did not come by: {ended}"
    assert "a step may fail on purpose" in ended.said
    oracle.judge(ended)
    if point in failpoints.PARENT:
        assert ended.exit_code == (1 if action == "raise" else -9), ended
    elif action != "raise":
        assert ended.exit_code == 0, ended
    oracle.recover_from(ended)
