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
from pathlib import Path
from typing import Any

import msgspec

from carsync.demo.postgres import EmbeddedPostgres, running
from tests.benchmarks.client_watch import Sample, watch_client
from tests.benchmarks.measuring import new_database
from tests.benchmarks.readers import ReaderProcess, Readers
from tests.benchmarks.server_watch import SETTINGS, ServerCost, ServerWatch
from tests.benchmarks.slim_feed import FIRST_PAGE_MARK
from tests.support.folders import ROOT

RUNS = {"first load": 0, "unchanged": 0, "1 % changed": 1}
"""What each run reads: the version of the feed."""
BASELINE_S = 10.0
ORDINARY = ("RowExclusiveLock", "RowShareLock")
"""Locks of everybody who writes rows; they block neither readers nor other writers."""


class Measured(msgspec.Struct):
    """One run."""

    rows: int
    page_size: int
    method: str
    name: str
    wall_s: float
    client_cpu_s: float
    server: ServerCost
    samples: list[Sample]
    checkpoint_bytes: int
    idle: Readers
    merging: Readers
    load: float
    figures: dict[str, Any]
    counts: dict[str, int]

    def us(self, cpu_s: float) -> float:
        """Return CPU seconds as microseconds a row."""
        return 1e6 * cpu_s / self.rows

    @property
    def reading(self) -> list[Sample]:
        """The samples of the time in which pages were read."""
        return [s for s in self.samples if 0 < s.rows < self.rows]

    @property
    def rss_growth_mb(self) -> float:
        """How much more the last third of the reading needs than the middle one, in MB."""
        found = [sample.rss_mb for sample in self.reading]
        third = len(found) // 3
        return max(found[2 * third :]) - max(found[third : 2 * third]) if third else 0.0

    @property
    def late_over_early(self) -> float:
        """What a row costs carsync in the second half of the reading, over that in the first."""
        found = self.reading
        middle = next((s for s in found if 2 * s.rows >= found[0].rows + found[-1].rows), None)
        if middle is None or middle in (found[0], found[-1]):
            return 1.0
        early, late = (
            (end.cpu_s - begin.cpu_s) / max(1, end.rows - begin.rows)
            for begin, end in ((found[0], middle), (middle, found[-1]))
        )
        return late / early


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


def new_reader(dsn: str, cars: int, page_size: int) -> ReaderProcess:
    """Return who reads cars of the feed."""
    first = (FIRST_PAGE_MARK + 1) * page_size
    middle = first + cars // 2
    return ReaderProcess(dsn, cars, first, (str(middle), str(middle + 100)))


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
    reader = new_reader(dsn, rows, given.page_size)
    idle = reader.read_for(BASELINE_S)
    samples: list[Sample] = []
    end = threading.Event()
    with (
        slim_feed(rows, given.page_size, RUNS[name], given.port) as base_url,
        ServerWatch(server, dsn) as watch,
    ):
        began_s = time.monotonic()
        process = sync(base_url, dsn, state, given)
        args = (process.pid, state, samples, end)
        sampler = threading.Thread(target=watch_client, args=args, daemon=True)
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
        samples=samples,
        checkpoint_bytes=sum(path.stat().st_size for path in state.glob("*.json")),
        idle=idle,
        merging=heard[0] if heard else Readers(),
        load=os.getloadavg()[2],
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
    "| rows | run | client µs/row | late/early | server µs/row | wall s | RSS MB | PSS MB "
    "| grows MB | merge s "
    "| readers ms: idle p50/p99/max | during the merge | temp MB | WAL MB | checkpoint KB |"
)


