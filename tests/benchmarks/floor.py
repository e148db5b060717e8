"""carsync beside the least that loading the same feed can cost, in the same run.

    python -m tests.benchmarks.floor [--rounds 3] [--cars 200000] [--set KEY=VALUE]… [--dlt PYTHON]

With `--dlt`, an interpreter that has `dlt[postgres]` and requests, the script of an afternoon and
dlt are measured, too.

In every round, for the floor (`floor_load`), carsync with `copy` and carsync with
`execute_values`: a full load into a fresh database of an embedded PostgreSQL, then the same feed
again, unchanged. Prints the medians of the ratios of each round, of wall time and of CPU seconds
(all processes, the server's included: on a busy machine wall time says little), and memory.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from operator import attrgetter
from pathlib import Path
from statistics import median

from carsync.demo.feed import Feed, FeedOptions
from carsync.demo.postgres import temporary
from tests.benchmarks.compare import Command, carsync_command, nginx, script_command
from tests.benchmarks.measuring import Measured, measure, new_database
from tests.benchmarks.static_feed import write_static

Runs = dict[str, list[Measured]]

NAMES = ("floor", "copy", "execute_values")
OTHERS = ("script", "dlt")
AIMS = (("copy", "floor", 1.6, 1.4), ("execute_values", "copy", 1.15, 1.15))
"""Program, what it is measured against, and the most that its ratios should be: full, unchanged."""


def floor_command(pages: Path, dsn: str) -> Command:
    """Return the command that loads a folder of pages as cheaply as can be."""
    return [sys.executable, "-m", "tests.benchmarks.floor_load", str(pages), dsn], {}


def other_command(name: str, python: str, base_url: str, dsn: str) -> Command:
    """Return the command of the script, or of dlt."""
    if name == "script":
        return script_command(base_url, dsn, Path())
    return [python, "-P", str(Path(__file__).with_name("with_dlt.py")), base_url, dsn], {}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cars", type=int, default=200_000)
    parser.add_argument("--port", type=int, default=8918)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--dlt", metavar="PYTHON")
    options = parser.parse_args()
    names = (*NAMES, *OTHERS) if options.dlt else NAMES
    full: Runs = {name: [] for name in names}
    again: Runs = {name: [] for name in names}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write_static(folder / "feed", Feed(FeedOptions(cars=options.cars)), 0)
        base_url = stack.enter_context(nginx(folder, options.port))
        server = stack.enter_context(temporary())
        for number in range(options.rounds):
            for name in names:
                dsn = new_database(server.dsn, "bench_floor")
                if name == "floor":
                    command, environ = floor_command(folder / "feed", dsn)
                elif name in OTHERS:
                    command, environ = other_command(name, options.dlt, base_url, dsn)
                else:
                    state = folder / f"state-{number}-{name}"
                    settings = (f"database.load_method={name}", *options.set)
                    command, environ = carsync_command(base_url, dsn, state, settings)
                for runs in (full, again):
                    runs[name].append(measure(command, environ, dsn))
                    print(_line(name, runs[name][-1]), file=sys.stderr)
    report(full, again, options)


def _line(name: str, found: Measured) -> str:
    return (
        f"{name:15} wall {found.wall_s:5.1f} s, CPU {found.cpu_s:5.1f} s (its own "
        f"{found.client_s:5.1f}, PostgreSQL's {found.server_s:4.1f}), "
        f"RSS {found.rss_mb:3.0f} MB, PSS {found.pss_mb:3.0f} MB"
    )


def _ratio(runs: Runs, name: str, base: str, figure: Callable[[Measured], float]) -> float:
    pairs = zip(runs[name], runs[base], strict=True)
    return median(figure(ours) / figure(theirs) for ours, theirs in pairs)


def report(full: Runs, again: Runs, options: argparse.Namespace) -> None:
    """Print the ratios, then what they are made of."""
    print(f"{options.cars:,} cars, {options.rounds} rounds, {os.cpu_count()} cores")
    for name, base, most_full, most_again in AIMS:
        for what, runs, most in (("full", full, most_full), ("unchanged", again, most_again)):
            wall, cpu = (_ratio(runs, name, base, attrgetter(f)) for f in ("wall_s", "cpu_s"))
            pair = f"{name} / {base}"
            print(f"{pair:22} {what:10} wall {wall:5.2f}  CPU {cpu:5.2f}  (aim: {most:.2f})")
    for name in full.keys() - set(NAMES):
        for what, runs in (("full", full), ("unchanged", again)):
            wall, cpu = (_ratio(runs, name, "floor", attrgetter(f)) for f in ("wall_s", "cpu_s"))
            print(f"{name + ' / floor':22} {what:10} wall {wall:5.2f}  CPU {cpu:5.2f}")
    for what, runs in (("full", full), ("unchanged", again)):
        for name in full:
            figures = (attrgetter(f) for f in Measured.__dataclass_fields__)
            medians = Measured(*(median(map(f, runs[name])) for f in figures))
            print(f"{what:10} {_line(name, medians)}")


if __name__ == "__main__":
    main()
