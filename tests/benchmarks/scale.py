"""Does a row cost the same, and does memory stay flat, at 1, 10 and 20 million rows?

    python -m tests.benchmarks.scale --rows 1000000,10000000 [--json scale.json]

For each size, over a feed of slim cars that is made while it is served (`slim_feed`): a first
load, the same again, and once more with 1 % of the cars changed, without a limit (`RPS=0`),
into an embedded PostgreSQL that is set up as a machine of 2 cores and 1 GB of shared_buffers.
Reports CPU a row (carsync's processes, and the server's), memory over time, temp files, WAL,
disk, the checkpoint, the long statements, the locks, and what readers of the table wait while
the merge is at work, beside as much reading before the run.

CPU seconds are what counts: on a machine that others use too, wall time is noise.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import msgspec
import psutil

from carsync.demo.postgres import EmbeddedPostgres, running
from tests.benchmarks.compare import new_database
from tests.benchmarks.readers import probe
from tests.benchmarks.server_watch import SETTINGS, ServerCost, ServerWatch
from tests.benchmarks.slim_feed import FIRST_PAGE_MARK
from tests.support.folders import ROOT

RUNS = {"first load": 0, "unchanged": 0, "1 % changed": 1}
"""What each run reads: the version of the feed."""
BASELINE_S = 10.0
ORDINARY = ("RowExclusiveLock", "RowShareLock")
"""Locks of everybody who writes rows; they block neither readers nor other writers."""
MEMORY_EVERY_S = 1.0


class Memory(msgspec.Struct):
    """Summed memory of carsync's processes at one moment, in MB; PSS counts shared pages once."""

    at_s: float
    rss_mb: float
    pss_mb: float


class Readers(msgspec.Struct):
    """Milliseconds that reads of the table took."""

    reads: int
    p50: float
    p99: float
    slowest: float


class Measured(msgspec.Struct):
    """One run."""

    rows: int
    page_size: int
    method: str
    name: str
    wall_s: float
    client_cpu_s: float
    server: ServerCost
    memory: list[Memory]
    checkpoint_bytes: int
    idle: Readers
    merging: Readers
    figures: dict[str, Any]
    counts: dict[str, int]

    def us(self, cpu_s: float) -> float:
        """Return CPU seconds as microseconds a row."""
        return 1e6 * cpu_s / self.rows

    @property
    def rss_growth_mb(self) -> float:
        """How much more the last third of the reading needs than the middle one, in MB."""
        reading = [m.rss_mb for m in self.memory if m.at_s < self.wall_s - self.server.merge_s]
        third = len(reading) // 3
        middle, last = reading[third : 2 * third], reading[2 * third : 3 * third]
        return max(last) - max(middle) if third else 0.0


# ── beside the run ───────────────────────────────────────────────────────────


