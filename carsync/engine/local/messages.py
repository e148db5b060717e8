"""What passes over the pipes of the local engine beside leases and events."""

from __future__ import annotations

import math
from dataclasses import dataclass

from carsync.config.sections import Config, Database
from carsync.engine.messages import Lease
from carsync.model import Column
from carsync.redaction import Secret


@dataclass(frozen=True, slots=True)
class FetcherArgs:
    """All that a fetcher needs at its start; secrets travel nowhere else."""

    config: Config
    threads: int
    parent_pid: int


@dataclass(frozen=True, slots=True)
class WriterArgs:
    """All that a writer needs at its start; the API's `key`, so that no reject keeps it."""

    database: Database
    run_id: int
    token: str
    columns: tuple[Column, ...]
    parent_pid: int
    key: Secret | None = None


@dataclass(frozen=True, slots=True)
class Leases:
    """Parent to fetcher: work."""

    leases: tuple[Lease, ...]


@dataclass(frozen=True, slots=True)
class Drain:
    """Parent to worker: finish what is in hand, and on the queue, then end."""


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """Worker to parent: booted, connected, working."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Worker to parent, sent by the working loop: it turned over just now.

    `overdue_s`: how far the slowest thread is past the end of its step; negative when none is.
    """

    overdue_s: float = -math.inf
