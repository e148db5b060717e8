"""What `carsync check` sees of a cluster: plain records, which cross processes as JSON does."""

from __future__ import annotations

from msgspec import Struct


class CertificateView(Struct, frozen=True):
    """A certificate of the cluster: why it is refused, or its days; an expired one has none."""

    error: str = ""
    days_left: float = 0.0


class ApiView(Struct, frozen=True):
    """One request to the API: how it ended, in words, and what helps where it failed."""

    error: str = ""
    hint: str = ""
    took_s: float = 0.0


class DatabaseView(Struct, frozen=True):
    """A database as a role sees it; `place` is the same for all who look at the same one.

    `may_stage`: the role may write into tables that the run's own role makes. `free`
    connections are left.
    """

    error: str = ""
    hint: str = ""
    role: str = ""
    place: tuple[int, float] = (0, 0.0)
    may_stage: bool = True
    free: int = 0


class Examined(Struct, frozen=True):
    """What a worker says of itself; `fault` where it did not answer. None: not asked.

    `skew_s` is its wall clock less ours, known within `within_s`.
    """

    fault: str = ""
    skew_s: float = 0.0
    within_s: float = 0.0
    api: ApiView | None = None
    database: DatabaseView | None = None
    certificate: CertificateView | None = None


class WorkerView(Struct, frozen=True):
    """A worker process; `misfit` says why it takes no lease of the feed, empty where it does.

    `is_others`: it works for other feeds or labels. `service` names the `carsync worker` that it
    is of.
    """

    name: str
    address: str
    threads: int
    misfit: str = ""
    is_others: bool = False

    @property
    def service(self) -> str:
        """The name without the number of the process.

        >>> WorkerView("host1-4711-2", "tls://10.0.0.7:4000", 16).service
        'host1-4711'
        """
        return self.name.rpartition("-")[0] or self.name


class SchedulerView(Struct, frozen=True):
    """The scheduler: its versions, its settings, and whether a run of the feed is at work.

    `versions` are of carsync, distributed and Python; carsync's is empty where it lacks it.
    Settings are None where it could not be asked.
    """

    versions: dict[str, str]
    took_s: float = 0.0
    allowed_failures: int | None = None
    worker_ttl_s: float | None = None
    is_busy: bool = False
