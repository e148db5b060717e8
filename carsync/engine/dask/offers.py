"""What a worker can read, and whether that is the very feed that a run reads.

Equal offers have the same resource's name, and the scheduler gives a lease to workers with this
resource alone. So a worker of another version, or with another mapping, never gets one.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version

import msgspec
import xxhash
from msgspec import Struct, field

from carsync import __version__
from carsync.engine.base import GivenFeed

EXTRA = "carsync"
"""Under this name a worker tells the scheduler its offers."""


def versions() -> dict[str, str]:
    """Return what must be the same in all processes: what crosses the cluster is pickled."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {"carsync": __version__, "distributed": version("distributed"), "python": python}


def other_versions(ours: Mapping[str, str], theirs: Mapping[str, str]) -> str:
    """Say which version of another process is not this run's; empty: none.

    >>> other_versions({"carsync": "2.0"}, {"carsync": "1.0"})
    'it has carsync 1.0, the run 2.0'
    """
    for name, wanted in ours.items():
        if theirs.get(name) != wanted:
            return f"it has {name} {theirs.get(name, 'of an unknown version')}, the run {wanted}"
    return ""


class Offer(Struct, frozen=True):
    """One feed's configuration, without secrets, and the versions that read it.

    `feed` and `mapping` are the fingerprints of a run, `record` is one of `api.record`: which
    answer means that a car is gone.
    """

    source: str
    table: str
    feed: str
    mapping: str
    labels: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=versions)
    record: str = ""

    @classmethod
    def of(cls, given: GivenFeed, labels: tuple[str, ...] = ()) -> Offer:
        """Return the offer of a configuration."""
        config, prints = given.config, given.prints
        feed = (config.sync.source, str(config.target), prints["feed"], prints["mapping"])
        return cls(*feed, labels, record=_digest(config.api.record))

    @property
    def place(self) -> str:
        """The table and the source that it writes: one run at a time is about it."""
        return f"{self.table}/{self.source}"

    @property
    def resources(self) -> list[str]:
        """The names of the resources that a worker with this offer has, one for each label."""
        return [self.resource(label) for label in (None, *self.labels)]

    def resource(self, label: str | None) -> str:
        """Return the name of the resource that a lease of a feed with `label` needs."""
        same = (self.source, self.table, self.feed, self.mapping, self.record)
        return f"carsync {self.source} {_digest([*same, self.versions, label])}"

    def misfit(self, other: Offer, label: str | None) -> str:
        """Say why a worker with the offer `other` does not fit a run of this one; empty: it does.

        >>> a = Offer("external", "public.cars", "1", "2")
        >>> a.misfit(Offer("external", "public.cars", "1", "3"), None)
        'its mapping or hash differs'
        """
        if words := other_versions(self.versions, other.versions):
            return words
        if self.place != other.place:
            return f"it reads {other.place}"
        if self.feed != other.feed:
            return "its api.base_url, path, params, lists or pagination differ"
        if self.mapping != other.mapping:
            return "its mapping or hash differs"
        if self.record != other.record:
            return "its api.record differs"
        return "" if label is None or label in other.labels else f"it has no label {label}"


def offers_of(told: object) -> list[Offer]:
    """Return a worker's offers from what it told under `EXTRA`.

    What another version may tell, and nobody can read, is an offer that fits no run.
    """
    try:
        return msgspec.convert(told, list[Offer])
    except msgspec.ValidationError:
        return [Offer("", "", "", "", versions={})]


def _digest(value: object) -> str:
    return xxhash.xxh3_64_hexdigest(msgspec.json.encode(value, order="deterministic"))
