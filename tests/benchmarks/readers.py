"""Readers of the table while 200,000 changed rows are merged: how long do they wait?

    python -m tests.benchmarks.readers [--cars 200000]

An embedded PostgreSQL; every row of the table changes. A probe in a process of its own
reads one car by its id and counts a range of ids, every few milliseconds, before the
merge (its baseline) and during it. Prints percentiles and the slowest read of each.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from contextlib import closing
from multiprocessing.connection import Connection as Pipe

import msgspec
import psycopg2

from carsync.demo.postgres import temporary
from carsync.destination import merge, migrations
from carsync.postgres import connection
from carsync.redaction import Secret
from tests.support.merge_rig import TARGET, Rig, cars, page

PAUSE_S = 0.004
BASELINE_S = 10.0
PAGE_ROWS = 1000
SPAN = ("5", "5001")


def probe(dsn: str, count: int, pipe: Pipe, first: int, span: tuple[str, str]) -> None:
    """Read until told to end, then send the latencies.

    The ids are `count` numbers from `first` on; about a hundred lie within `span`, as texts.
    """
    taken: list[float] = []
    with closing(psycopg2.connect(dsn, application_name="reader")) as conn, conn.cursor() as cur:
        conn.autocommit = True
        pipe.send("ready")
        number = 0
        while not pipe.poll(0):
            number = (number + 7919) % count
            one = (str(first + number),)
            began_s = time.perf_counter()
            cur.execute("SELECT data_hash, is_active FROM public.cars WHERE id = %s", one)
            cur.fetchall()
            cur.execute("SELECT count(*) FROM public.cars WHERE id BETWEEN %s AND %s", span)
            cur.fetchall()
            taken.append(time.perf_counter() - began_s)
            time.sleep(PAUSE_S)
    pipe.send(taken)


class Readers(msgspec.Struct):
    """Milliseconds that reads of the table took."""

    reads: int = 0
    p50: float = 0.0
    p99: float = 0.0
    slowest: float = 0.0

    def __str__(self) -> str:
        return f"p50 {self.p50:.2f}, p99 {self.p99:.2f}, max {self.slowest:.1f}"


class ReaderProcess:
    """Reads the table from a process of its own, from `start` until `stop`."""

    def __init__(self, dsn: str, count: int, first: int = 0, span: tuple[str, str] = SPAN) -> None:
        self._args = (dsn, count, first, span)

    def start(self) -> None:
        """Begin to read; return once it is under way."""
        context = multiprocessing.get_context("spawn")
        dsn, count, first, span = self._args
        self._ours, theirs = context.Pipe()
        args = (dsn, count, theirs, first, span)
        self._process = context.Process(target=probe, args=args, daemon=True)
        self._process.start()
        self._ours.recv()

    def stop(self) -> Readers:
        """End it, and return what it measured."""
        self._ours.send("end")
        times = sorted(1000 * taken for taken in self._ours.recv())
        self._process.join(10)
        if not times:
            return Readers()
        return Readers(len(times), times[len(times) // 2], times[len(times) * 99 // 100], times[-1])

    def read_for(self, seconds: float) -> Readers:
        """Read for so long."""
        self.start()
        time.sleep(seconds)
        return self.stop()


def stage(rig: Rig, count: int, version: str) -> int:
    """Stage all cars and return the number of pages."""
    rig.begin()
    starts = range(0, count, PAGE_ROWS)
    for number, start in enumerate(starts, start=1):
        rig.stage(page(number, cars(range(start, min(start + PAGE_ROWS, count)), version)))
    return len(starts)


def main() -> None:
    """Measure once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cars", type=int, default=200_000)
    count = parser.parse_args().cars
    with (
        temporary() as server,
        closing(connection.connect(Secret(server.dsn), application_name="readers")) as conn,
    ):
        migrations.migrate(conn, TARGET, ())
        rig = Rig(conn)
        pages = stage(rig, count, "a")
        merge.merge(conn, rig.request(pages))
        with conn.cursor() as cur:
            cur.execute("VACUUM ANALYZE public.cars")
        stage(rig, count, "b")
        reader = ReaderProcess(server.dsn, count)
        idle = reader.read_for(BASELINE_S)
        reader.start()
        began_s = time.monotonic()
        counts = merge.merge(conn, rig.request(pages))
        merge_s = time.monotonic() - began_s
        merging = reader.stop()
    print(f"{counts.updated:,} rows updated in {merge_s:.1f} s")
    for name, readers in (("baseline", idle), ("merging", merging)):
        print(f"{name:9} {readers.reads:6,} reads, in ms: {readers}")
    print(f"slowest read over the baseline's: {merging.slowest - idle.slowest:+.1f} ms")


if __name__ == "__main__":
    main()
