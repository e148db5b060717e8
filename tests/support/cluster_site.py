"""A site whose runs are carried out by a cluster: a scheduler and workers, real processes all.

They speak mutual TLS. Each has a host of its own, as far as `Network` can give it one. Who
dies stays dead, but for `revived`, which does what systemd does.
"""

from __future__ import annotations

import datetime
import json
import os
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import trustme
from psycopg2 import extensions

from carsync import timing
from carsync.demo.asgi import Message, Receive, Send
from carsync.demo.server import RunningSimulator
from tests.support.cluster_network import Network
from tests.support.oracle import PASSWORD
from tests.support.site import (
    CARSYNC,
    INHERITED,
    MARK,
    Api,
    Ended,
    Running,
    SimulatedSite,
    await_that,
)

UP_S = 400.0
GONE_S = 30.0
END_S = 400.0
_SOON_IDLE = "idle_s=1"
"""Its sessions are waited for after each run (I4)."""
_BACK_OFFS = "restart_back_off_s=0:0.5:1:2:5:5:5:5"


class RefusingApi(Api):
    """The simulator, which at a test's word tells one request to come later."""

    _retry_after_s = 0

    def refuse_once(self, retry_after_s: int) -> None:
        """Answer the next request with 429 and Retry-After."""
        self._retry_after_s = retry_after_s

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer as the simulator does, but for that one request."""
        seconds, self._retry_after_s = self._retry_after_s, 0
        if not seconds:
            await super().__call__(scope, receive, send)
            return
        self.log.append((time.monotonic(), scope["path"], 429))
        headers = [(b"retry-after", b"%d" % seconds), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 429, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


class Certificates:
    """The files of a certificate authority of the tests' own, and of those it vouches for."""

    def __init__(self, folder: Path) -> None:
        self._authority = trustme.CA()
        self._folder = folder
        folder.mkdir()
        self._authority.cert_pem.write_to_path(str(folder / "ca.pem"))

    def issue(self, name: str, not_after: datetime.datetime | None = None) -> dict[str, str]:
        """Return `engine.tls` for a new certificate."""
        issued = self._authority.issue_cert(name, not_after=not_after)
        cert, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        issued.cert_chain_pems[0].write_to_path(str(cert))
        issued.private_key_pem.write_to_path(str(key))
        return {"ca": str(self._folder / "ca.pem"), "cert": str(cert), "key": str(key)}


