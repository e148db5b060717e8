"""The engine: who carries out what the run's parent leases."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from msgspec import Struct

from carsync.config.sections import Config
from carsync.engine.messages import Event, Lease
from carsync.source.allotment import Allotted


class GivenFeed(Struct, frozen=True):
    """A configuration as its file has it, with its fingerprints; a run may change its own."""

    config: Config
    prints: Mapping[str, str]


class Engine(ABC):
    """Fetches, maps and stages the pages it is leased, and asks for records by id.

    The parent alone plans, decides, checkpoints and merges. The ledger, not the engine, says
    what is staged. An engine is never repaired: one that reports `EngineLost` is killed, and
    another takes its place. Built, used and ended on the parent's main thread.
    """

    @abstractmethod
    def start(self, *, silence_s: float = 0.0, lowered_to: float | None = None) -> None:
        """Start the workers; return before they are ready.

        No request is sent before `silence_s` seconds from now; `lowered_to` is the rate in
        requests per second that an engine before had fallen to. What cannot be started is
        reported by the next `events`.
        """

    @abstractmethod
    def room(self) -> int:
        """Return how many more leases the workers can take in hand."""

    @abstractmethod
    def lease(self, leases: Sequence[Lease]) -> None:
        """Hand out at most `room()` leases; a worker that is gone shows in the next `events`."""

    @abstractmethod
    def events(self, timeout_s: float) -> list[Event]:
        """Wait up to `timeout_s` seconds and return what the workers reported.

        A worker that died or hangs adds `EngineLost`, after what was heard before.
        """

    @abstractmethod
    def allot(
        self, requests: int = 0, for_s: float = 0.0, *, afresh: bool = False
    ) -> Allotted | None:
        """Let so many more requests be sent within `for_s` seconds; say how it stood before.

        Only with `limits.budget`: no request is sent then that was not allotted. `afresh`: what
        was left is void. None: the engine is not at work, and nothing was allotted.
        """

    @abstractmethod
    def stop(self) -> None:
        """Ask the workers to stage what they have in hand and to end; `events` tells how far."""

    @abstractmethod
    def is_running(self) -> bool:
        """Return whether any worker is still at work."""

    @abstractmethod
    def kill(self) -> None:
        """End every worker now and reap it; safe to call twice."""

    @abstractmethod
    def memory(self) -> Mapping[str, int]:
        """Return the resident memory of every process of the run in bytes, the parent's too."""

    @abstractmethod
    def queue_depth(self) -> int:
        """Return how many pages are fetched and not staged yet."""
