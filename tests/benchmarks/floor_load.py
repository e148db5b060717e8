"""The least that loading a feed can cost: what `tests.benchmarks.floor` measures carsync against.

    python -m tests.benchmarks.floor_load FOLDER DSN

Two processes: each reads half of the pre-gzipped pages of a folder, decompresses, decodes,
maps and hashes them with carsync's own functions, and sends them by one COPY over one connection
into one unlogged table. One UPDATE and one INSERT merge it. No HTTP, limiter, ledger, queue,
check, deactivation or resume.
"""

from __future__ import annotations

import io
import multiprocessing
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2

from carsync.config.parser import parse
from carsync.destination.stage_writer import copy_line
from carsync.mapping.mapper import Mapper, target_columns
from carsync.source.compression import gunzip

PROCESSES = 2
MAX_BYTES = 100_000_000
STAGED = "public.floor_staging"
CONFIG = parse("api: {base_url: http://localhost}", {})


class Lines(io.RawIOBase):
    """A file of the COPY lines of some pages, made while it is read."""

    def __init__(self, mapper: Mapper, paths: list[Path]) -> None:
        self._texts = self._map(mapper, paths)

    @staticmethod
    def _map(mapper: Mapper, paths: list[Path]) -> Iterator[bytes]:
        for path in paths:
            rows = mapper.map_page(gunzip(path.read_bytes(), MAX_BYTES)).rows
            yield "".join([copy_line(row[1:]) for row in rows]).encode()

    def read(self, _size: int = -1, /) -> bytes:
        """Return the lines of the next page, whatever size is asked for; nothing at the end."""
        return next(self._texts, b"")


def load(paths: list[Path], dsn: str) -> None:
    """Load these pages."""
    mapper = Mapper.load(CONFIG)
    names = ", ".join(f'"{column.name}"' for column in mapper.columns)
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.copy_expert(f"COPY {STAGED} ({names}) FROM STDIN", Lines(mapper, paths))


def merge(mapper: Mapper, dsn: str) -> None:
    """Write what is new or has changed."""
    constants = {column.name: value for column, value in mapper.constants}
    names = [column.name for column in target_columns(mapper)]
    parameters = [constants.get(name) for name in names if name in constants]
    values = [f"%s::{_type(mapper, n)}" if n in constants else f's."{n}"' for n in names]
    listed = ", ".join(f'"{name}"' for name in names)
    changed = ", ".join(f'"{n}" = {v}' for n, v in zip(names, values, strict=True))
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SET enable_nestloop = off")  # the planner takes the tables for small
        cursor.execute(
            f"UPDATE public.cars t SET {changed} FROM {STAGED} s "
            "WHERE t.id = s.id AND t.data_hash IS DISTINCT FROM s.data_hash",
            parameters,
        )
        cursor.execute(
            f"INSERT INTO public.cars ({listed}) SELECT {', '.join(values)} FROM {STAGED} s "
            "WHERE NOT EXISTS (SELECT FROM public.cars t WHERE t.id = s.id)",
            parameters,
        )
        cursor.execute(f"DROP TABLE {STAGED}")


def _type(mapper: Mapper, name: str) -> str:
    return next(column.type for column, _ in mapper.constants if column.name == name)


def main() -> None:
    """Load a folder's pages and merge them."""
    folder, dsn = sys.argv[1:]
    mapper = Mapper.load(CONFIG)
    columns = ", ".join(f'"{c.name}" {c.type}' for c in mapper.columns)
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {STAGED}")
        cursor.execute(
            f"CREATE UNLOGGED TABLE {STAGED} ({columns}) WITH (autovacuum_enabled = false)"
        )
    paths = sorted(Path(folder).glob("*.json.gz"))
    fork = multiprocessing.get_context("fork")  # nothing is imported twice
    workers = [
        fork.Process(target=load, args=(paths[number::PROCESSES], dsn))
        for number in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        sys.exit("a half was not loaded")
    merge(mapper, dsn)


if __name__ == "__main__":
    main()
