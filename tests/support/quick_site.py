"""Sites whose commands start no process: where that is not the subject.

All else is the command's own, from its options to what it prints: see `in_process_engine`.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

import pytest
from click.testing import CliRunner

from carsync import redaction, timing
from carsync.cli.app import app
from carsync.postgres import connection
from carsync.redaction import Secret
from tests.support.in_process_engine import InProcessEngine, without_processes
from tests.support.site import INHERITED, Ended, SimulatedSite, Site
from tests.support.small_feed import SmallSite

_HAVE_FLEETS = {"sync", "approve", "refresh"}


def sync_here(site: Site, *arguments: str, expect: int = 0, **settings: Any) -> Ended:
    """Run `carsync sync --json` of a site in this process, to its end, which must be `expect`.

    That is a fifth of what processes cost. `carsync status` believes such a run to go on: its
    process lives.
    """
    ended = run_here(site, "sync", "--json", *arguments, **settings)
    assert ended.exit_code == expect, f"exit {ended.exit_code}, not {expect}\n{ended}"
    assert "Traceback" not in ended.err, ended.err
    return ended


def run_here(site: Site, *arguments: str, **settings: Any) -> Ended:
    """Run `carsync ARGUMENTS` of a site in this process, to its end."""
    with _as_a_process(site), _without_fleet(site, arguments[0]):
        words = [*arguments, *site.options(settings)]
        result = CliRunner().invoke(app, words, prog_name="carsync")
    return Ended(result.exit_code, result.stdout, result.stderr)


@contextmanager
def _without_fleet(site: Site, command: str) -> Iterator[None]:
    """Let a command that starts a fleet do without."""
    if command not in _HAVE_FLEETS:
        yield
        return
    dsn = Secret(site.variables["DATABASE_URL"])
    session = connection.connect(dsn, application_name="carsync writer", lock_timeout_s=5)
    with closing(session) as conn, without_processes(partial(InProcessEngine, conn=conn)):
        yield


@contextmanager
def _as_a_process(site: Site) -> Iterator[None]:
    """Give this process the command's variables and folder; put back what it changes."""
    root = logging.getLogger()
    kept = root.handlers[:], root.level
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.getsignal(number) for number in numbers]
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            patch.delenv(name)
        for name, value in {**inherited, **site.variables}.items():
            patch.setenv(name, value)
        patch.chdir(site.folder)
        patch.setattr(redaction, "_known", {})
        patch.setattr(timing, "_current", timing.parse(site.variables.get(timing.VARIABLE, "")))
        try:
            yield
        finally:
            root.handlers[:], root.level = kept
            for number, handler in zip(numbers, handlers, strict=True):
                signal.signal(number, handler)


class QuickSync(Site):
    """Runs commands in the test's own process, but for those that are to be left at work."""

    def sync(self, *arguments: str, expect: int = 0, **settings: Any) -> Ended:
        """Do as `sync_here`."""
        return sync_here(self, *arguments, expect=expect, **settings)

    def run(self, *arguments: str, **settings: Any) -> Ended:
        """Do as `run_here`."""
        return run_here(self, *arguments, **settings)


class QuickSite(QuickSync, SmallSite):
    """A small site that syncs so."""


class QuickSimulatedSite(QuickSync, SimulatedSite):
    """A site with the simulator that syncs so; nobody keeps to a rate."""
