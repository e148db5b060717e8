"""The manager process: one `Gate` (token bucket and circuit breaker) shared by all fetchers.

Beside it is the `TokenStore`, which holds the run's access token where the API wants one.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import SpawnContext
from multiprocessing.managers import BaseManager
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING

from carsync import failpoints
from carsync.engine.local.child import become_child
from carsync.source.auth.token_store import Token, TokenStore
from carsync.source.gate_settings import GateSettings
from carsync.source.rate_limit import Gate

if TYPE_CHECKING:
    from carsync.config.sections import Limits

_gate: Gate | None = None
_tokens: TokenStore | None = None


def _open_gate(
    settings: GateSettings, idle_s: float, lowered_to: float | None, token: Token | None
) -> None:
    """Build the gate and the token store inside the manager process, before it serves."""
    global _gate, _tokens
    become_child()
    failpoints.reach("manager.opened")
    _gate = settings.build(idle_s=idle_s, lowered_to=lowered_to)
    _tokens = TokenStore(time.monotonic, token)


def _the_gate() -> Gate:
    assert _gate is not None
    return _gate


def _the_tokens() -> TokenStore:
    assert _tokens is not None
    return _tokens


class GateManager(BaseManager):
    """Serves the one gate and the one token store, as proxies for any process and thread."""

    def gate(self) -> Gate:
        """Return a proxy of the shared gate."""
        return self._gate()  # type: ignore[attr-defined, no-any-return]

    def tokens(self) -> TokenStore:
        """Return a proxy of the shared token store."""
        return self._tokens()  # type: ignore[attr-defined, no-any-return]


GateManager.register(
    "_gate", callable=_the_gate, exposed=("admit", "report", "refused", "told", "silence", "allot")
)
GateManager.register(
    "_tokens", callable=_the_tokens, exposed=("take", "begin", "put", "give_up", "refuse")
)


def start_manager(
    context: SpawnContext,
    limits: Limits,
    *,
    idle_s: float,
    silence_s: float,
    within_s: float,
    lowered_to: float | None = None,
    token: Token | None = None,
) -> tuple[GateManager, Gate, TokenStore]:
    """Start the manager process; return it with proxies of its gate and token store.

    Main thread only.

    `idle_s`: for how long nobody has asked the API; tokens accrued for that long. Nothing
    is granted before `silence_s` seconds from now; `lowered_to` is the rate that an earlier
    gate had fallen to, `token` the one that an earlier store held. Raises `OSError` or
    `EOFError` where the process does not answer `within_s` seconds; it is dead then.
    """
    # An abstract socket (unix(7)) leaves no file behind, whatever kills the process; who may
    # connect is decided by the random authentication key that only the children inherit.
    address = f"\0carsync-{os.urandom(8).hex()}" if sys.platform == "linux" else None
    manager = GateManager(address, ctx=context)
    with _ended_when_late(manager, within_s):
        manager.start(_open_gate, (GateSettings.of(limits), idle_s, lowered_to, token))
        gate, tokens = manager.gate(), manager.tokens()
        if silence_s > 0:
            gate.silence(silence_s)
    return manager, gate, tokens


def process_of(manager: GateManager | None) -> BaseProcess | None:
    """Return the manager's process, for which `BaseManager` has but a private name."""
    return getattr(manager, "_process", None)


@contextmanager
def _ended_when_late(manager: GateManager, within_s: float) -> Iterator[None]:
    """Kill the manager process where the block fails or takes too long.

    `BaseManager` waits for its process without a deadline; its death ends every wait.
    """

    def end() -> None:
        process = process_of(manager)
        if process is not None and process.pid is not None:
            os.kill(process.pid, signal.SIGKILL)
            process.join()

    timer = threading.Timer(within_s, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except BaseException:
        end()
        raise
    finally:
        timer.cancel()
