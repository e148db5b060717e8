"""A bench: one site on which fault trial follows fault trial, each against a feed that moved on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from carsync import failpoints
from carsync.demo.feed import FeedOptions
from tests.support.oracle import Oracle
from tests.support.site import Running, SimulatedSite, ask

FEED = FeedOptions(cars=60, changed_share=0.1, added_share=0.05, removed_share=0.05)
IMPATIENT = "worker_boot_s=6,fetcher_silence_s=2,writer_silence_s=2,overdue_s=-8"
"""Deadlines by which a worker is taken for hanging after two seconds."""


class Bench:
    """One site, in step with its feed, on which trial follows trial; it moves on before each."""

    def __init__(self, site: SimulatedSite) -> None:
        self.site = site
        self._snapshots = count(1)
        self._marks = count(1)
        site.settings["api.timeout.total_s"] = 2.0

    def next_oracle(self) -> Oracle:
        """Let the feed move on; return the oracle for the runs that follow."""
        self._settle()
        snapshot = next(self._snapshots)
        self.site.api.show(snapshot)
        self.site.api.reset()
        return Oracle(self.site, snapshots=(snapshot,))

    def _settle(self) -> None:
        newest = "SELECT counts IS NULL FROM carsync.runs ORDER BY run_id DESC LIMIT 1"
        if ask(self.site.dsn, newest) == [(True,)]:  # a trial that failed left it: no other's pages
            self.site.sync("--mode", "full", "--fresh")

    @contextmanager
    def armed(self, point: str, action: str) -> Iterator[Path]:
        """Arm a failpoint for the runs in the block; give the file that shows that it acted."""
        mark = self.site.folder / f"mark-{next(self._marks)}"
        self.site.variables[failpoints.VARIABLE] = f"{point}={action}@{mark}"
        try:
            yield mark
        finally:
            del self.site.variables[failpoints.VARIABLE]

    def start(self, *arguments: str) -> Running:
        """Start a sync that takes a child for hanging after two seconds."""
        return self.site.start("sync", "--json", *arguments, deadlines=IMPATIENT)