def line(m: Measured) -> str:
    """Return a line of the table."""
    server = m.server
    rss, pss = max(s.rss_mb for s in m.samples), max(s.pss_mb for s in m.samples)
    readers = (f"{r.p50:.1f} / {r.p99:.1f} / {r.slowest:.0f}" for r in (m.idle, m.merging))
    return (
        f"| {m.rows:,} | {m.name} | {m.us(m.client_cpu_s):.1f} | {m.late_over_early:.2f} "
        f"| {m.us(server.cpu_s):.1f} "
        f"| {m.wall_s:.0f} | {rss:.0f} | {pss:.0f} | {m.rss_growth_mb:+.0f} | {server.merge_s:.1f} "
        f"| {' | '.join(readers)} | {server.temp_bytes / 1e6:,.0f} "
        f"| {server.wal_bytes / 1e6:,.0f} | {m.checkpoint_bytes / 1e3:.1f} |"
    )


DISK_HEAD = (
    "| rows | run | target | staging and ledger | carsync.changes | temp files, most at once "
    "| temp files written | WAL written | pg_wal, most at once | all of it, most at once |"
)


def disk_line(m: Measured) -> str:
    """Return a line of the table of disk, in MB."""
    server = m.server
    tables = server.tables
    target = sum(size for name, size in tables.items() if name.startswith("public."))
    staging = sum(tables.get(f"carsync.{name}", 0) for name in ("staging", "seen", "ledger"))
    sizes = [target, staging, tables.get("carsync.changes", 0), server.temp_peak]
    sizes += [server.temp_bytes, server.wal_bytes, server.wal_kept_peak]
    sizes += [server.data_peak + server.wal_kept_peak + server.temp_peak]
    words = " | ".join(f"{size / 1e6:,.0f}" for size in sizes)
    return f"| {m.rows:,} | {m.name} | {words} |"


def tell(found: list[Measured]) -> None:
    """Print the tables, and how the cost of a row of each run compares with the smallest size's."""
    for head, each in ((HEAD, line), (DISK_HEAD, disk_line)):
        print(head, "|---" * (head.count("|") - 1) + "|", *map(each, found), "", sep="\n")
    smallest: dict[str, Measured] = {}
    for m in sorted(found, key=lambda m: m.rows):
        first = smallest.setdefault(m.name, m)
        if m is not first:
            client = m.us(m.client_cpu_s) / first.us(first.client_cpu_s)
            server = m.us(m.server.cpu_s) / first.us(first.server.cpu_s)
            print(
                f"{m.name}: a row of {m.rows:,} costs carsync × {client:.2f} and the server "
                f"× {server:.2f} of one of {first.rows:,}"
            )
    if found:
        print(f"load average of 15 minutes: {', '.join(f'{m.load:.1f}' for m in found)}")


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


_decode = msgspec.json.Decoder(list[Measured]).decode


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", default="1000000", help="sizes, with commas between")
    parser.add_argument("--page-size", type=int, default=1000, choices=(100, 1000))
    parser.add_argument("--method", default="copy", choices=("copy", "execute_values"))
    parser.add_argument("--runs", default=",".join(RUNS))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--pg", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--port", type=int, default=8919, help="where the feed is served")
    parser.add_argument("--folder", type=Path, help="where the database lies (a temporary one)")
    parser.add_argument("--json", type=Path, help="keep all figures there")
    parser.add_argument("--show", type=Path, nargs="+", help="print the table of such files")
    given = parser.parse_args()
    if given.show:
        shown = [m for path in given.show for m in _decode(path.read_bytes())]
        tell(sorted(shown, key=lambda m: (list(RUNS).index(m.name), m.rows)))
        return
    own = dict(each.split("=", 1) for each in given.pg)
    found: list[Measured] = []
    for rows in map(int, given.rows.replace("_", "").split(",")):
        with tempfile.TemporaryDirectory(dir=given.folder, prefix="carsync-scale-") as folder:
            Path(folder).chmod(0o755)
            with running(Path(folder) / "pg", {**SETTINGS, **own}) as server:
                dsn = new_database(server.dsn, "scale")
                for name in given.runs.split(","):
                    found.append(measure(server, dsn, name, rows, Path(folder) / "state", given))
                    tell_more(found[-1])
                    if given.json:
                        given.json.write_bytes(msgspec.json.encode(found))
    tell(found)


if __name__ == "__main__":
    main()
