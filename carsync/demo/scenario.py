"""The demo's script: four syncs of a simulated feed, each compared with the feed's own truth."""

from __future__ import annotations

import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from carsync import formatting
from carsync.demo import postgres, server
from carsync.demo.checker import Checker, CheckResult, Writes, check_requests
from carsync.demo.command import CommandRunner, Ended
from carsync.demo.console import WIDTH, Console, extract
from carsync.demo.feed import FeedOptions
from carsync.demo.postgres import EmbeddedPostgres
from carsync.demo.server import RunningSimulator
from carsync.demo.simulator import Simulator, SimulatorOptions
from carsync.exit_codes import ExitCode
from carsync.source.pagination.page_states import parse_ranges

LATENCY_MS = (20.0, 60.0)
SLOW_RUN_S = 10
"""The rate limit makes the run that will be interrupted last at least this many seconds."""
INTERRUPT_AT = 0.4
"""The run is interrupted at this share of pages in `carsync status`, whose checkpoint is up to
two seconds old."""


class ScenarioEndedError(Exception):
    """A run went so wrong that what follows would show nothing."""


class DemoOptions(Struct, frozen=True):
    """A feed of `cars` cars, and an API that lets `rps` requests a second in (0: any number)."""

    cars: int = 20_000
    rps: int = 50


def play(options: DemoOptions, console: Console, stay: Callable[[], None] | None) -> bool:
    """Play all chapters and return whether every check passed.

    The database, the simulator and all files are temporary, and deleted at the end.
    `stay`, if given, is called before that and returns when the reader has seen enough.
    Raises `CarsyncError` where a part of the demo cannot be started.
    """
    began_s = time.monotonic()
    feed = FeedOptions(cars=options.cars)
    app = Simulator(SimulatorOptions(feed=feed, rate=options.rps, latency_ms=LATENCY_MS))
    with (
        postgres.temporary() as database,
        server.running(app) as api,
        tempfile.TemporaryDirectory(prefix="carsync-demo-") as state,
    ):
        scenario = Scenario(options, console, api, database, Path(state))
        scenario.introduce()
        try:
            scenario.tell()
        except ScenarioEndedError:
            console.say("the demo ends here: the next chapters need this sync", "bad")
        _conclude(console, time.monotonic() - began_s)
        if stay is None:
            console.say("To look into the database yourself, run the demo with --keep.")
        else:
            scenario.show_around()
            stay()
    return console.failed == 0


def _conclude(console: Console, elapsed_s: float) -> None:
    console.say()
    took = formatting.duration(round(elapsed_s))
    if console.failed:
        total = console.passed + console.failed
        console.say(f"{formatting.part(console.failed, total, 'check')} FAILED, in {took}", "bad")
    else:
        console.say(f"All {formatting.plural(console.passed, 'check')} passed, in {took}.", "good")


