"""The manager process: one `Gate` (token bucket and circuit breaker) shared by all fetchers."""

from __future__ import annotations

import os
import sys
import time
from multiprocessing.context import SpawnContext
from multiprocessing.managers import BaseManager
from typing import TYPE_CHECKING

from carsync.child import become_child
from carsync.ratelimit import CircuitBreaker, Gate, TokenBucket

if TYPE_CHECKING:
    from carsync.config import Limits

_gate: Gate | None = None


def _open_gate(rate: float, burst: int, idle_s: float, failures: int, open_s: float) -> None:
    """Build the gate inside the manager process, before it serves."""
    global _gate
    become_child()
    _gate = Gate(
        TokenBucket(rate, burst, time.monotonic, idle_s=idle_s),
        CircuitBreaker(failures, open_s, time.monotonic),
    )


def _the_gate() -> Gate:
    assert _gate is not None
    return _gate


class GateManager(BaseManager):
    """Serves the one gate; `gate()` gives a proxy that any process and thread may use."""

    def gate(self) -> Gate:
        """Return a proxy of the shared gate."""
        return self._gate()  # type: ignore[attr-defined, no-any-return]


GateManager.register("_gate", callable=_the_gate, exposed=("admit", "report", "silence"))


def start_manager(context: SpawnContext, limits: Limits, *, idle_s: float) -> GateManager:
    """Start the manager process; must be called from the main thread.

    `idle_s`: for how long nobody has asked the API; tokens accrued for that long.
    """
    # An abstract socket (unix(7)) leaves no file behind, whatever kills the process; who may
    # connect is decided by the random authentication key that only the children inherit.
    address = f"\0carsync-{os.urandom(8).hex()}" if sys.platform == "linux" else None
    manager = GateManager(address, ctx=context)
    rate = limits.requests_per_second
    burst = limits.burst if limits.burst is not None else max(1, round(2 * rate))
    breaker = limits.circuit_breaker
    # Plain numbers, so that the manager's process loads nothing of the configuration.
    manager.start(_open_gate, (rate, burst, idle_s, breaker.failures, breaker.open_s))
    return manager
