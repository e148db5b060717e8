"""A writer of a process that is dead sleeps, and wakes up when its run is another's."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import psycopg2
import pytest
from msgspec.structs import replace

from carsync.engine.local.child import run_by_name
from carsync.engine.local.messages import WorkerReady, WriterArgs
from carsync.engine.local.page_queue import PageQueue
from carsync.engine.messages import WorkerFailed
from carsync.mapping.mapper import Mapper
from carsync.model import MappedPage
from tests.e2e.conftest import LeaveUnfinished, OpenSite
from tests.support.oracle import Oracle
from tests.support.site import SimulatedSite, ask, await_that

PAGE = 20
AGAIN = 8
"""Answers until the second run stands still; the dead one's requests may get half of them."""
CLAIMED = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'carsync writer run 1'"
CLAIMED += " AND datname = current_database() AND "


class LeftOver:
    """A real writer of run 1, whose parent is the test."""

    def __init__(self, site: SimulatedSite, stack: ExitStack) -> None:
        context = multiprocessing.get_context("spawn")
        self.said: list[Any] = []
        self._pipe, theirs = context.Pipe()
        self._pages = PageQueue(context, 8)
        stack.callback(self._pages.abandon)
        stack.callback(self._pipe.close)
        config = site.config()
        token = ask(site.dsn, "SELECT token::text FROM carsync.runs WHERE run_id = 1")[0][0]
        settings = WriterArgs(config.database, 1, token, Mapper.load(config).columns, os.getpid())
        self._process = context.Process(
            target=run_by_name,
            args=(
                "text",
                "carsync.engine.local.writer",
                "run_writer",
                theirs,
                self._pages,
                settings,
            ),
            daemon=True,
        )
        self._process.start()
        theirs.close()
        stack.callback(self._process.join, 10)
        stack.callback(self._process.kill)
        await_that(lambda: self.hears(WorkerReady), "the writer's connection")

    def hears(self, kind: type) -> bool:
        """Say whether the writer has said something of this kind by now."""
        try:
            while self._pipe.poll(0):
                self.said.append(self._pipe.recv())
        except (EOFError, OSError):
            pass
        return any(isinstance(event, kind) for event in self.said)

    def give(self, page: MappedPage) -> None:
        """Put a page on its queue."""
        self._pages.put(page, 5.0)

    def sleep(self) -> None:
        """Stop it."""
        assert self._process.pid is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def wake(self) -> None:
        """Let it go on."""
        assert self._process.pid is not None
        os.kill(self._process.pid, signal.SIGCONT)

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return not self._process.is_alive()

    def end(self) -> None:
        """Wait until it has ended by itself."""
        self._process.join(15)
        assert self.has_ended


def wrong_page(site: SimulatedSite) -> MappedPage:
    """Give page 20 with hashes that nobody may ever see in the table."""
    page = site.mapped_page(PAGE)
    return replace(page, rows=tuple((*row[:-1], "wrong") for row in page.rows))


def asleep_before_the_claim(site: SimulatedSite, writer: LeftOver) -> None:
    """It holds no page and no lock, but its queue does."""
    writer.sleep()
    writer.give(wrong_page(site))


def asleep_in_the_transaction(site: SimulatedSite, writer: LeftOver) -> None:
    """It has claimed the page, and its session sits in the open transaction."""
    with closing(psycopg2.connect(site.dsn)) as conn, conn.cursor() as cur:
        cur.execute("LOCK TABLE carsync.staging_1")
        writer.give(wrong_page(site))
        waits = CLAIMED + "wait_event_type = 'Lock'"
        await_that(lambda: ask(site.dsn, waits), "the claim, and the wait for the lock")
        writer.sleep()
        conn.rollback()
    idle = CLAIMED + "state = 'idle in transaction'"
    await_that(lambda: ask(site.dsn, idle), "the idle transaction")


Moment = Callable[[SimulatedSite, LeftOver], None]


@contextmanager
def dead_run(site: SimulatedSite, leave_unfinished: LeaveUnfinished) -> Iterator[LeftOver]:
    """Leave run 1 behind, ten pages staged, its parent killed; give a writer that is left."""
    leave_unfinished(site)
    await_that(lambda: not site.sessions(), "the end of all sessions")
    with ExitStack() as stack:
        yield LeftOver(site, stack)


@pytest.mark.parametrize(
    ("moment", "arguments"),
    [
        pytest.param(asleep_before_the_claim, (), marks=pytest.mark.long),
        (asleep_in_the_transaction, ()),
        pytest.param(asleep_before_the_claim, ("--fresh",), marks=pytest.mark.long),
        pytest.param(asleep_in_the_transaction, ("--fresh",), marks=pytest.mark.long),
    ],
)
def test_a_writer_that_wakes_up_too_late_is_fenced_out(
    open_site: OpenSite,
    leave_unfinished: LeaveUnfinished,
    moment: Moment,
    arguments: tuple[str, ...],
) -> None:
    site = open_site()
    oracle = Oracle(site)
    with dead_run(site, leave_unfinished) as writer:
        moment(site, writer)
        staged = site.staged_pages()
        site.api.reset()
        site.api.hold(after=AGAIN)
        running = site.start("sync", "--json", *arguments)
        kept = set() if arguments else staged
        newest = "SELECT 1 FROM carsync.runs WHERE run_id = 2 OR resumed_at IS NOT NULL"
        await_that(lambda: ask(site.dsn, newest), "the second run")
        site.await_staged(len(kept) + 4)
        writer.wake()
        writer.end()
        assert writer.hears(WorkerFailed)
        site.api.release()
        ended = site.check(running)
        oracle.judge(ended)
        assert PAGE in site.api.pages_read()
        assert len(site.api.pages_read()) == site.pages() - len(kept)
        assert ended.counts == {"seen": 600, "inserted": 600}


def test_a_page_that_a_sleeping_writer_has_committed_is_kept(
    open_site: OpenSite, leave_unfinished: LeaveUnfinished
) -> None:
    site = open_site()
    oracle = Oracle(site)
    with dead_run(site, leave_unfinished) as writer:
        writer.give(site.mapped_page(PAGE))
        await_that(lambda: PAGE in site.staged_pages(), "the commit")
        writer.sleep()
        site.api.reset()
        site.api.hold(after=AGAIN)
        running = site.start("sync", "--json")
        site.await_staged(11 + 4)
        writer.wake()
        writer.give(wrong_page(site))
        writer.end()
        assert writer.hears(WorkerFailed)
        site.api.release()
        oracle.judge(site.check(running))
        assert PAGE not in site.api.pages_read()
