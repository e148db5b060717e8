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
from collections.abc import Iterable
from contextlib import closing
from multiprocessing.connection import Connection as Pipe

import psycopg2

from carsync.demo.postgres import temporary
from carsync.destination import merge, migrations
from carsync.postgres import connection
from carsync.redaction import Secret
from tests.support.merge_rig import TARGET, Rig, cars, page

PAUSE_S = 0.004
BASELINE_S = 10.0
PAGE_ROWS = 1000


def probe(
    dsn: str, count: int, pipe: Pipe, first: int = 0, span: tuple[str, str] = ("5", "5001")
) -> None:
    """Read until told to end; send the latencies of each phase when the word changes.

    The ids are `count` numbers from `first` on; about a hundred lie within `span`, as texts.
    """
    with closing(psycopg2.connect(dsn, application_name="reader")) as conn, conn.cursor() as cur:
        conn.autocommit = True
        word = ""
        while word != "end":
            taken: list[float] = []
            number = 0
            while not pipe.poll(0):
                number = (number + 7919) % count
                began_s = time.perf_counter()
                cur.execute(
                    "SELECT data_hash, is_active FROM public.cars WHERE id = %s",
                    (str(first + number),),
                )
                cur.fetchall()
                cur.execute("SELECT count(*) FROM public.cars WHERE id BETWEEN %s AND %s", span)
                cur.fetchall()
                taken.append(time.perf_counter() - began_s)
                time.sleep(PAUSE_S)
            word = pipe.recv()
            pipe.send(taken)


def stage(rig: Rig, count: int, version: str) -> int:
    """Stage all cars and return the number of pages."""
    rig.begin()
    starts = range(0, count, PAGE_ROWS)
    for number, start in enumerate(starts, start=1):
        rig.stage(page(number, cars(range(start, min(start + PAGE_ROWS, count)), version)))
    return len(starts)


def describe(name: str, taken: Iterable[float]) -> float:
    """Print the figures of a phase and return the slowest read in ms."""
    times = sorted(1000 * t for t in taken)
    p50, p99 = times[len(times) // 2], times[len(times) * 99 // 100]
    print(
        f"{name:9} {len(times):6,} reads, in ms: p50 {p50:.2f}, p99 {p99:.2f}, max {times[-1]:.1f}"
    )
    return times[-1]


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
        ours, theirs = multiprocessing.get_context("spawn").Pipe()
        reader = multiprocessing.get_context("spawn").Process(
            target=probe, args=(server.dsn, count, theirs)
        )
        reader.start()
        time.sleep(BASELINE_S)
        ours.send("merge")
        baseline = ours.recv()
        began_s = time.monotonic()
        counts = merge.merge(conn, rig.request(pages))
        merge_s = time.monotonic() - began_s
        ours.send("end")
        during = ours.recv()
        reader.join(10)
    print(f"{counts.updated:,} rows updated in {merge_s:.1f} s")
    before_ms = describe("baseline", baseline)
    during_ms = describe("merging", during)
    print(f"slowest read over the baseline's: {during_ms - before_ms:+.1f} ms")


if __name__ == "__main__":
    main()
