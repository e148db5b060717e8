"""What passes over the pipes of the local engine beside leases and events."""

from __future__ import annotations

import math

from msgspec import Struct

from carsync.config.sections import Config, Database
from carsync.engine.messages import Lease
from carsync.model import Column
from carsync.redaction import Secret


class FetcherArgs(Struct, frozen=True):
    """All that a fetcher needs at its start; secrets travel nowhere else."""

    config: Config
    threads: int
    parent_pid: int


class WriterArgs(Struct, frozen=True):
    """All that a writer needs at its start; the API's `secrets`, so that no reject keeps one.

    `tombstone_columns` are those of `api.removals`; empty where none are read.
    """

    database: Database
    run_id: int
    token: str
    columns: tuple[Column, ...]
    parent_pid: int
    secrets: tuple[Secret, ...] = ()
    tombstone_columns: tuple[Column, ...] = ()


class Leases(Struct, frozen=True):
    """Parent to fetcher: work."""

    leases: tuple[Lease, ...]


class Drain(Struct, frozen=True):
    """Parent to worker: finish what is in hand, and on the queue, then end."""


class WorkerReady(Struct, frozen=True):
    """Worker to parent: booted, connected, working."""


class Heartbeat(Struct, frozen=True):
    """Worker to parent, sent by the working loop: it turned over just now.

    `overdue_s`: how far the slowest thread is past the end of its step; negative when none is.
    """

    overdue_s: float = -math.inf
