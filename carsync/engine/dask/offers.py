"""What a worker can read, and whether that is the very feed that a run reads.

Equal offers have the same resource's name, and the scheduler gives a lease to workers with this
resource alone. So a worker of another version, or with another mapping, never gets one.
"""

from __future__ import annotations

import platform
from importlib.metadata import version

import msgspec
import xxhash
from msgspec import Struct

from carsync import __version__
from carsync.engine.base import GivenFeed

EXTRA = "carsync"
"""Under this name a worker tells the scheduler its offers."""


class Offer(Struct, frozen=True):
    """One feed's configuration, without secrets, and the versions that read it.

    `feed` and `mapping` are the fingerprints of a run; `python` and `distributed` count because
    what crosses the cluster is pickled.
    """

    source: str
    table: str
    feed: str
    mapping: str
    labels: tuple[str, ...] = ()
    carsync: str = __version__
    distributed: str = version("distributed")
    python: str = ".".join(platform.python_version_tuple()[:2])

    @classmethod
    def of(cls, given: GivenFeed, labels: tuple[str, ...] = ()) -> Offer:
        """Return the offer of a configuration."""
        config, prints = given.config, given.prints
        return cls(
            config.sync.source, str(config.target), prints["feed"], prints["mapping"], labels
        )

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
        same = (self.source, self.table, self.feed, self.mapping)
        versions = (self.carsync, self.distributed, self.python)
        digest = xxhash.xxh3_64_hexdigest(msgspec.json.encode([*same, *versions, label]))
        return f"carsync {self.source} {digest}"

    def misfit(self, other: Offer, label: str | None) -> str:
        """Say why a worker with the offer `other` does not fit a run of this one; empty: it does.

        >>> a = Offer("external", "public.cars", "1", "2")
        >>> a.misfit(Offer("external", "public.cars", "1", "3"), None)
        'its mapping or hash differs'
        """
        for name in ("carsync", "distributed", "python"):
            ours, theirs = getattr(self, name), getattr(other, name)
            if ours != theirs:
                return f"it has {name} {theirs}, the run {ours}"
        if self.place != other.place:
            return f"it reads {other.place}"
        if self.feed != other.feed:
            return "its api.base_url, path, params, lists or pagination differ"
        if self.mapping != other.mapping:
            return "its mapping or hash differs"
        return "" if label is None or label in other.labels else f"it has no label {label}"
