"""What a program costs beside a PostgreSQL of its own: time, processors, memory, WAL."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg2

from carsync.exit_codes import ExitCode
from tests.support.folders import ROOT

SAMPLE_S = 0.4
"""Memory is looked at this often; looking takes a millisecond a process."""


@dataclass(frozen=True)
class Measured:
    """One run of one program.

    Wall seconds, CPU seconds of the program's processes and of the server's, bytes of WAL, and
    the highest sums of resident (`rss_mb`) and of proportional memory (`pss_mb`) over the
    program's processes.
    """

    wall_s: float
    client_s: float
    server_s: float
    wal_bytes: int
    rss_mb: float
    pss_mb: float

    @property
    def cpu_s(self) -> float:
        """CPU seconds of all processes, the server's included."""
        return self.client_s + self.server_s


def measure(command: Sequence[str], environ: Mapping[str, str], dsn: str) -> Measured:
    """Run a program once against the database `dsn`, in whose server nobody else is at work."""
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("VACUUM (ANALYZE) public.cars")  # or autovacuum would, some time
        cursor.execute("CHECKPOINT")
        cursor.execute("SELECT pg_current_wal_insert_lsn(), current_setting('data_directory')")
        before, folder = cursor.fetchone() or ("", "")
        server = psutil.Process(int((Path(folder) / "postmaster.pid").read_text().split()[0]))
        server_s, client_s = _tree_cpu_s(server), _reaped_cpu_s()
        started = time.monotonic()
        rss_mb, pss_mb = _run(command, {**os.environ, **environ})
        wall_s = time.monotonic() - started
        client_s, server_s = _reaped_cpu_s() - client_s, _tree_cpu_s(server) - server_s
        cursor.execute("SELECT pg_current_wal_insert_lsn() - %s", (before,))
        (wal,) = cursor.fetchone() or (0,)
    return Measured(wall_s, client_s, server_s, int(wal), rss_mb, pss_mb)


def _run(command: Sequence[str], environ: Mapping[str, str]) -> tuple[float, float]:
    """Run a program to its end; return the peaks of summed RSS and PSS in MB."""
    rss_mb = pss_mb = 0.0
    done = subprocess.Popen(command, env=environ, cwd=ROOT, stdout=subprocess.DEVNULL)
    root = psutil.Process(done.pid)
    while True:
        with suppress(psutil.Error):
            sizes = [_memory_mb(p.pid) for p in [root, *root.children(recursive=True)]]
            rss_mb = max(rss_mb, sum(rss for rss, _ in sizes))
            pss_mb = max(pss_mb, sum(pss for _, pss in sizes))
        with suppress(subprocess.TimeoutExpired):
            code = done.wait(SAMPLE_S)
            break
    if code not in {0, ExitCode.ACCEPTANCE}:  # a busy machine misses the acceptance checks
        raise subprocess.CalledProcessError(code, command)
    return rss_mb, pss_mb


def _memory_mb(pid: int) -> tuple[float, float]:
    """Return a process's RSS and PSS (proc(5), smaps_rollup); nothing where it is gone."""
    found = {"Rss": 0.0, "Pss": 0.0}
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            name, _, size = line.partition(":")
            if name in found:
                found[name] = int(size.split()[0]) * 1024 / 1e6
    return found["Rss"], found["Pss"]


def _reaped_cpu_s() -> float:
    """Return the CPU seconds of all processes that have ended under this one."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _tree_cpu_s(root: psutil.Process) -> float:
    """Return the CPU seconds of a process and of all that it has, or had, under it."""
    total = sum(root.cpu_times()[:4])
    for process in root.children():
        with suppress(psutil.Error):
            total += sum(process.cpu_times()[:2])
    return float(total)


def new_database(server: str, name: str) -> str:
    """Create a database with the target table and return its connection string."""
    with closing(psycopg2.connect(server)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {name}")
            cursor.execute(f"CREATE DATABASE {name}")
    dsn = psycopg2.extensions.make_dsn(server, dbname=name)
    command = [str(Path(sys.executable).parent / "carsync"), "migrate"]
    subprocess.run(
        command, check=True, env={**os.environ, "DATABASE_URL": dsn}, stdout=subprocess.DEVNULL
    )
    return dsn
