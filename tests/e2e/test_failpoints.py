"""Each step dies, raises or hangs once: the run survives, or the next one makes it right.

The trials go on one after the other on one table, each against a feed that moved on:
cars to insert, to update, to ask for by id and to deactivate.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from carsync import failpoints
from carsync.demo.feed import FeedOptions
from carsync.demo.server import running
from carsync.demo.simulator import SimulatorOptions
from tests import effort
from tests.conftest import new_database
from tests.e2e.harness import PAGE_SIZE, Api, Ended, Running, SimulatedSite, await_that
from tests.e2e.oracle import KEY, Oracle

FEED = FeedOptions(cars=60, changed_share=0.1, added_share=0.05, removed_share=0.05)
ACTIONS = ("die", "raise", "hang")
TRIALS = [(name, action) for name in failpoints.ALL for action in ACTIONS]
IMPATIENT = """
from carsync import cli, supervisor
supervisor.BOOT_S = 6.0
supervisor.SILENCE_S.update(fetcher=2.0, writer=2.0)
supervisor.OVERDUE_S = 2.0 - 10.0
cli.main()
"""
"""The command, with a supervisor that takes a child for hanging after two seconds."""


class Bench:
    """One site on which trial follows trial; the feed moves on before each."""

    def __init__(self, site: SimulatedSite) -> None:
        self.site = site
        self._snapshots = count(1)
        self._marks = count(1)
        site.settings["api.timeout.total_s"] = 2.0
        site.sync()

    def next_oracle(self) -> Oracle:
        """Let the feed move on; return the oracle for the runs that follow."""
        snapshot = next(self._snapshots)
        self.site.api.show(snapshot)
        self.site.api.reset()
        return Oracle(self.site, snapshots=(snapshot,))

    @contextmanager
    def armed(self, point: str, action: str) -> Iterator[Path]:
        """Arm a failpoint for the runs in the block; give the file that shows that it acted."""
        mark = self.site.folder / f"mark-{next(self._marks)}"
        self.site.variables[failpoints.VARIABLE] = f"{point}={action}@{mark}"
        try:
            yield mark
        finally:
            del self.site.variables[failpoints.VARIABLE]

    def start(self) -> Running:
        """Start a sync that takes a child for hanging after two seconds."""
        program = [sys.executable, "-P", "-c", IMPATIENT]
        return self.site.start("sync", "--json", program=program)


@pytest.fixture(scope="module")
def bench(
    server_dsn: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    api = Api(SimulatorOptions(feed=FEED, key=KEY, page_size=PAGE_SIZE))
    with new_database(server_dsn, template) as dsn, running(api) as server:
        site = SimulatedSite(server, api, dsn, tmp_path_factory.mktemp("bench"))
        yield Bench(site)
        site.close()


def _end(run: Running, point: str, action: str, mark: Path) -> Ended:
    """Wait for the run's end; a parent that hangs is killed, as its service manager would do."""
    if action == "hang" and point in failpoints.PARENT:
        await_that(mark.exists, f"the failpoint {point}")
        run.process.kill()
    return run.end()


@pytest.mark.parametrize(
    ("point", "action"), TRIALS[:: effort.trials(1, 1)], ids=lambda value: value
)
def test_a_step_that_fails_once(bench: Bench, point: str, action: str) -> None:
    oracle = bench.next_oracle()
    with bench.armed(point, action) as mark:
        ended = _end(bench.start(), point, action, mark)
    assert mark.exists(), f"the run did not come by: {ended}"
    oracle.judge(ended)
    if point in failpoints.PARENT:
        assert ended.exit_code == (1 if action == "raise" else -9), ended
    elif action != "raise":
        assert ended.exit_code == 0, ended
    oracle.recover()
