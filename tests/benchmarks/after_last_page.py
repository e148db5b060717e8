"""What a run asks of PostgreSQL: while pages arrive, and after the last one, by statement.

    python -m tests.benchmarks.after_last_page [--cars 200000] [--shuffled] [--slim]

Stages rows as wide as the preset's into an embedded PostgreSQL, then does what a sync does after
its last page: judge the values, decide over absent cars, merge, drop, analyze. Three runs: a
first load, the same cars again, the same with 1 % of them changed. Prints seconds and the
server's CPU seconds of staging and of all that follows, WAL, temporary files, and each statement
that took more than a hundredth of the run. Staging goes over one connection, so that its figures
are those of one core.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psutil
import psycopg2.extensions
from msgspec import Struct
from msgspec.structs import asdict
from psycopg2.sql import SQL, Composable, Literal

from carsync.deactivation import candidates
from carsync.demo.feed import Feed, FeedOptions
from carsync.demo.postgres import temporary
from carsync.destination import column_values, plausibility, staging
from carsync.destination.analyze import analyze_after
from carsync.mapping.mapper import Mapper
from carsync.model import MappedPage, MergeCounts, PageInfo, Row
from carsync.postgres import connection, sql
from carsync.postgres.wait import Connection
from carsync.redaction import Secret
from tests.support.mappers import PRESET
from tests.support.merge_rig import RecordRig

PAGE_ROWS = 100
BATCH_PAGES = 5
RUNS = {"first load": None, "unchanged": 0, "1 % changed": 100}
"""Every so many cars one is changed; 0: none is."""

statements: dict[str, tuple[int, float]] = {}
"""How often each statement was executed since the last `clear`, and for how many seconds."""


class TimedCursor(psycopg2.extensions.cursor):
    """Adds up what each statement takes."""

    def execute(self, query: Any, parameters: Any = None) -> None:
        began_s = time.perf_counter()
        super().execute(query, parameters)
        text = query.as_string(self) if isinstance(query, Composable) else query
        text = text.decode() if isinstance(text, bytes) else text
        name = " ".join(text.split())[:70]
        times, seconds = statements.get(name, (0, 0.0))
        statements[name] = (times + 1, seconds + time.perf_counter() - began_s)


class Ids(Struct, frozen=True):
    """The ids of `cars` cars as the feed lists them: by `stride` 1 in order, by a prime in none."""

    cars: int
    stride: int

    def part(self, start: int, stop: int) -> list[str]:
        """Return a part of them; ten million at once would take a gigabyte."""
        places = range(start, min(stop, self.cars))
        return [str(100_000_000 + place * self.stride % self.cars) for place in places]


def templates(mapper: Mapper, slim: bool) -> list[Row]:
    """Return mapped rows of simulated cars; a slim one has one picture instead of many."""
    feed = Feed(FeedOptions(cars=1000))
    body = feed.page_body(feed.at(0), 1, 1000)
    rows = mapper.map_page(body).rows
    at = [column.name for column in mapper.columns].index("images") + 1
    return [(*r[:at], '["1.jpg"]', *r[at + 1 :]) for r in rows] if slim else list(rows)


def pages(ids: Ids, rows: list[Row], version: str, every: int | None) -> Iterator[MappedPage]:
    """Give the pages of the cars; one of `every` so many has the `version`, the others none."""
    for start in range(0, ids.cars, PAGE_ROWS):
        content = []
        for ordinal, i in enumerate(ids.part(start, start + PAGE_ROWS)):
            values = rows[int(i) % len(rows)][3:-1]
            changed = version if every and int(i) % every == 0 else ""
            data_hash = f"{int(i) * 0x9E3779B97F4A7C15 % (1 << 128):032x}{changed}"
            content.append((ordinal, i, i, *values, data_hash))
        number = start // PAGE_ROWS + 1
        yield MappedPage(number, tuple(content), (), len(content), PageInfo(), 0.0)


class Meter:
    """Seconds, CPU seconds of the server's processes, bytes of WAL and of temporary files."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._postmaster = psutil.Process(conn.info.backend_pid).parent()
        self._last = self._read()

    def _read(self) -> tuple[float, ...]:
        assert self._postmaster is not None
        query = SQL(
            "SELECT pg_current_wal_insert_lsn() - '0/0', pg_stat_get_db_temp_bytes(oid)"
            " FROM pg_database WHERE datname = current_database()"
        )
        sql.fetch(self._conn, "measuring", SQL("SELECT pg_stat_force_next_flush()"))
        wal, temp = sql.fetch(self._conn, "measuring", query)[0]
        own = self._postmaster.cpu_times()
        cpu = own.user + own.system + own.children_user + own.children_system
        for child in self._postmaster.children():
            try:
                cpu += sum(child.cpu_times()[:2])
            except psutil.NoSuchProcess:
                continue
        return time.perf_counter(), cpu, float(wal), float(temp)

    def lap(self) -> str:
        """Say what was used since the last lap."""
        now = self._read()
        seconds, cpu, wal, temp = (b - a for a, b in zip(self._last, now, strict=True))
        self._last = now
        return (
            f"{seconds:7.2f} s  server CPU {cpu:7.2f} s  WAL {wal / 1e6:8.1f} MB"
            f"  temp {temp / 1e6:7.1f} MB"
        )


