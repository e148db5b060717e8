"""A database that says nothing any more: found in time, whatever stands still, and resumable."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import count

import psycopg2
import pytest
from psycopg2 import extensions

from carsync.demo.feed import FeedOptions
from tests.e2e.conftest import Fill, OpenSite
from tests.support import effort
from tests.support.folders import ROOT
from tests.support.oracle import Oracle
from tests.support.pg_proxy import PgProxy
from tests.support.site import Ended, Running, SimulatedSite, ask, await_that

FEED = FeedOptions(cars=600, changed_share=0.05, added_share=0.03, removed_share=0.04)
_numbers = count(1)
FOUND_S = 90.0
"""How long a database may say nothing before the run ends."""
HASTY = (
    ""
    if effort.is_long
    else "first_ping_s=0.5,ping_s=0.5,ping_answer_s=2,statement_silence_s=3,look_s=1,"
    "look_again_s=0.5,cancel_s=1,outcome_s=1"
)
"""Deadlines: production's in a long test, by default a few seconds each."""


def start(site: SimulatedSite) -> Running:
    connect_s = 10.0 if effort.is_long else 2.0
    return site.start("sync", "--json", deadlines=HASTY, database__connect_timeout_s=connect_s)


def end_in_time(
    site: SimulatedSite, running: Running, what: str, within_s: float = FOUND_S
) -> Ended:
    """Wait for the end with exit code 4 and tell how long it took."""
    began_s = time.monotonic()
    ended = running.end(within_s)
    print(f"{what}: found and ended after {time.monotonic() - began_s:.1f} s: {ended.err[-300:]}")
    assert ended.exit_code == 4, ended
    assert "Traceback" not in ended.err
    assert "it resumes" in ended.report["next_step"]
    site.await_no_process()
    return ended


@pytest.fixture
def proxied_site(open_site: OpenSite, proxy: PgProxy, fill: Fill) -> SimulatedSite:
    """A site whose table holds an older snapshot, and whose database is behind the proxy."""
    site = open_site(FEED)
    site.variables["DATABASE_URL"] = proxy.dsn
    fill(site)
    site.api.show(1)
    site.api.reset()
    return site


@contextmanager
def merge_kept_waiting(site: SimulatedSite, running: Running) -> Iterator[None]:
    """Hold all rows of the table until the block ends; enter it when the merge waits for one."""
    with closing(psycopg2.connect(site.dsn)) as conn:
        with conn.cursor() as cur:
            cur.execute("UPDATE public.cars SET title = title")
        site.api.release()
        waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
        waiting += "AND datname = current_database() AND application_name = 'carsync'"
        await_that(lambda: ask(site.dsn, waiting), "the merge's wait for the row")
        yield
        conn.rollback()


# ── a proxy that swallows ────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "directions",
    [
        pytest.param((), id="both-ways"),
        pytest.param(("to_client",), id="answers", marks=pytest.mark.long),
    ],
)
def test_a_black_hole_while_staging_is_found_and_the_run_resumed(
    proxied_site: SimulatedSite, proxy: PgProxy, directions: tuple[str, ...]
) -> None:
    site = proxied_site
    oracle = Oracle(site, snapshots=(0, 1))
    site.api.hold(after=10)
    running = start(site)
    site.await_staged(10)
    proxy.swallow(*directions)  # type: ignore[arg-type]
    site.api.release()
    ended = end_in_time(site, running, "black hole while staging")
    proxy.recover()
    oracle.judge(ended)
    again = oracle.recover()
    assert again.report["run_id"] == ended.report["run_id"]


@pytest.mark.long
def test_a_black_hole_while_merging_is_found_and_the_merge_repeated_by_the_next_run(
    proxied_site: SimulatedSite, proxy: PgProxy
) -> None:
    site = proxied_site
    oracle = Oracle(site, snapshots=(0, 1))
    site.api.hold(after=10)
    running = start(site)
    site.await_staged(10)
    with merge_kept_waiting(site, running):
        proxy.swallow()
        ended = end_in_time(site, running, "black hole while merging")
        proxy.recover()
    oracle.judge(ended)
    site.api.reset()
    oracle.recover()
    assert site.api.pages_read() == [], "all was staged"


def test_a_black_hole_from_the_start_is_found(proxied_site: SimulatedSite, proxy: PgProxy) -> None:
    proxy.swallow()
    ended = end_in_time(proxied_site, start(proxied_site), "black hole from the start")
    assert "timeout" in ended.report["detail"]
    assert proxied_site.api.log == []


@pytest.mark.long
def test_a_merge_that_works_for_long_is_no_black_hole(
    proxied_site: SimulatedSite, proxy: PgProxy
) -> None:
    """The watch sees that the server works, though it says nothing for many looks."""
    site = proxied_site
    ask(site.dsn, SLOW_TRIGGER.format(seconds=60 if effort.is_long else 5))
    ended = start(site).end(within_s=200)
    assert ended.exit_code == 0, ended
    site.assert_exact(1)
    watches = [s for s in proxy.seen if s == "carsync watch"]
    assert len(watches) >= 3


SLOW_TRIGGER = """
CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END $$;
CREATE TRIGGER slow AFTER UPDATE ON public.cars FOR EACH STATEMENT EXECUTE FUNCTION public.slow()
"""


# ── a server process that stands still ───────────────────────────────────────


