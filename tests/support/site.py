"""The installed `carsync` command against a real API and a real PostgreSQL, and how to judge it.

A `Site` is one API, one database and one state folder. Its runs are processes of their
own; whatever a test waits for, it waits for with a deadline.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import psutil
import psycopg2
import pytest
from msgspec.structs import replace

from carsync import timing
from carsync.config.parser import parse
from carsync.config.sections import Config
from carsync.demo.asgi import Message, Receive, Send
from carsync.demo.feed import Feed
from carsync.demo.server import RunningSimulator
from carsync.demo.simulator import Simulator
from carsync.mapping.mapper import Mapper
from carsync.model import MappedPage, PageInfo
from carsync.state.checkpoint import CheckpointState, load
from tests.support.json_answers import assert_documented

CARSYNC = [str(Path(sys.executable).with_name("carsync"))]
DEADLINE_S = 90.0
"""Only a test that fails waits so long: a busy machine is no fault of the code."""
GONE_S = 5.0
"""How long the processes of a run may outlive it."""
POLL_S = 0.02
PAGE_SIZE = 20
MARK = "CARSYNC_E2E"
INHERITED = ("PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")
SETTINGS: dict[str, Any] = {
    "limits.fetcher_processes": 1,
    "limits.retry.base_s": 0.02,
    "limits.retry.cap_s": 0.2,
}
_Value = TypeVar("_Value")


_kept: dict[str, psycopg2.extensions.connection] | None = None


@contextmanager
def sessions_kept() -> Iterator[None]:
    """Let `ask` use one session for a database until the block ends, not one for a query.

    A session costs the server ten times what a query does. A server that was restarted
    meanwhile, or a session that was ended, is asked in a new one.
    """
    global _kept
    if _kept is not None:
        yield
        return
    _kept = {}
    try:
        yield
    finally:
        for conn in _kept.values():
            conn.close()
        _kept = None


@sessions_kept()
def await_that(condition: Callable[[], _Value], what: str, within_s: float = DEADLINE_S) -> _Value:
    """Return the first true value of `condition`; fail the test if none comes in time."""
    deadline_s = time.monotonic() + within_s
    while not (value := condition()):
        if time.monotonic() > deadline_s:
            pytest.fail(f"not within {within_s:g} s: {what}")
        time.sleep(POLL_S)
    return value


def ask(dsn: str, query: str, parameters: Any = None) -> list[tuple[Any, ...]]:
    """Run a query in a session of its own, or in the one of `sessions_kept`."""
    if _kept is None:
        with closing(psycopg2.connect(dsn)) as conn:
            return _ask(conn, query, parameters)
    if dsn in _kept:
        with suppress(psycopg2.OperationalError, psycopg2.InterfaceError):
            return _ask(_kept[dsn], query, parameters)
        _kept.pop(dsn).close()
    _kept[dsn] = psycopg2.connect(dsn)
    return _ask(_kept[dsn], query, parameters)


def _ask(
    conn: psycopg2.extensions.connection, query: str, parameters: Any
) -> list[tuple[Any, ...]]:
    conn.autocommit = True
    with conn.cursor() as cur:
        cur.execute(query, parameters)
        return cur.fetchall() if cur.description else []


# ── the API ──────────────────────────────────────────────────────────────────


class Api(Simulator):
    """The simulator, which also keeps answers back, so that a run stands still for the test."""

    never_held: tuple[str, ...] = ("/_sim/",)
    """Where the paths begin whose answers are never kept back."""
    _answers_left: float = math.inf

    def hold(self, after: int) -> None:
        """Give `after` more answers and keep all further ones back."""
        self._answers_left = after

    def release(self) -> None:
        """Give all answers."""
        self._answers_left = math.inf

    def change(self, **options: Any) -> None:
        """Behave by other options from now on."""
        self.options = replace(self.options, **options)

    def pages_asked(self) -> list[int]:
        """Return the page of every request for one, in order of arrival, since the last reset."""
        asked = [urlsplit(target) for _, target, _ in list(self.log)]
        queries = [parse_qs(each.query) for each in asked if not _is_of_removals(each.path)]
        return [int(query["page"][0]) for query in queries if "page" in query]

    def pages_read(self) -> list[int]:
        """Return `pages_asked` without the page behind the last one, which every run tries."""
        last = self.feed.page_count(self.snapshot, self.options.page_size)
        return [page for page in self.pages_asked() if page <= last]

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer as the simulator does, in good time."""

        async def send_in_good_time(message: Message) -> None:
            if message["type"] == "http.response.start":
                while self._answers_left <= 0:
                    await asyncio.sleep(0.005)
                self._answers_left -= 1
            await send(message)

        is_free = scope["path"].startswith(self.never_held)
        await super().__call__(scope, receive, send if is_free else send_in_good_time)


