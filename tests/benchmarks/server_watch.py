"""What a run costs a PostgreSQL server, seen from beside it: CPU, WAL, temp files, disk, locks."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import psutil
import psycopg2

from carsync.demo.postgres import EmbeddedPostgres
from tests.support.folders import ROOT

EVERY_S = 0.1
DISK_EVERY_S = 1.0
STATEMENT_MS = 100
SHORTEST = 16
"""A beginning of a statement that is no longer than that names none."""

SETTINGS = {
    "shared_buffers": "1GB",
    "effective_cache_size": "3GB",
    "max_wal_size": "4GB",
    "random_page_cost": "1.1",
    "log_min_duration_statement": str(STATEMENT_MS),
    "log_line_prefix": "%a|",
    "log_checkpoints": "off",
}
"""A server of two cores with 1 GB of shared_buffers; all else is as PostgreSQL comes."""

_LOCKS = """
SELECT a.application_name, coalesce(n.nspname || '.' || c.relname, l.locktype), l.mode, l.granted
FROM pg_locks AS l
JOIN pg_stat_activity AS a USING (pid)
LEFT JOIN pg_class AS c ON c.oid = l.relation AND l.database = (
    SELECT oid FROM pg_database WHERE datname = current_database())
LEFT JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
  AND (NOT l.granted OR l.mode NOT IN ('AccessShareLock', 'ExclusiveLock'))
  AND coalesce(n.nspname, '') NOT IN ('pg_catalog', 'pg_toast')
"""
_SIZES = """
SELECT n.nspname || '.' || regexp_replace(c.relname, '_[0-9]+$', ''), pg_total_relation_size(c.oid)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname IN ('carsync', 'public')
"""
_COUNTERS = """
SELECT temp_files, temp_bytes, pg_current_wal_insert_lsn() - '0/0'
FROM pg_stat_database WHERE datname = current_database()
"""
_LOGGED = re.compile(r"(?:^|\n)([^\n|]*)\|LOG:  duration: ([0-9.]+) ms  statement: ")


class Held(msgspec.Struct):
    """A lock as it was sampled: how often a session got it, and for how long in all."""

    seconds: float = 0.0
    waited_s: float = 0.0


class ServerCost(msgspec.Struct):
    """What a run cost the server; sizes in bytes."""

    cpu_s: float
    temp_files: int
    temp_bytes: int
    wal_bytes: int
    wal_kept_peak: int
    temp_peak: int
    data_peak: int
    merge_s: float
    tables: dict[str, int]
    locks: dict[str, Held]
    statements: list[tuple[float, str]]


def cpu_s(server: EmbeddedPostgres) -> float:
    """Return the CPU seconds of the server's processes, those that have ended included."""
    main = psutil.Process(int((server.folder / "data/postmaster.pid").read_text().split()[0]))
    own = main.cpu_times()
    total = own.user + own.system + own.children_user + own.children_system
    for child in main.children():
        with contextlib.suppress(psutil.Error):
            times = child.cpu_times()
            total += times.user + times.system
    return float(total)


