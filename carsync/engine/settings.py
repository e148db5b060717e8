"""What the parent tells a child at its start, over a private pipe; secrets travel nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

from carsync.config.sections import Config, Database, Secret
from carsync.model import Column


@dataclass(frozen=True, slots=True)
class FetcherSettings:
    """All that a fetcher needs."""

    config: Config
    preset_text: str | None
    threads: int
    parent_pid: int


@dataclass(frozen=True, slots=True)
class WriterSettings:
    """All that a writer needs; the API's `key`, so that no reject keeps it."""

    database: Database
    run_id: int
    token: str
    columns: tuple[Column, ...]
    parent_pid: int
    key: Secret | None = None
