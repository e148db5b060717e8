"""The one place that imports uvicorn: the simulator served from a thread."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from carsync.demo import INSTALL_HINT
from carsync.demo.simulator import Simulator
from carsync.errors import ConfigError

try:
    import uvicorn
except ImportError:  # the extra `demo` is not installed
    uvicorn = None  # type: ignore[assignment]

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0


class RunningSimulator(Struct, frozen=True):
    """A simulator that answers at `base_url` (prefix included); `origin` carries /_sim."""

    app: Simulator
    port: int

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """The value for `api.base_url`."""
        return self.origin + self.app.options.prefix.rstrip("/")


@contextlib.contextmanager
def running(app: Simulator, *, port: int = 0) -> Iterator[RunningSimulator]:
    """Serve `app` on 127.0.0.1 from a thread of its own until the block is left.

    Port 0 takes a free one. Raises `ConfigError` where the port is taken or the
    extra `demo` is not installed.
    """
    if uvicorn is None:
        raise ConfigError(
            "the simulator needs uvicorn, which is not installed",
            hint=INSTALL_HINT,
        )
    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        access_log=False,
        log_config=None,
        log_level="critical",  # uvicorn calls a connection that was cut on purpose an error
        server_header=False,
        date_header=False,  # the simulator has a clock of its own
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    with _listen(port) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), name="simulator")
        thread.start()
        try:
            _await_start(server, thread)
            yield RunningSimulator(app, listener.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(STOP_TIMEOUT_S)


def _await_start(server: Any, thread: threading.Thread) -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline_s:
            hint = "run `carsync simulate` to see why"
            raise ConfigError("the simulator did not start", hint=hint)
        time.sleep(0.005)


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server(("127.0.0.1", port), backlog=2048)
    except OSError as exc:
        raise ConfigError(
            f"port {port} cannot be listened on",
            detail=exc.strerror or str(exc),
            hint="choose another one, or 0 for any free one",
        ) from exc