def _is_of_removals(path: str) -> bool:
    return path.endswith("/archived-lots")


def worst_burst(arrivals_s: list[float], rate: float) -> float:
    """Return the burst that a limit of `rate` must allow for these arrivals: over all pairs."""
    times = sorted(arrivals_s)
    return max(
        last - first + 1 - rate * (times[last] - times[first])
        for first in range(len(times))
        for last in range(first, len(times))
    )


# ── the command ──────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended and what it wrote."""

    exit_code: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        """What `--json` printed, as docs/reference/json.md has it."""
        data: dict[str, Any] = json.loads(self.out)
        assert_documented(data)
        return data

    @property
    def said(self) -> str:
        """All it wrote, line breaks undone."""
        return " ".join(f"{self.out}\n{self.err}".split())

    @property
    def counts(self) -> dict[str, int]:
        """What the merge did, the zeros aside."""
        return {name: n for name, n in (self.report["counts"] or {}).items() if n}


class Running:
    """A command at work."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the parent process."""
        self.process.send_signal(number)

    def end(self, within_s: float = DEADLINE_S) -> Ended:
        """Wait for its end and for all who hold its output; kill it if that takes too long."""
        try:
            out, err = self.process.communicate(timeout=within_s)
        except subprocess.TimeoutExpired as exc:
            self.close()
            pytest.fail(f"no end within {within_s:g} s; it said: {exc.output!r} {exc.stderr!r}")
        return Ended(self.process.returncode, out, err)

    def close(self) -> None:
        """End what a failed test left at work, and listen to its orphans no more."""
        self.process.kill()
        self.process.wait(GONE_S)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def children(self) -> list[psutil.Process]:
        """Return manager, fetchers and writers, in the order in which they were started."""
        found = []
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.Error):
                if any("spawn_main" in word for word in child.cmdline()):
                    found.append(child)
        return sorted(found, key=lambda child: (child.create_time(), child.pid))