class ServerWatch:
    """Samples a server from a thread, as a context manager around a run; then `cost` has it all."""

    def __init__(self, server: EmbeddedPostgres, dsn: str) -> None:
        self._server, self._dsn = server, dsn
        self._end = threading.Event()
        self.merging = threading.Event()
        """The merge has begun: the run's staging table is locked."""
        self.merged = threading.Event()
        """The merge has ended."""
        self._locks: dict[str, Held] = defaultdict(Held)
        self._tables: dict[str, int] = {}
        self._peaks = {"pg_wal": 0, "pgsql_tmp": 0, "data": 0}
        self._merge_s = self._own_cpu_s = 0.0
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> ServerWatch:
        log = self._server.folder / "log"
        self._log_from = log.stat().st_size
        self._before = self._counters()
        self._cpu_s = cpu_s(self._server)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def cost(self) -> ServerCost:
        """Return what was seen; the run has ended."""
        time.sleep(1.5)  # sessions that end tell their statistics
        after = self._counters()
        files, size, wal = (now - then for now, then in zip(after, self._before, strict=True))
        with (self._server.folder / "log").open(encoding="utf-8", errors="replace") as log:
            log.seek(self._log_from)
            statements = find_statements(log.read())
        return ServerCost(
            cpu_s=cpu_s(self._server) - self._cpu_s - self._own_cpu_s,
            temp_files=files,
            temp_bytes=size,
            wal_bytes=wal,
            wal_kept_peak=self._peaks["pg_wal"],
            temp_peak=self._peaks["pgsql_tmp"],
            data_peak=self._peaks["data"],
            merge_s=self._merge_s,
            tables=self._tables,
            locks=dict(self._locks),
            statements=statements,
        )

    def _counters(self) -> tuple[int, int, int]:
        with closing(psycopg2.connect(self._dsn)) as conn, conn.cursor() as cur:
            cur.execute(_COUNTERS)
            files, size, wal = cur.fetchone() or (0, 0, 0)
        return int(files), int(size), int(wal)

    def _watch(self) -> None:
        with closing(psycopg2.connect(self._dsn, application_name="watch")) as conn:
            conn.autocommit = True
            own = psutil.Process(conn.info.backend_pid)
            with conn.cursor() as cur:
                last_s = looked_s = time.monotonic()
                while not self._end.wait(EVERY_S):
                    now_s = time.monotonic()
                    self._sample_locks(cur, now_s - last_s)
                    last_s = now_s
                    if now_s - looked_s >= DISK_EVERY_S:
                        looked_s = now_s
                        self._sample_disk(cur)
            times = own.cpu_times()
            self._own_cpu_s = times.user + times.system

    def _sample_locks(self, cur: Any, passed_s: float) -> None:
        cur.execute(_LOCKS)
        is_merging = False
        for name, relation, mode, granted in cur.fetchall():
            relation = re.sub(r"_[0-9]+$", "", relation)
            name = re.sub(r" run [0-9]+$", "", name)
            is_merging |= relation == "carsync.staging" and mode == "ShareLock"
            held = self._locks[f"{name}: {relation} {mode}"]
            held.seconds += passed_s if granted else 0.0
            held.waited_s += 0.0 if granted else passed_s
        if is_merging:
            self._merge_s += passed_s
            self.merging.set()
        elif self.merging.is_set():
            self.merged.set()

    def _sample_disk(self, cur: Any) -> None:
        cur.execute(_SIZES)
        for name, size in cur.fetchall():
            self._tables[name] = max(size or 0, self._tables.get(name, 0))
        found = {"pg_wal": 0, "pgsql_tmp": 0, "data": 0}
        for path in (self._server.folder / "data").rglob("*"):
            kind = next((part for part in path.parts if part in found and part != "data"), "data")
            with contextlib.suppress(OSError):
                stat = path.lstat()
                found[kind] += 0 if path.is_dir() else 512 * stat.st_blocks
        self._peaks = {kind: max(size, self._peaks[kind]) for kind, size in found.items()}


def find_statements(log: str) -> list[tuple[float, str]]:
    """Return the seconds and the names of carsync's own long statements, in order.

    Those of its writers, which stage pages, are none of them.
    """
    names = statement_names()
    statements = []
    for match in _LOGGED.finditer(log):
        name, took_ms = match[1], match[2]
        if name != "carsync":
            continue
        text = log[match.end() : match.end() + 200]
        known = next((names[begin] for begin in names if text.startswith(begin)), None)
        first = text.splitlines()[0][:60]
        statements.append((float(took_ms) / 1000, known or first))
    return statements


def statement_names() -> dict[str, str]:
    """Return the names of carsync's statements by how they begin, the longest beginnings first."""
    folder: Path = ROOT / "carsync/sql"
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*/*.sql")):
        first = path.read_text(encoding="utf-8").strip().splitlines()[0]
        begin = re.split(r"[{%]", first)[0]
        if len(begin) > SHORTEST:
            found.setdefault(begin, str(path.relative_to(folder).with_suffix("")))
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))