class Scenario:
    """The chapters, and what they share."""

    def __init__(
        self,
        options: DemoOptions,
        console: Console,
        api: RunningSimulator,
        database: EmbeddedPostgres,
        state_folder: Path,
    ) -> None:
        self._options = options
        self._console = console
        self._api = api
        self._database = database
        self._checker = Checker(api.app.options.feed, database.dsn)
        self._variables = {
            "API_BASE_URL": api.base_url,
            "API_KEY": api.app.options.key or "none",
            "RPS": str(options.rps),
            "STATE_DIRECTORY": str(state_folder),
            "DATABASE_URL": database.dsn,
        }
        self._runner = CommandRunner(self._variables)

    def introduce(self) -> None:
        """Say what stands ready, and the variables that are all the configuration there is."""
        cars, pages = self._options.cars, self._checker.pages(0)
        limit = f"at most {self._options.rps} requests/s" if self._options.rps else "no rate limit"
        say = self._console.say
        say("carsync demo: four syncs of a simulated feed into a real PostgreSQL", "strong")
        feed = f"{formatting.plural(cars, 'car')} in {formatting.plural(pages, 'page')}"
        say(f"\n  feed      {feed}, {limit}")
        say("  database  empty; the demo starts both and removes them at the end\n")
        for name, value in self._variables.items():
            line = f"export {name}={shlex.quote(value)}"
            say(line if len(line) <= WIDTH else line.replace("=", "=\\\n", 1))

    def tell(self) -> None:
        """Tell all chapters; raise `ScenarioEndedError` where one went too wrong to go on."""
        self._console.chapter(
            "1. The first sync",
            "The table does not exist yet. carsync creates it, reads the feed at the speed the "
            "API allows, and merges all of it in one transaction.",
        )
        self._sync_and_check(0, None, whole=True)
        self._console.chapter(
            "2. Nothing changed",
            "The same feed again: no row is written. (From now on only the important lines "
            "are shown.)",
        )
        self._sync_and_check(0, 0)
        self._move_on(
            1,
            "3. The feed changed",
            "Only these rows are written. carsync asks for a car that no page lists by its id; if "
            "the car is gone, its row stays in the table, inactive.",
        )
        self._sync_and_check(1, 0)
        self._interrupt_and_resume()
        self._console.chapter(
            "The state of the last run", "`carsync status` reads one file, the checkpoint."
        )
        self._console.command("carsync status")
        self._console.say(self._runner.run("status").output.rstrip())

    def _sync_and_check(self, number: int, since: int | None, *, whole: bool = False) -> None:
        before = self._checker.writes()
        self._sync(whole=whole)
        self._console.judge(self._findings(number, since, before))

    def _interrupt_and_resume(self) -> None:
        self._move_on(
            2,
            "4. Interrupted, and resumed",
            "Ctrl-C stops the sync: the table stays as it was, and the next sync reads only the "
            "pages that were not staged yet.",
        )
        before = self._checker.writes()
        self._interrupt()
        left = self._runner.status()
        check = self._checker
        unmoved = (check.check_writes(before, 1, since=1), check.check_ids(1), check.check_rows(1))
        self._console.judge(unmoved)
        kept = {page for part in parse_ranges(left["pages_ranges"]) for page in part}
        self._sync()
        self._console.judge(self._findings(2, 1, before, kept))

    def _move_on(self, number: int, name: str, text: str) -> None:
        """Let the API list snapshot `number` from now on, and say what is new in it."""
        # The simulator's state belongs to its thread, which is idle between two syncs.
        self._api.app.show(number)
        truth = self._checker.feed.truth(number)
        self._console.chapter(
            name,
            f"In the feed {formatting.plural(truth.changed, 'car')} changed, "
            f"{formatting.plural(truth.added, 'car')} came and "
            f"{formatting.plural(truth.removed, 'car')} left. {text}",
        )

    def _sync(self, *, whole: bool = False) -> None:
        """Run a sync that must succeed, and show its summary, whole or in extract."""
        self._api.app.reset()  # as if time had passed: the API's own bucket is full again
        self._console.command("carsync sync")
        self._show(self._runner.run("sync"), ExitCode.OK, whole=whole)

    def _interrupt(self) -> None:
        """Run a sync slowly enough to be caught half-way, and stop it there by SIGINT."""
        rps = max(1, self._checker.pages(2) // SLOW_RUN_S)
        rps = min(rps, self._options.rps or rps)
        self._api.app.reset()
        self._console.command(f"RPS={rps} carsync sync")
        ended = self._runner.interrupt("sync", when=_is_half_way, RPS=str(rps))
        self._console.say("^C", "warn")
        self._show(ended, ExitCode.SIGINT)

    def _show(self, ended: Ended, wanted: ExitCode, *, whole: bool = False) -> None:
        """Show a run's output; raise `ScenarioEndedError` where it did not exit as `wanted`."""
        is_slow = wanted is ExitCode.OK and ended.exit_code == ExitCode.ACCEPTANCE
        failed = ended.exit_code != wanted and not is_slow
        if ended.output:
            self._console.say(ended.output.rstrip() if whole or failed else extract(ended.output))
        if is_slow:
            self._console.say("This machine is slower than the acceptance checks want.", "warn")
        if failed:
            text = f"{ended.exit_code}, not {wanted.value}; the log above says why"
            self._console.judge([CheckResult(False, "exit", text)])
            raise ScenarioEndedError

    def _findings(
        self, number: int, since: int | None, before: Writes, kept: Collection[int] = ()
    ) -> Iterator[CheckResult]:
        """Check a finished sync of snapshot `number` from all sides.

        `before` holds the writes, `since` the snapshot in the table, and `kept` the
        pages staged, when it began.
        """
        counts = (self._runner.status()["last_completed"] or {}).get("counts", {})
        yield self._checker.check_counts(counts, number, since)
        yield self._checker.check_writes(before, number, since)
        yield self._checker.check_ids(number)
        yield self._checker.check_rows(number)
        yield check_requests(self._api.app.log, self._checker.pages(number), kept)

    def show_around(self) -> None:
        """Say how to look into the database and the API while they still run."""
        say = self._console.say
        installed = f"psql {shlex.quote(self._database.dsn)}"
        psql = installed if shutil.which("psql") else self._database.psql
        say("\nEverything still runs. To look into the database, in another terminal:\n")
        say(psql.replace(" ", " \\\n  ", 1))
        say("  SELECT is_active, count(*) FROM cars GROUP BY 1;")
        say("  SELECT run_id, state, started_at, counts FROM carsync.runs;")
        say("\nTo continue with the feed, after the five `export` lines above:\n")
        if shutil.which("carsync") is None:
            say(f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH")
        say(f"curl -X POST '{self._api.origin}/_sim/snapshot?n=3'")
        say("carsync sync; carsync status; carsync preview | head -n 1\n")


def _is_half_way(status: dict[str, Any]) -> bool:
    planned = status.get("pages_planned") or 0
    is_running = status["state"] == "running" and planned > 0
    return is_running and bool(status["pages_done"] >= INTERRUPT_AT * planned)
