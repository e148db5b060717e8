"""The real `carsync` command as a user types it, in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from typing import Any

from msgspec import Struct

from carsync import logging_setup
from carsync.config.environment import VARIABLES
from carsync.errors import CarsyncError

COMMAND_TIMEOUT_S = 1800.0
STOP_TIMEOUT_S = 15.0
POLL_S = 0.5  # each look is a process of its own, beside the run that is watched
# -P: a file of the user's working directory must not stand in for a module.
_CARSYNC = [sys.executable, "-P", "-m", "carsync"]
_ENCODING = sys.stdout.encoding or "utf-8"


class Ended(Struct, frozen=True):
    """The exit code of a command, and what it wrote to standard output."""

    exit_code: int
    output: str


class CommandRunner:
    """Runs carsync with `variables` set; log and live view go to our standard error."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._environ = {**os.environ, **variables}

    def run(self, *arguments: str, **variables: str) -> Ended:
        """Run `carsync ARGUMENTS` to its end, with further `variables` set."""
        with self._started(arguments, variables) as process:
            return _await_end(process)

    def status(self) -> dict[str, Any]:
        """Return the data of `carsync status --json`."""
        data: dict[str, Any] = json.loads(self.run("status", "--json").output)
        return data

    def interrupt(
        self, *arguments: str, when: Callable[[dict[str, Any]], bool], **variables: str
    ) -> Ended:
        """Run `carsync ARGUMENTS`, and send SIGINT as soon as `when` accepts the status."""
        with self._started(arguments, variables) as process:
            while process.poll() is None:
                if when(self.status()):
                    process.send_signal(signal.SIGINT)
                    break
                with suppress(subprocess.TimeoutExpired):
                    process.wait(POLL_S)
            return _await_end(process)

    @contextmanager
    def _started(
        self, arguments: tuple[str, ...], variables: Mapping[str, str]
    ) -> Iterator[subprocess.Popen[str]]:
        """Start the command; it is stopped, at last killed, if the block is left early."""
        process = subprocess.Popen(
            [*_CARSYNC, *arguments],
            env={**self._environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            encoding=_ENCODING,
            errors="replace",
        )
        try:
            yield process
        finally:
            _stop(process)


def forget_configuration(environ: MutableMapping[str, str]) -> None:
    """Delete the variables that configure carsync or libpq: the demo must reach no real system."""
    for name in list(environ):
        if name in {*VARIABLES, logging_setup.VARIABLE} or name.startswith(("SUPABASE_", "PG")):
            del environ[name]


def _await_end(process: subprocess.Popen[str]) -> Ended:
    try:
        output, _ = process.communicate(timeout=COMMAND_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise CarsyncError(
            f"carsync did not end within {COMMAND_TIMEOUT_S:.0f} s",
            hint="this is a bug; report what the log says",
        ) from None
    return Ended(process.returncode, output)


def _stop(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_TIMEOUT_S)
    if process.stdout is not None:
        process.stdout.close()