@contextmanager
def slim_feed(cars: int, page_size: int, version: int, port: int) -> Iterator[str]:
    """Serve the feed from a process of its own; yields the base URL."""
    command = [sys.executable, "-m", "tests.benchmarks.slim_feed", "--cars", str(cars)]
    command += ["--page-size", str(page_size), "--version", str(version), "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait()


class ReaderProcess:
    """Reads the table from a process of its own, from `start` until `stop`."""

    def __init__(self, dsn: str, cars: int, page_size: int) -> None:
        first = (FIRST_PAGE_MARK + 1) * page_size
        middle = first + cars // 2
        span = (str(middle), str(middle + 100))
        self._args = (dsn, cars, first, span)

    def start(self) -> None:
        """Begin to read."""
        context = get_context("spawn")
        dsn, cars, first, span = self._args
        self._ours, theirs = context.Pipe()
        args = (dsn, cars, theirs, first, span)
        self._process = context.Process(target=probe, args=args, daemon=True)
        self._process.start()

    def stop(self) -> Readers:
        """End it, and return what it measured."""
        self._ours.send("end")
        times = sorted(1000 * taken for taken in self._ours.recv())
        self._process.join(10)
        if not times:
            return Readers(0, 0.0, 0.0, 0.0)
        return Readers(len(times), times[len(times) // 2], times[len(times) * 99 // 100], times[-1])


def read_for(reader: ReaderProcess, seconds: float) -> Readers:
    """Read for so long."""
    reader.start()
    time.sleep(seconds)
    return reader.stop()


def sample_memory(pid: int, samples: list[Memory], end: threading.Event) -> None:
    """Sample the memory of a process and all below it until the `end`."""
    began_s = time.monotonic()
    while not end.wait(MEMORY_EVERY_S):
        rss = pss = 0
        try:
            main = psutil.Process(pid)
            for process in (main, *main.children(recursive=True)):
                memory = process.memory_full_info()
                rss, pss = rss + memory.rss, pss + memory.pss
        except psutil.Error:  # one has ended in between
            continue
        samples.append(Memory(time.monotonic() - began_s, rss / 1e6, pss / 1e6))


# ── a run ────────────────────────────────────────────────────────────────────


def sync(
    base_url: str, dsn: str, state: Path, given: argparse.Namespace
) -> subprocess.Popen[bytes]:
    """Start `carsync sync`."""
    environ = {
        **os.environ,
        "API_BASE_URL": base_url,
        "DATABASE_URL": dsn,
        "RPS": "0",
        "PAGE_SIZE": str(given.page_size),
        "STATE_DIRECTORY": str(state),
    }
    command = [str(Path(sys.executable).parent / "carsync"), "--quiet", "sync", "--json"]
    for each in (f"database.load_method={given.method}", *given.set):
        command += ["--set", each]
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE)


def measure(
    server: EmbeddedPostgres, dsn: str, name: str, rows: int, state: Path, given: argparse.Namespace
) -> Measured:
    """Run once and measure it all."""
    reader = ReaderProcess(dsn, rows, given.page_size)
    idle = read_for(reader, BASELINE_S)
    memory: list[Memory] = []
    end = threading.Event()
    with (
        slim_feed(rows, given.page_size, RUNS[name], given.port) as base_url,
        ServerWatch(server, dsn) as watch,
    ):
        began_s = time.monotonic()
        process = sync(base_url, dsn, state, given)
        args = (process.pid, memory, end)
        sampler = threading.Thread(target=sample_memory, args=args, daemon=True)
        sampler.start()
        heard: list[Readers] = []
        beside = threading.Thread(target=read_merge, args=(reader, watch, end, heard), daemon=True)
        beside.start()
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall_s = time.monotonic() - began_s
        end.set()
        sampler.join()
        beside.join()
    if process.returncode not in {0, 7}:
        raise SystemExit(f"carsync ended with {process.returncode}: {said.decode()}")
    report = json.loads(said)
    return Measured(
        rows=rows,
        page_size=given.page_size,
        method=given.method,
        name=name,
        wall_s=wall_s,
        client_cpu_s=usage.ru_utime + usage.ru_stime,
        server=watch.cost(),
        memory=memory,
        checkpoint_bytes=sum(path.stat().st_size for path in state.glob("*.json")),
        idle=idle,
        merging=heard[0] if heard else Readers(0, 0.0, 0.0, 0.0),
        figures=report["figures"],
        counts=report["counts"],
    )


def read_merge(
    reader: ReaderProcess, watch: ServerWatch, end: threading.Event, heard: list[Readers]
) -> None:
    """Read the table while the merge is at work."""
    while not watch.merging.wait(0.05):
        if end.is_set():
            return
    reader.start()
    while not watch.merged.wait(0.05) and not end.is_set():
        pass
    heard.append(reader.stop())


# ── what is told ─────────────────────────────────────────────────────────────

HEAD = (
    "| rows | run | client µs/row | server µs/row | wall s | RSS MB | PSS MB | grows MB | merge s "
    "| readers ms: idle p50/p99/max | during the merge | temp MB | WAL MB | checkpoint KB |"
)


def line(m: Measured) -> str:
    """Return a line of the table."""
    server = m.server
    rss, pss = max(s.rss_mb for s in m.memory), max(s.pss_mb for s in m.memory)
    readers = (f"{r.p50:.1f} / {r.p99:.1f} / {r.slowest:.0f}" for r in (m.idle, m.merging))
    return (
        f"| {m.rows:,} | {m.name} | {m.us(m.client_cpu_s):.1f} | {m.us(server.cpu_s):.1f} "
        f"| {m.wall_s:.0f} | {rss:.0f} | {pss:.0f} | {m.rss_growth_mb:+.0f} | {server.merge_s:.1f} "
        f"| {' | '.join(readers)} | {server.temp_bytes / 1e6:,.0f} "
        f"| {server.wal_bytes / 1e6:,.0f} | {m.checkpoint_bytes / 1e3:.1f} |"
    )


def tell_more(m: Measured) -> None:
    """Print what the table has no room for, to standard error."""
    server = m.server
    sizes = ", ".join(f"{name} {size / 1e6:,.0f}" for name, size in sorted(server.tables.items()))
    print(
        f"{m.rows:,} {m.name}: peaks in MB: data {server.data_peak / 1e6:,.0f}, pg_wal "
        f"{server.wal_kept_peak / 1e6:,.0f}, temp {server.temp_peak / 1e6:,.0f}; {sizes}",
        *(f"  {took_s:8.2f} s  {name}" for took_s, name in server.statements),
        *(
            f"  {held.seconds:8.2f} s held, {held.waited_s:.2f} s waited for  {name}"
            for name, held in sorted(server.locks.items())
            if held.waited_s or not name.endswith(ORDINARY)
        ),
        sep="\n",
        file=sys.stderr,
        flush=True,
    )


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", default="1000000", help="sizes, with commas between")
    parser.add_argument("--page-size", type=int, default=1000, choices=(100, 1000))
    parser.add_argument("--method", default="copy", choices=("copy", "execute_values"))
    parser.add_argument("--runs", default=",".join(RUNS))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--port", type=int, default=8919, help="where the feed is served")
    parser.add_argument("--folder", type=Path, help="where the database lies (a temporary one)")
    parser.add_argument("--json", type=Path, help="keep all figures there")
    given = parser.parse_args()
    found: list[Measured] = []
    for rows in map(int, given.rows.replace("_", "").split(",")):
        with tempfile.TemporaryDirectory(dir=given.folder, prefix="carsync-scale-") as folder:
            Path(folder).chmod(0o755)
            with running(Path(folder) / "pg", SETTINGS) as server:
                dsn = new_database(server.dsn, "scale")
                for name in given.runs.split(","):
                    found.append(measure(server, dsn, name, rows, Path(folder) / "state", given))
                    tell_more(found[-1])
                    if given.json:
                        given.json.write_bytes(msgspec.json.encode(found))
    print(HEAD, "|---" * (HEAD.count("|") - 1) + "|", *map(line, found), sep="\n")


if __name__ == "__main__":
    main()
