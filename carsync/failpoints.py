"""Failpoints: named places at which a test lets a step die, raise, hang or pause.

Inert in production, where the variable is not set:

    CARSYNC_FAILPOINT='merge.recorded=die@/tmp/mark'

`die` kills the process as `kill -9` does, `raise` is an unexpected error, `hang` never
returns, `pause` goes on once the file is removed. `NAME:3=…` acts at the third time that a
process comes by. With `@FILE` just one process acts, once: the one that creates the file;
without it, each that comes by does.
"""

from __future__ import annotations

import os
import re
import signal
import time
from itertools import count
from pathlib import Path

from msgspec import Struct

VARIABLE = "CARSYNC_FAILPOINT"

PARENT = (
    "sync.locked",
    "sync.migrated",
    "sync.run_started",
    "sync.staging_created",
    "sync.begun",
    "checkpoint.written",
    "checkpoint.renamed",
    "fleet.manager_started",
    "fleet.started",
    "intake.leased",
    "intake.staged",
    "sync.read",
    "probe.leased",
    "sync.decided",
    "merge.begun",
    "merge.fenced",
    "merge.verified",
    "merge.compared",
    "merge.updated",
    "merge.inserted",
    "merge.deactivated",
    "merge.recorded",
    "merge.committed",
    "sync.merged",
    "sync.staging_dropped",
    "sync.closing",
    "sync.recorded",
    "sync.ended",
)
MANAGER = ("manager.opened",)
FETCHER = (
    "fetcher.booted",
    "fetch.leased",
    "fetch.admitted",
    "fetch.answered",
    "fetch.mapped",
    "fetch.queued",
    "fetch.reported",
    "probe.answered",
)
WRITER = (
    "writer.booted",
    "stage.gathered",
    "stage.begun",
    "stage.claimed",
    "stage.loaded",
    "stage.committed",
    "stage.reported",
)
ALL = (*PARENT, *MANAGER, *FETCHER, *WRITER)
"""Every failpoint, by the process that comes by it."""

_SPEC = re.compile(
    r"(?P<name>[a-z_.]+)(?::(?P<nth>\d+))?=(?P<action>die|raise|hang|pause(?=@))(?:@(?P<file>.+))?"
)
_PAUSE_S = 0.01


class FailpointError(Exception):
    """What `raise` raises: an error that no code expects."""


class _Armed(Struct, frozen=True):
    name: str
    nth: int
    action: str
    file: Path | None


def reach(name: str) -> None:
    """Come by the failpoint `name`; do what the variable asks for there, nothing otherwise."""
    if _armed is not None and _armed.name == name:
        _act(_armed)


def is_armed() -> bool:
    """Say whether some step will fail on purpose."""
    return _armed is not None


def _parse(text: str | None) -> _Armed | None:
    """Read the variable's text; raise `ValueError` for one that would never act.

    >>> _parse("merge.recorded:2=die@/tmp/x")
    _Armed(name='merge.recorded', nth=2, action='die', file=PosixPath('/tmp/x'))
    """
    if not text:
        return None
    match = _SPEC.fullmatch(text)
    if match is None or match["name"] not in ALL:
        raise ValueError(f"{VARIABLE}: {text!r} is no failpoint")
    file = Path(match["file"]) if match["file"] else None
    return _Armed(match["name"], int(match["nth"] or 1), match["action"], file)


def _act(armed: _Armed) -> None:
    if next(_passes) != armed.nth:
        return
    if armed.file is not None:
        try:
            armed.file.touch(exist_ok=False)
        except FileExistsError:
            return
    if armed.action == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if armed.action == "raise":
        raise FailpointError(f"failpoint {armed.name}")
    while armed.action == "hang" or (armed.file is not None and armed.file.exists()):
        time.sleep(_PAUSE_S)


_armed = _parse(os.environ.get(VARIABLE))
_passes = count(1)