def finish(rig: RecordRig, is_first: bool) -> MergeCounts:
    """Do what a sync does after its last page."""
    conn, run = rig.conn, rig.run
    staging.count_records(conn, run.run_id)
    forecast = None if is_first else plausibility.foresee(conn, run, rig.mapper.defaults)
    column_values.gather(conn, run.run_id, forecast)
    candidates.plan_deactivation(conn, run, forecast, by_tombstones=True)
    counts = rig.merge("deactivate")
    analyze_after(conn, run.target, counts)
    return counts


def measure(conn: Connection, name: str, ids: Ids, rows: list[Row], mapper: Mapper) -> None:
    """Do one run and print what it took."""
    is_first, every = RUNS[name] is None, RUNS[name]
    rig = RecordRig(conn, mapper, "copy")
    with conn.cursor() as cur:
        cur.execute("VACUUM (ANALYZE) public.cars")  # or autovacuum would, some time
        cur.execute("CHECKPOINT")
    batch: list[MappedPage] = []
    meter, client_s = Meter(conn), 0.0
    for page in pages(ids, rows, name[0], every):
        batch.append(page)
        if len(batch) == BATCH_PAGES:
            began_s = time.process_time()
            rig.stager.stage(batch)
            client_s += time.process_time() - began_s
            batch.clear()
    if batch:
        rig.stager.stage(batch)
    rig.pages = -(-ids.cars // PAGE_ROWS)
    size = SQL("SELECT pg_total_relation_size('carsync.staging_{}')").format(
        Literal(rig.run.run_id)
    )
    mb = sql.fetch(conn, "measuring", size)[0][0] / 1e6
    print(f"\n{name}\n  staging     {meter.lap()}  client CPU {client_s:.2f} s, {mb:.0f} MB")
    statements.clear()
    counts = finish(rig, is_first)
    print(f"  after that  {meter.lap()}")
    print("  " + ", ".join(f"{n} {name}" for name, n in asdict(counts).items() if n))
    whole_s = sum(seconds for _, seconds in statements.values())
    for text, (times, seconds) in sorted(statements.items(), key=lambda kv: -kv[1][1]):
        if seconds > whole_s / 100:
            print(f"  {seconds:8.3f} s {times:4} ×  {text}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cars", type=int, default=200_000)
    parser.add_argument("--shuffled", action="store_true", help="ids come in no order")
    parser.add_argument("--slim", action="store_true", help="rows without many pictures")
    parser.add_argument("--set", action="append", default=[], help="a server setting, NAME=VALUE")
    options = parser.parse_args()
    mapper = PRESET
    rows = templates(mapper, options.slim)
    ids = Ids(options.cars, 7_368_787 if options.shuffled else 1)
    settings = dict(setting.split("=", 1) for setting in options.set)
    with (
        temporary(settings) as server,
        closing(connection.connect(Secret(server.dsn), application_name="bench")) as conn,
    ):
        conn.cursor_factory = TimedCursor
        for name in RUNS:
            measure(conn, name, ids, rows, mapper)


if __name__ == "__main__":
    main()
