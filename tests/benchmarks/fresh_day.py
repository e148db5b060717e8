"""A full night and a day of hourly deltas, in the simulated API's own time: exact? at what cost?

    python -m tests.benchmarks.fresh_day [--cars 200000] [--hours 24] [--rate 1] [--seed 1]

The simulated live API (`carsync simulate --live`) changes 1 % of its cars an hour, sells 0.5 %,
adds 0.5 %, lists 0.1 % again, and shows 5 % of all that up to ten minutes late. A full run reads
it; then, hour by hour, an incremental run. After each run the table's active ids and hashes are
held against what the API lists; a second full run at the end must find nothing to do. Runs are the
installed command with `config/auctionsapi.yaml`, on an embedded PostgreSQL.

`--rate 0` lifts the API's limit, which changes no count of requests.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from carsync.demo.changes.timeline import Lateness
from carsync.demo.feed import FeedOptions
from carsync.demo.postgres import temporary
from carsync.demo.server import running
from carsync.demo.simulator import SimulatorOptions
from tests.support.live_site import NOON_S, LiveApi, LiveSite

MODE = ("--mode", "incremental")
MOST_REQUESTS = 25
"""What a delta may cost."""


class Played(Struct, frozen=True):
    """A run: what it was, what it asked for and wrote, and how long it took."""

    name: str
    asked: Counter[str]
    counts: dict[str, int]
    taken_s: float

    @property
    def requests(self) -> int:
        """All requests of the run."""
        return self.asked.total()


def options_of(cars: int, rate: float = 0.0, seed: int = 1) -> SimulatorOptions:
    """Return the live API with so many cars at noon."""
    return SimulatorOptions(
        feed=FeedOptions(cars=cars, seed=seed, relisted_share=0.001),
        live=True,
        page_size=1000,
        rate=rate,
        clock_s=NOON_S,
        late=Lateness(0.05),
    )


def play(
    site: LiveSite, hours: int, tell: Callable[[Played], object] = lambda run: None
) -> list[Played]:
    """Run a full sync, `hours` deltas and a full sync; the table must be right after each."""
    runs: list[Played] = []

    def run(name: str, *arguments: str) -> None:
        begun_s = time.monotonic()
        ended = site.sync(*arguments)
        runs.append(Played(name, site.asked, ended.counts, time.monotonic() - begun_s))
        tell(runs[-1])
        site.assert_in_step()
        site.assert_bids()

    run("full")
    for hour in range(1, hours + 1):
        site.pass_hours()
        run(f"delta {hour}", *MODE)
        assert runs[-1].requests <= MOST_REQUESTS, runs[-1]
    run("full again")
    assert not runs[-1].counts.keys() & {"inserted", "updated", "reactivated", "deactivated"}
    return runs


def _tell(run: Played) -> None:
    asked = ", ".join(f"{kind} {count}" for kind, count in sorted(run.asked.items()))
    wrote = ", ".join(f"{count} {word}" for word, count in run.counts.items() if word != "seen")
    print(f"| {run.name} | {run.requests} | {asked} | {wrote} | {run.taken_s:.1f} |", flush=True)


def compare(runs: list[Played]) -> str:
    """Return the table of requests: this day against a nightly and an hourly full run."""
    full, deltas = runs[0].requests, [run.requests for run in runs[1:-1]]
    day = full + sum(deltas)
    rows = [
        ("full run at night, nothing else", full, "a day"),
        (f"full run at night and {len(deltas)} deltas", day, "an hour"),
        (f"full run every hour ({len(deltas)})", full * len(deltas), "an hour"),
    ]
    lines = ["| | requests | data at most … old |", "|---|---|---|"]
    lines += [f"| {name} | {count:,} | {age} |" for name, count, age in rows]
    return "\n".join([*lines, "", f"requests a delta: {min(deltas)} to {max(deltas)}"])


def main() -> None:
    """Play the day and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cars", type=int, default=200_000)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--rate", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    api = LiveApi(options_of(given.cars, given.rate, given.seed))
    with (
        tempfile.TemporaryDirectory() as folder,
        temporary() as postgres,
        running(api) as server,
    ):
        site = LiveSite(server, api, postgres.dsn, Path(folder))
        print("| run | requests | of them | wrote | s |\n|---|---|---|---|---|", flush=True)
        print("\n" + compare(play(site, given.hours, _tell)))
        site.close()


if __name__ == "__main__":
    main()
