"""A scheduler and workers on this machine, as the installed command starts them."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import yaml

from carsync.config.parser import parse
from carsync.config.sections import Config
from tests.support.site import CARSYNC, DEADLINE_S, POLL_S

QUIET: dict[str, str] = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}


def free_port() -> int:
    """Return a port that nobody has at the moment."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port: int = server.getsockname()[1]
        return port


class SmallCluster:
    """Starts processes in `folder` and ends them; each has its log in a file of its name."""

    def __init__(self, folder: Path, scheme: str = "tcp") -> None:
        self.folder = folder
        self.scheduler = f"{scheme}://127.0.0.1:{free_port()}"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            process.wait(DEADLINE_S)

    def write(self, name: str, settings: Mapping[str, Any]) -> Path:
        """Write a configuration whose engine is this cluster."""
        engine = {"type": "dask", "scheduler": self.scheduler, **settings.get("engine", {})}
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump({**settings, "engine": engine}))
        return path

    def load(self, path: Path, environ: Mapping[str, str]) -> Config:
        """Read a configuration as the run's parent would."""
        return parse(path.read_text(), dict(environ))

    def start(self, name: str, words: str, *args: str | Path, **environ: str) -> None:
        """Start a command and wait until its log has `words`."""
        log = self.folder / f"{name}.log"
        with log.open("wb") as out:
            self._processes[name] = subprocess.Popen(
                [*CARSYNC, *map(str, args)],
                env={**QUIET, **environ},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        self.wait_for(name, words)

    def wait_for(self, name: str, words: str) -> None:
        """Wait until the log of a process has `words`."""
        until_s = time.monotonic() + DEADLINE_S
        while words not in self.log(name):
            process = self._processes[name]
            assert time.monotonic() < until_s, self.log(name)
            assert process.poll() is None, self.log(name)
            time.sleep(POLL_S)

    def log(self, name: str) -> str:
        """Return what a process has logged."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def stop(self, *names: str) -> set[int]:
        """End processes with SIGTERM at the same time; return their exit codes."""
        processes = [self._processes.pop(name) for name in names]
        for process in processes:
            process.terminate()
        return {process.wait(DEADLINE_S) for process in processes}
