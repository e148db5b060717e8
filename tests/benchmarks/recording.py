"""What it costs a merge to record what it changes, beside the same merge that records nothing.

    python -m tests.benchmarks.recording [--rounds 3] [--cars 100000]

Merges into fresh tables of an embedded PostgreSQL, in every round with and without recording,
in turns: a first load, then 1 %, 10 % and all of the cars changed. Prints medians of the
ratios of each round, and the bytes of WAL and of `carsync.changes`.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from contextlib import closing
from statistics import median
from typing import NamedTuple

from psycopg2.sql import SQL

from carsync.demo.postgres import temporary
from carsync.destination import merge, migrations, staging
from carsync.postgres import connection, sql
from carsync.postgres.wait import Connection
from carsync.redaction import Secret
from tests.support.merge_rig import TARGET, Rig, car, page

PAGE_ROWS = 5000
SHARES = {"first load": 1.0, "1 % changed": 0.01, "10 % changed": 0.1, "all changed": 1.0}


class Measured(NamedTuple):
    """Seconds of one merge and the bytes of WAL that it wrote."""

    seconds: float
    wal_bytes: float


def ask(conn: Connection, query: str) -> float:
    """Return the one number that a query gives."""
    (value,) = sql.fetch(conn, "measuring", SQL(query))[0]
    return float(value)


def measure(conn: Connection, cars: int, changed: int, version: str, records: bool) -> Measured:
    """Merge a feed of which the first `changed` cars have `version`, the others none."""
    rig = Rig(conn)
    rig.begin()
    starts = range(0, cars, PAGE_ROWS)
    for number, start in enumerate(starts, start=1):
        ids = range(start, min(cars, start + PAGE_ROWS))
        rows = [car(str(i), version if i < changed else "") for i in ids]
        rig.stage(page(number, rows), method="copy")
    with conn.cursor() as cur:
        cur.execute("CHECKPOINT")
    wal = ask(conn, "SELECT pg_current_wal_insert_lsn() - '0/0'")
    started_s = time.perf_counter()
    merge.merge(conn, rig.request(len(starts), records=records))
    seconds = time.perf_counter() - started_s
    wal = ask(conn, "SELECT pg_current_wal_insert_lsn() - '0/0'") - wal
    staging.drop(conn, rig.run.run_id)
    return Measured(seconds, wal)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cars", type=int, default=100_000)
    options = parser.parse_args()
    found: dict[tuple[str, bool], list[Measured]] = defaultdict(list)
    size = 0.0
    with temporary({}) as server:
        for number in range(options.rounds):
            for records in (True, False) if number % 2 else (False, True):
                with closing(
                    connection.connect(Secret(server.dsn), application_name="recording")
                ) as conn:
                    with conn.cursor() as cur:
                        cur.execute(
                            "DROP TABLE IF EXISTS cars; DROP SCHEMA IF EXISTS carsync CASCADE"
                        )
                    migrations.migrate(conn, TARGET, ())
                    for version, (name, share) in enumerate(SHARES.items()):
                        changed = round(share * options.cars) if version else 0
                        measured = measure(conn, options.cars, changed, str(version), records)
                        found[name, records].append(measured)
                    if records:
                        size = ask(conn, "SELECT pg_total_relation_size('carsync.changes')")
    for name in SHARES:
        with_it, without = found[name, True], found[name, False]
        ratio = median(a.seconds / b.seconds for a, b in zip(with_it, without, strict=True))
        wal = median(a.wal_bytes / b.wal_bytes for a, b in zip(with_it, without, strict=True))
        extra = median(a.seconds - b.seconds for a, b in zip(with_it, without, strict=True))
        print(f"{name:<14} time × {ratio:.2f} ({extra:+.2f} s)   WAL × {wal:.2f}")
    print(f"carsync.changes after all: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