class Site:
    """The command, set up by variables for one API, one database and one state folder."""

    def __init__(self, base_url: str, key: str, dsn: str, folder: Path) -> None:
        self.dsn = dsn
        self.folder = folder
        self.settings = dict(SETTINGS)
        self._mark = uuid.uuid4().hex
        self._born_s = time.time()
        self._runs: list[Running] = []
        self.variables = {
            "API_BASE_URL": base_url,
            "API_KEY": key,
            "DATABASE_URL": dsn,
            "RPS": "0",
            "CONCURRENCY": "4",
            "PARALLEL_BATCHES": "1",
            "PAGE_SIZE": str(PAGE_SIZE),
            "XDG_STATE_HOME": str(folder),
            "HOME": str(folder),
            MARK: self._mark,
        }

    # ── running ──

    def start(
        self, *arguments: str, program: list[str] = CARSYNC, deadlines: str = "", **settings: Any
    ) -> Running:
        """Start `carsync ARGUMENTS`; `settings` are laid over the site's (`__` for a dot).

        `deadlines` are other ones than production's, as `timing.VARIABLE` takes them.
        """
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        if deadlines:
            inherited[timing.VARIABLE] = deadlines
        process = subprocess.Popen(
            [*program, *arguments, *self.options(settings)],
            env={**inherited, **self.variables},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._runs.append(Running(process))
        return self._runs[-1]

    def run(self, *arguments: str, **settings: Any) -> Ended:
        """Run `carsync ARGUMENTS` to its end."""
        return self.start(*arguments, **settings).end()

    def sync(self, *arguments: str, expect: int = 0, **settings: Any) -> Ended:
        """Run `carsync sync --json` to its end, which must be `expect` and free of tracebacks."""
        return self.check(self.start("sync", "--json", *arguments, **settings), expect)

    def check(self, running: Running, expect: int = 0, within_s: float = DEADLINE_S) -> Ended:
        """Wait for the end of a sync, which must be `expect`, with nothing left running."""
        ended = running.end(within_s)
        assert ended.exit_code == expect, f"exit {ended.exit_code}, not {expect}\n{ended}"
        assert "Traceback" not in ended.err, ended.err
        self.await_no_process()
        return ended

    def status(self) -> dict[str, Any]:
        """Return what `carsync status --json` says now."""
        return self.run("status", "--json").report

    def config(self) -> Config:
        """Return the configuration that the command works out, for use in this process."""
        options = self.options({})[1::2]
        return parse("", self.variables, options)

    def options(self, settings: Mapping[str, Any]) -> list[str]:
        """Return the options of a command that set the site's settings, `settings` over them."""
        named = {name.replace("__", "."): value for name, value in settings.items()}
        pairs = {**self.settings, **named}.items()
        return [word for key, value in pairs for word in ("--set", f"{key}={json.dumps(value)}")]

    def widen(self) -> None:
        """Work with two fetchers and two writers instead of one each."""
        self.settings["limits.fetcher_processes"] = 2
        self.variables["PARALLEL_BATCHES"] = "2"

    # ── looking ──

    @property
    def checkpoint_file(self) -> Path | None:
        """The checkpoint, once there is one."""
        named = self.settings.get("checkpoint.path")
        places = [Path(named)] if named else self.folder.glob("carsync/*.json")
        return next((path for path in places if path.exists()), None)

    def checkpoint(self) -> CheckpointState | None:
        """Return what the checkpoint says now."""
        path = self.checkpoint_file
        return None if path is None else load(path)

    def await_checkpoint(self, is_so: Callable[[CheckpointState], bool], what: str) -> None:
        """Wait until the checkpoint says so; reading it costs no process, as `status` does."""
        await_that(lambda: (state := self.checkpoint()) is not None and is_so(state), what)

    def active(self) -> dict[str, str]:
        """Return the active cars of the table: id → data_hash."""
        return dict(ask(self.dsn, "SELECT id, data_hash FROM public.cars WHERE is_active"))

    def rows(self) -> list[str]:
        """Return every row of the table as text, all columns, in order of ids."""
        if not ask(self.dsn, "SELECT 1 WHERE to_regclass('public.cars') IS NOT NULL"):
            return []
        return [row for (row,) in ask(self.dsn, "SELECT t::text FROM public.cars AS t ORDER BY id")]

    def rows_by_id(self) -> dict[str, str]:
        """Return every row of the table as text: id → all columns."""
        return dict(ask(self.dsn, "SELECT id, t::text FROM public.cars AS t"))

    def counted(self) -> dict[str, int]:
        """Return the requests of all runs by kind, as the database counts them."""
        found = ask(self.dsn, "SELECT kind, sum(requests)::int FROM carsync.requests GROUP BY kind")
        return {kind: count for kind, count in found if count}

    def inactive(self) -> set[str]:
        """Return the ids of the cars that were deactivated."""
        found = ask(self.dsn, "SELECT id FROM public.cars WHERE NOT is_active")
        return {car for (car,) in found}

    def staged_pages(self) -> set[int]:
        """Return the pages in the newest run's ledger; empty where there is none."""
        with suppress(psycopg2.Error):
            run_id = ask(self.dsn, "SELECT max(run_id) FROM carsync.runs")[0][0]
            return {page for (page,) in ask(self.dsn, f"SELECT page FROM carsync.ledger_{run_id}")}
        return set()

    def await_staged(self, pages: int) -> set[int]:
        """Wait until exactly `pages` pages, all that the API gave, are staged; return them."""
        await_that(lambda: len(self.staged_pages()) >= pages, f"{pages} pages staged")
        return self.staged_pages()

    def sessions(self) -> list[tuple[Any, ...]]:
        """Return carsync's sessions in the database."""
        return ask(
            self.dsn,
            "SELECT application_name, state FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name LIKE 'carsync%'",
        )

    def writes(self) -> tuple[int, int, int]:
        """Return rows inserted, updated and deleted in the table since it exists.

        A session reports them when it ends, at the latest.
        """
        await_that(lambda: not self.sessions(), "the end of all sessions")
        query = "SELECT n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_user_tables "
        found = ask(self.dsn, query + "WHERE relid = 'public.cars'::regclass")[0]
        return found[0], found[1], found[2]

    def processes(self) -> list[psutil.Process]:
        """Return all living processes of the site's runs, orphans too: the mark is inherited."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.create_time() < self._born_s - 60:  # known by now, so this is cheap
                    continue
                alive = process.status() != psutil.STATUS_ZOMBIE
                if alive and process.environ().get(MARK) == self._mark:
                    found.append(process)
        return found

    def await_no_process(self) -> None:
        """Wait, not long, until no process and no session of any run is left."""
        await_that(lambda: not self.processes(), "the end of all processes", GONE_S)

    def close(self) -> None:
        """Kill what a failed test left behind."""
        for running in self._runs:
            running.close()
        for process in self.processes():
            with suppress(psutil.Error):
                process.kill()


class SimulatedSite(Site):
    """A site whose API is the simulator, with its truth."""

    def __init__(self, server: RunningSimulator, api: Api, dsn: str, folder: Path) -> None:
        super().__init__(server.base_url, api.options.key or "none", dsn, folder)
        self.server = server
        self.api = api
        self._feed = Feed(api.options.feed)  # the server's belongs to the server's thread
        self._mapper = Mapper.load(self.config())
        self._truths: dict[int, dict[str, str]] = {}

    def pages(self, snapshot: int = 0) -> int:
        """Return the number of pages of a snapshot."""
        return self._feed.page_count(self._feed.at(snapshot), PAGE_SIZE)

    def truth(self, snapshot: int = 0) -> dict[str, str]:
        """Return the cars that a snapshot lists, mapped in this process: id → data_hash."""
        if snapshot not in self._truths:
            shown = self._feed.at(snapshot)
            body = self._feed.page_body(shown, 1, max(1, len(shown.ids)))
            rows = self._mapper.map_page(body).rows
            self._truths[snapshot] = {row[1]: row[-1] for row in rows}
        return dict(self._truths[snapshot])

    def writes_of_a_move(self) -> tuple[int, int, int]:
        """Return what `writes` gives once the table went from nothing to snapshots 0 and 1."""
        old, new = self.truth(0), self.truth(1)
        common = old.keys() & new.keys()
        updated = sum(old[car] != new[car] for car in common) + len(old) - len(common)
        return len(old.keys() | new.keys()), updated, 0

    def mapped_page(self, number: int, snapshot: int = 0) -> MappedPage:
        """Return a page of a snapshot as a fetcher that has just asked for it maps it."""
        body = self._feed.page_body(self._feed.at(snapshot), number, PAGE_SIZE)
        mapped = self._mapper.map_page(body)
        records = len(mapped.rows) + len(mapped.rejects)
        return MappedPage(number, mapped.rows, mapped.rejects, records, PageInfo(), 0.0)

    def assert_exact(self, snapshot: int = 0) -> None:
        """Hold the table's active cars against the snapshot: ids and data_hash."""
        active, truth = self.active(), self.truth(snapshot)
        assert active.keys() == truth.keys()
        assert active == truth