@contextmanager
def stopped_backend(site: SimulatedSite, application_name: str) -> Iterator[None]:
    """Stop the server process of a session, like a machine that hangs, until the block ends."""
    found = ask(
        site.dsn,
        "SELECT pid FROM pg_stat_activity "
        "WHERE application_name LIKE %s AND datname = current_database()",
        (application_name,),
    )
    pid = found[0][0]
    try:
        os.kill(pid, signal.SIGSTOP)
    except (PermissionError, ProcessLookupError):
        pytest.skip("LOUD: the server's processes are not this test's to stop (CARSYNC_TEST_DSN)")
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize(
    ("session", "method", "within_s"),
    [
        pytest.param("carsync", "execute_values", FOUND_S, marks=pytest.mark.long),
        pytest.param("carsync writer%", "execute_values", FOUND_S, marks=pytest.mark.long),
        # The supervisor finds it; the new writer then waits for the lock of the old one.
        pytest.param("carsync writer%", "copy", 180.0, marks=pytest.mark.long),
    ],
)
def test_a_server_process_that_hangs_while_staging_is_found(
    open_site: OpenSite, fill: Fill, session: str, method: str, within_s: float
) -> None:
    site = open_site(FEED)
    fill(site)
    site.settings["database.load_method"] = method
    site.api.show(1)
    site.api.reset()
    oracle = Oracle(site, snapshots=(0, 1))
    site.api.hold(after=10)
    running = start(site)
    site.await_staged(10)
    with stopped_backend(site, session):
        site.api.release()
        ended = end_in_time(site, running, f"stopped backend of {session}, {method}", within_s)
    oracle.judge(ended)
    oracle.recover()


# ── packets that are dropped ─────────────────────────────────────────────────


class Namespace:
    """A network namespace behind a veth pair, with the proxy in it: a host of its own."""

    def __init__(self, dsn: str, stack: ExitStack) -> None:
        number = next(_numbers)
        self._name = f"carsync-{os.getpid()}-{number}"
        self.here, self.there = f"10.213.{number}.1", f"10.213.{number}.2"
        outer, inner = f"c{os.getpid()}a{number}"[:15], f"c{os.getpid()}b{number}"[:15]
        self._ip("netns", "add", self._name)
        stack.callback(self._ip, "netns", "del", self._name)
        self._ip("link", "add", outer, "type", "veth", "peer", "name", inner)
        self._ip("link", "set", inner, "netns", self._name)
        self._ip("addr", "add", f"{self.here}/24", "dev", outer)
        self._ip("link", "set", outer, "up")
        self._inside("ip", "addr", "add", f"{self.there}/24", "dev", inner)
        self._inside("ip", "link", "set", inner, "up")
        self._upstream = dsn
        self._stack = stack.enter_context(ExitStack())
        self._start_proxy()
        self.dsn = extensions.make_dsn(dsn, host=self.there, port="5432", sslmode="disable")

    def _start_proxy(self) -> None:
        program = [
            sys.executable,
            "-m",
            "tests.support.pg_proxy",
            self._upstream,
            self.there,
            "5432",
        ]
        process = subprocess.Popen(
            ["ip", "netns", "exec", self._name, *program],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        assert process.stdout is not None
        self._stack.callback(process.stdout.close)
        assert process.stdout.readline() == "ready\n"

    def drop_packets(self) -> None:
        """Let no packet out any more."""
        self._inside("ip", "route", "add", "blackhole", f"{self.here}/32")

    def recover(self) -> None:
        """Let packets through, and give up the connections that were lost."""
        self._inside("ip", "route", "del", "blackhole", f"{self.here}/32")
        self._stack.close()
        self._start_proxy()

    def _inside(self, *command: str) -> None:
        self._ip("netns", "exec", self._name, *command)

    def _ip(self, *arguments: str) -> None:
        done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
        if done.returncode and arguments[:2] == ("netns", "add"):
            pytest.skip(f"LOUD: no network namespace can be made here: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr


@pytest.fixture
def namespace(dsn: str) -> Iterator[Namespace]:
    """A host of its own that the test's database is reached by."""
    if os.geteuid() != 0:
        pytest.skip("LOUD: a network namespace needs root")
    if subprocess.run(["ip", "-V"], capture_output=True, check=False).returncode:
        pytest.skip("LOUD: a network namespace needs iproute2")
    with ExitStack() as stack:
        yield Namespace(dsn, stack)


@pytest.mark.long
@pytest.mark.parametrize("phase", ["staging", "merging"])
def test_dropped_packets_end_the_run_within_90_s(
    open_site: OpenSite, namespace: Namespace, phase: str
) -> None:
    site = open_site(FEED)
    site.variables["DATABASE_URL"] = namespace.dsn
    site.sync()
    site.api.show(1)
    site.api.reset()
    oracle = Oracle(site, snapshots=(0, 1))
    site.api.hold(after=10)
    running = start(site)
    site.await_staged(10)
    if phase == "staging":
        namespace.drop_packets()
        site.api.release()
        ended = end_in_time(site, running, "dropped packets while staging")
    else:
        with merge_kept_waiting(site, running):
            namespace.drop_packets()
            ended = end_in_time(site, running, "dropped packets while merging")
    namespace.recover()
    oracle.judge(ended)
    oracle.recover()
