"""Nothing piles up, however runs end: shared memory, descriptors, files, sessions, relations."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from psycopg2.extensions import parse_dsn

from tests.support.effort import trials
from tests.support.oracle import SESSIONS_GONE_S, Oracle
from tests.support.site import CARSYNC, Running, SimulatedSite, ask, await_that

SHARED_MEMORY = Path("/dev/shm")
ABSTRACT_SOCKETS = Path("/proc/net/unix")

pytestmark = pytest.mark.skipif(
    not ABSTRACT_SOCKETS.exists(), reason="LINUX ONLY: looks into /proc and /dev/shm"
)

_RELATIONS = (
    "SELECT relname FROM pg_class WHERE relnamespace = 'carsync'::regnamespace "
    "AND relkind IN ('r', 'i', 'S', 't') ORDER BY 1"
)


class Leftovers:
    """What there is now, and what came to it later and stayed."""

    def __init__(self, site: SimulatedSite) -> None:
        self._site = site
        self._temporary = site.folder / "tmp"
        self._temporary.mkdir()
        site.variables["TMPDIR"] = str(self._temporary)
        self.program, self._shared_memory = _with_shared_memory_of_its_own(site)
        self._shared = self._list_shared()
        self._relations = ask(site.dsn, _RELATIONS)
        self._descriptors = len(list(Path("/dev/fd").iterdir()))

    def expect_none(self) -> None:
        """Hold what is left of all runs against what there was before them."""
        site = self._site
        site.await_no_process()
        await_that(lambda: not site.sessions(), "the end of all sessions", SESSIONS_GONE_S)
        came = self._list_shared() - self._shared  # other programs' come and go too
        await_that(lambda: not came & self._list_shared(), "shared memory free again")
        assert list(self._temporary.iterdir()) == []
        assert [path.name for path in self._state_folder.glob(".*")] == []
        assert len(list(self._state_folder.iterdir())) == 2, "checkpoint and lock"
        assert len(list(Path("/dev/fd").iterdir())) <= self._descriptors
        zombies = [c for c in psutil.Process().children() if c.status() == psutil.STATUS_ZOMBIE]
        assert zombies == []

    def expect_no_relation(self) -> None:
        """Hold the relations of carsync's schema against those before all runs."""
        assert ask(self._site.dsn, _RELATIONS) == self._relations

    def _list_shared(self) -> set[str]:
        """Name what multiprocessing has in shared memory, and carsync's abstract sockets."""
        entries = {path.name for path in self._shared_memory.glob("*mp-*")}
        sockets = {line.split()[-1] for line in ABSTRACT_SOCKETS.read_text().splitlines()}
        return entries | {name for name in sockets if name.startswith("@carsync-")}

    @property
    def _state_folder(self) -> Path:
        return self._site.folder / "carsync"


def _with_shared_memory_of_its_own(site: SimulatedSite) -> tuple[list[str], Path]:
    """Give the command, and where its shared memory is: apart from others', where we are root."""
    if os.geteuid() != 0:
        return CARSYNC, SHARED_MEMORY
    folder = site.folder / "shm"
    folder.mkdir()
    bind = f'mount --rbind "$0" {SHARED_MEMORY} && exec "$@"'
    socket = Path(parse_dsn(site.dsn).get("host", ""))
    if socket.is_relative_to(SHARED_MEMORY):  # the server's socket must stay in sight
        (folder / socket.name).mkdir()
        bind = f'mount --bind "{socket}" "$0/{socket.name}" && {bind}'
    return ["unshare", "--mount", "sh", "-c", bind, str(folder), *CARSYNC], folder


def test_run_after_run_nothing_is_left_behind(site: SimulatedSite) -> None:
    leftovers = Leftovers(site)
    oracle = Oracle(site)
    for _ in range(trials(2, 50)):
        site.check(site.start("sync", program=leftovers.program))
    oracle.recover()
    leftovers.expect_none()
    leftovers.expect_no_relation()
    assert ask(site.dsn, "SELECT count(*) FROM carsync.runs") == [(trials(3, 51),)]


def kill_all_at_once(site: SimulatedSite, running: Running) -> None:
    """As systemd and the kernel do with a whole control group: nobody is left to tidy up.

    Not before all children work: until then the queue's semaphores have names.
    """
    await_that(lambda: _are_nameless(running), "semaphores without names")
    family = site.processes()
    assert len(family) >= 6, "parent, manager, fetchers, writers and the resource tracker"
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
    assert running.end().exit_code == -signal.SIGKILL


def _are_nameless(running: Running) -> bool:
    """Say whether the children have semaphores, and none that another process could open."""
    lines = [
        line
        for child in running.children()
        for line in Path(f"/proc/{child.pid}/maps").read_text().splitlines()
        if "/sem.mp-" in line
    ]
    return bool(lines) and all(line.endswith("(deleted)") for line in lines)


def kill_parent(site: SimulatedSite, running: Running) -> None:
    os.kill(running.process.pid, signal.SIGKILL)
    assert running.end().exit_code == -signal.SIGKILL


def interrupt_twice(site: SimulatedSite, running: Running) -> None:
    running.signal(signal.SIGINT)
    running.signal(signal.SIGTERM)  # another, for two of a kind may arrive as one
    assert running.end().exit_code in {130, 143}


@pytest.mark.parametrize(
    "end",
    [
        kill_all_at_once,
        *(pytest.param(end, marks=pytest.mark.long) for end in (kill_parent, interrupt_twice)),
    ],
)
def test_a_run_that_ends_by_force_leaves_nothing_behind(
    site: SimulatedSite, end: Callable[[SimulatedSite, Running], None]
) -> None:
    site.widen()
    leftovers = Leftovers(site)
    oracle = Oracle(site)
    for _ in range(trials(1, 10)):
        site.api.hold(after=4)
        before = len(site.staged_pages())
        running = site.start("sync", "--json", program=leftovers.program)
        site.await_staged(before + 4)
        end(site, running)
        leftovers.expect_none()
        site.api.release()
    oracle.recover()
    leftovers.expect_none()
    leftovers.expect_no_relation()