class Node:
    """A standing process of the cluster, on a host: `carsync scheduler` or `carsync worker`."""

    def __init__(self, command: list[str], variables: Mapping[str, str], log: Path) -> None:
        self._command = command
        self._mark = uuid.uuid4().hex
        self._variables = {**variables, MARK: self._mark}
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> psutil.Process:
        """The process itself; of a worker it is the nanny."""
        assert self._process is not None
        return psutil.Process(self._process.pid)

    @property
    def child(self) -> psutil.Process | None:
        """The worker process of a nanny, the first of several; None while there is none."""
        return next(iter(self.children()), None)

    def children(self) -> list[psutil.Process]:
        """Return the worker processes of a nanny."""
        with suppress(psutil.Error):
            return [c for c in self.process.children() if "spawn_main" in " ".join(c.cmdline())]
        return []

    @property
    def said(self) -> str:
        """All that it logged."""
        return self._log.read_text() if self._log.exists() else ""

    def start(self) -> None:
        """Start it, again where it is gone."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._log.parent,
            )

    @property
    def is_up(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def living(self) -> list[psutil.Process]:
        """Return it and all that it started, orphans too."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                is_alive = process.status() != psutil.STATUS_ZOMBIE
                if is_alive and process.environ().get(MARK) == self._mark:
                    found.append(process)
        return found

    def stop(self) -> int:
        """End it with SIGTERM, as systemd does; return its exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(GONE_S)

    def close(self) -> None:
        """Kill it and whatever it started."""
        for process in self.living():
            with suppress(psutil.Error):
                process.kill()
        if self._process is not None:
            self._process.wait(GONE_S)


class ClusterSite(SimulatedSite):
    """The installed command with `engine.type: dask`, a scheduler and workers, one a host."""

    api: RefusingApi

    def __init__(
        self, server: RunningSimulator, api: RefusingApi, dsn: str, folder: Path, network: Network
    ) -> None:
        super().__init__(server, api, extensions.make_dsn(dsn, password=PASSWORD), folder)
        self.network = network
        network.publish(server.port)
        address = f"http://{network.here}:{server.port}{api.options.prefix.rstrip('/')}"
        self.variables["API_BASE_URL"] = address
        self.certificates = Certificates(folder / "tls")
        self.nodes: dict[str, Node] = {}
        self._url = f"tls://{network.address('scheduler')}:{_free_port()}"
        self._use_certificate(self.settings, "driver")
        self.settings["api.timeout.total_s"] = 2.0
        self.settings["acceptance"] = {"warmup_s": 600.0, "max_error_rate": None}  # by intent

    def _use_certificate(self, settings: dict[str, Any], name: str) -> None:
        settings |= {"engine.type": "dask", "engine.scheduler": self._url}
        for part, file in self.certificates.issue(name).items():
            settings[f"engine.tls.{part}"] = file

    # ── the cluster ──

    @property
    def scheduler(self) -> Node:
        """The scheduler."""
        return self.nodes["scheduler"]

    def open(self, *workers: str, threads: int = 4) -> None:
        """Start the scheduler and a worker on each of these hosts; wait until they are at work."""
        self.add_scheduler()
        for name in workers:
            self.add_worker(name, threads=threads)
        self.await_workers(*workers)

    def add_scheduler(self, **changes: Any) -> Node:
        """Start the scheduler, which knows no secret, and wait until it listens.

        `changes` are laid over its settings.
        """
        settings: dict[str, Any] = {}
        self._use_certificate(settings, "scheduler")
        settings |= changes
        node = self._add("scheduler", "scheduler", settings, {})
        await_that(lambda: "listens at" in node.said, "the scheduler listens", UP_S)
        return node

    def add_worker(
        self,
        name: str,
        *options: str,
        threads: int = 4,
        deadlines: str = "",
        variables: Mapping[str, str] | None = None,
        **changes: Any,
    ) -> Node:
        """Start a worker on a host; `changes` are laid over its settings."""
        settings = dict(self.settings)
        self._use_certificate(settings, name)
        settings |= changes
        own = dict(self.variables) | dict(variables or {})
        own[timing.VARIABLE] = deadlines or _SOON_IDLE
        words = ("--processes", "1", "--threads", str(threads), *options)
        return self._add(name, "worker", settings, own, *words)

    def _add(
        self,
        host: str,
        command: str,
        settings: Mapping[str, Any],
        variables: Mapping[str, str],
        *options: str,
    ) -> Node:
        file = self.folder / f"{host}.yaml"
        file.write_text(json.dumps(_nested(settings)))  # JSON is YAML
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        words = [*CARSYNC, command, "--config", str(file), *options]
        node = Node(
            [*self.network.inside(host), *words],
            {**inherited, **variables},
            self.folder / f"{host}.log",
        )
        self.nodes[host] = node
        node.start()
        return node

    def await_workers(self, *names: str) -> None:
        """Wait until these workers are at work."""
        for name in names:
            node = self.nodes[name]
            await_that(lambda n=node: "is at work" in n.said, f"{name} is at work", UP_S)  # type: ignore[misc]

    @contextmanager
    def revived(self, pause_s: float = 0.5) -> Iterator[None]:
        """Start again whoever is gone, after a pause, as systemd does, until the block ends."""
        ended = threading.Event()

        def keep() -> None:
            while not ended.wait(pause_s):
                for node in list(self.nodes.values()):
                    if not node.is_up:
                        node.start()

        keeper = threading.Thread(target=keep)
        keeper.start()
        try:
            yield
        finally:
            ended.set()
            keeper.join()

    def mend(self) -> None:
        """Let go on who was stopped, reach who was cut off, start who is gone."""
        for name, node in self.nodes.items():
            if self.network.is_real:
                self.network.join(name)
            for process in node.living():
                with suppress(psutil.Error):
                    if process.status() == psutil.STATUS_STOPPED:
                        process.resume()
            if not node.is_up:
                node.start()

    # ── the command ──

    def start(
        self, *arguments: str, program: list[str] = CARSYNC, deadlines: str = "", **settings: Any
    ) -> Running:
        """Start a command on the driver's host."""
        inside = [*self.network.inside("driver"), *program]
        return super().start(
            *arguments, program=inside, deadlines=deadlines or _BACK_OFFS, **settings
        )

    def check(self, running: Running, expect: int = 0, within_s: float = END_S) -> Ended:
        """Wait for the end of a sync, as a site does; a cluster may find a loss after a minute."""
        return super().check(running, expect, within_s)

    def close(self) -> None:
        """Kill everything."""
        super().close()
        for node in self.nodes.values():
            node.close()


def _nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return dotted keys as sections.

    >>> _nested({"a.b": 1, "a.c": 2})
    {'a': {'b': 1, 'c': 2}}
    """
    tree: dict[str, Any] = {}
    for key, value in settings.items():
        *sections, last = key.split(".")
        place = tree
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    return tree


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def cluster_network(*hosts: str) -> Iterator[Network]:
    """Give a network of these hosts, of the scheduler and of the driver."""
    network = Network(("scheduler", "driver", *hosts))
    try:
        yield network
    finally:
        network.close()
