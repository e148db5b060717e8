"""PostgreSQL crashes, is cut off, fills up or refuses: nothing lost, nobody falsely gone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psycopg2
import pytest
from psycopg2 import extensions

from carsync.demo import postgres
from carsync.demo.feed import FeedOptions
from carsync.demo.postgres import EmbeddedPostgres
from tests.e2e.conftest import Fill, OpenSite
from tests.support.oracle import Oracle
from tests.support.pg_proxy import CommitCut, PgProxy
from tests.support.site import SimulatedSite, ask, await_that
from tests.support.site_templates import Shelf

FEED = FeedOptions(cars=600, changed_share=0.05, added_share=0.03, removed_share=0.04)
RECORDS_MERGE = "merged_at = now()"
"""What only the merge's last statement says."""
HASTY = "outcome_s=2,merge_back_off_s=0.1:0.1:0.1"


def grown(site: SimulatedSite, fill: Fill) -> SimulatedSite:
    """Bring the site's table to the feed's first snapshot, and the feed to its second."""
    fill(site)
    site.api.show(1)
    site.api.reset()
    return site


def runs(site: SimulatedSite) -> list[tuple[str, bool]]:
    """Return state and whether it was merged, of all runs but the first."""
    query = "SELECT state, counts IS NOT NULL FROM carsync.runs WHERE run_id > 1 ORDER BY run_id"
    return ask(site.dsn, query)


@contextmanager
def locked_rows(dsn: str) -> Iterator[psycopg2.extensions.connection]:
    """Hold all rows of the table in a session of its own until the block ends."""
    with closing(psycopg2.connect(dsn, application_name="a rival")) as conn:
        with conn.cursor() as cur:
            cur.execute("UPDATE public.cars SET title = title")
        yield conn


def await_waiting_merge(site: SimulatedSite) -> None:
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
    waiting += "AND datname = current_database() AND application_name = 'carsync'"
    await_that(lambda: ask(site.dsn, waiting), "the merge's wait for the row")


# ── crashes of the server ────────────────────────────────────────────────────


@pytest.fixture
def crashing_site(open_site: OpenSite, crashing_dsn: str, own_shelf: Shelf) -> SimulatedSite:
    """A site in a new database of the server that may crash."""
    return grown(open_site(FEED, dsn=crashing_dsn), own_shelf.fill)


def _stop_immediately(site: SimulatedSite, server: EmbeddedPostgres) -> None:
    server.stop("immediate")


def _kill_parents_backend(site: SimulatedSite, server: EmbeddedPostgres) -> None:
    _kill_backend(site, "carsync")


def _kill_writers_backend(site: SimulatedSite, server: EmbeddedPostgres) -> None:
    _kill_backend(site, "carsync writer%")


def _kill_backend(site: SimulatedSite, application_name: str) -> None:
    """Kill a server process; PostgreSQL then restarts all of them and empties what is unlogged."""
    query = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE %s"
    os.kill(ask(site.dsn, query, (application_name,))[0][0], signal.SIGKILL)


Crash = Callable[[SimulatedSite, EmbeddedPostgres], None]


def _await_server(server: EmbeddedPostgres) -> None:
    """Start the server where it is down, and wait until it lets clients in."""
    server.start()

    def answers() -> bool:
        try:
            return bool(ask(server.dsn, "SELECT 1"))
        except psycopg2.OperationalError:
            return False

    await_that(answers, "the server's recovery")


@pytest.mark.parametrize(
    "crash",
    [
        _stop_immediately,
        pytest.param(_kill_parents_backend, marks=pytest.mark.long),
        pytest.param(_kill_writers_backend, marks=pytest.mark.long),
    ],
)
def test_a_crash_while_staging_loses_nothing_and_is_recovered_from(
    crashing_site: SimulatedSite, own_server: EmbeddedPostgres, crash: Crash
) -> None:
    site = crashing_site
    oracle = Oracle(site, snapshots=(0, 1))
    site.api.hold(after=15)
    running = site.start("sync", "--json")
    site.await_staged(15)
    crash(site, own_server)
    site.api.release()
    ended = site.check(running, 4)
    assert "it resumes" in ended.report["next_step"]
    _await_server(own_server)
    oracle.judge(ended)
    again = oracle.recover()
    assert again.report["run_id"] == ended.report["run_id"]
    assert runs(site) == [("complete", True)]


@pytest.mark.parametrize(
    "crash", [_stop_immediately, pytest.param(_kill_parents_backend, marks=pytest.mark.long)]
)
@pytest.mark.long
def test_a_crash_while_merging_leaves_the_table_as_it_was(
    crashing_site: SimulatedSite, own_server: EmbeddedPostgres, crash: Crash
) -> None:
    site = crashing_site
    oracle = Oracle(site, snapshots=(0, 1))
    with locked_rows(site.dsn):
        running = site.start("sync", "--json", deadlines=HASTY)
        await_waiting_merge(site)
        crash(site, own_server)
        ended = site.check(running, 4)
    _await_server(own_server)
    oracle.judge(ended)
    oracle.recover()
    assert [merged for _, merged in runs(site)].count(True) == 1


# ── connections that break around COMMIT ─────────────────────────────────────


@pytest.fixture
def proxied_site(open_site: OpenSite, proxy: PgProxy, fill: Fill) -> SimulatedSite:
    """A site, its table a snapshot behind, whose database is behind the proxy."""
    site = open_site(FEED)
    site.variables["DATABASE_URL"] = proxy.dsn
    return grown(site, fill)


@pytest.mark.parametrize(("when", "code"), [("before", 4), ("after", 0)])
def test_a_merge_cut_at_its_commit_is_neither_lost_nor_run_twice(
    proxied_site: SimulatedSite, proxy: PgProxy, when: CommitCut, code: int
) -> None:
    site = proxied_site
    oracle = Oracle(site, snapshots=(0, 1))
    proxy.cut_commit(when, after_query=RECORDS_MERGE, application_name="carsync")
    ended = site.sync(expect=code)
    assert proxy.cuts == 1
    oracle.judge(ended)
    changed = {"seen", "inserted", "updated", "unchanged", "deactivated"}
    if when == "after":
        assert ended.counts.keys() == changed
        assert runs(site) == [("complete", True)]
    site.api.reset()
    again = oracle.recover()
    if when == "before":
        assert site.api.pages_read() == [], "all was staged"
        assert again.counts.keys() == changed
        assert runs(site) == [("complete", True)]
    else:
        assert again.counts.keys() == {"seen", "unchanged"}


def test_a_commit_that_a_failover_lost_is_no_success(
    open_site: OpenSite, fill: Fill, tmp_path: Path
) -> None:
    """The standby that takes over knows the run, its token too, but not what it committed last."""
    site, pause = grown(open_site(FEED), fill), tmp_path / "pause"
    oracle = Oracle(site, snapshots=(0, 1))
    lose = "UPDATE carsync.runs SET state = 'running', counts = NULL, merged_at = NULL"
    site.variables["CARSYNC_FAILPOINT"] = f"sync.closing=pause@{pause}"
    running = site.start("sync", "--json")
    await_that(pause.exists, "the end")
    ask(site.dsn, f"{lose} WHERE run_id = (SELECT max(run_id) FROM carsync.runs) RETURNING 1")
    pause.unlink()
    ended = site.check(running, 4)
    assert "the database has lost" in ended.said
    assert ended.report["counts"] is None
    assert runs(site)[-1] == ("running", False)
    del site.variables["CARSYNC_FAILPOINT"]
    oracle.recover()


@pytest.mark.parametrize(
    ("when", "code"), [pytest.param("before", 4, marks=pytest.mark.long), ("after", 0)]
)
@pytest.mark.long
def test_the_outcome_of_a_cut_merge_is_looked_up_until_the_database_is_back(
    proxied_site: SimulatedSite, proxy: PgProxy, when: CommitCut, code: int
) -> None:
    site = proxied_site
    oracle = Oracle(site, snapshots=(0, 1))
    is_cut = threading.Event()

    def cut() -> None:
        proxy.refuse()
        is_cut.set()  # not before: the test lets the proxy recover then

    proxy.on_cut = cut
    proxy.cut_commit(when, after_query=RECORDS_MERGE, application_name="carsync")
    running = site.start("sync", "--json")
    await_that(is_cut.is_set, "the cut")
    log = site.folder / "carsync"
    assert log.exists()
    site.await_checkpoint(lambda state: state.state == "merging", "the merge")
    began = len(proxy.seen)
    proxy.on_cut = lambda: None
    proxy.recover()
    ended = site.check(running, code)
    assert len(proxy.seen) > began
    oracle.judge(ended)
    oracle.recover()
    assert [merged for _, merged in runs(site)].count(True) == (2 if when == "after" else 1)


def test_a_writer_cut_at_its_commit_stages_no_page_twice(
    proxied_site: SimulatedSite, proxy: PgProxy
) -> None:
    site = proxied_site
    oracle = Oracle(site, snapshots=(0, 1))
    writer = "carsync writer run 2"
    proxy.cut_commit("after", after_query="carsync", application_name=writer)
    ended = site.sync(expect=4)
    oracle.judge(ended)
    staged = site.staged_pages()
    assert staged
    site.api.reset()
    oracle.recover()
    assert staged.isdisjoint(site.api.pages_read())


@pytest.mark.long
def test_a_connection_cut_in_the_middle_of_a_message_is_recovered_from(
    proxied_site: SimulatedSite, proxy: PgProxy
) -> None:
    site = proxied_site
    oracle = Oracle(site, snapshots=(0, 1))
    site.api.hold(after=10)
    running = site.start("sync", "--json")
    site.await_staged(10)
    proxy.cut_after_bytes(30_000)
    site.api.release()
    ended = site.check(running, 4)
    oracle.judge(ended)
    oracle.recover()


# ── rivals ───────────────────────────────────────────────────────────────────


@pytest.mark.long
def test_a_merge_that_loses_a_deadlock_is_repeated(open_site: OpenSite, fill: Fill) -> None:
    """The rival holds a row and asks for one that the merge has written."""
    site = grown(open_site(FEED), fill)
    oracle = Oracle(site, snapshots=(0, 1))
    before = site.active()
    changed = sorted(car for car, hash_ in site.truth(1).items() if before.get(car, hash_) != hash_)
    # Whose wait ends first is the victim: ours, since the rival is patient.
    rival = psycopg2.connect(site.dsn, options="-c deadlock_timeout=60s", application_name="rival")
    with closing(rival), rival.cursor() as cur:
        cur.execute("UPDATE public.cars SET title = title WHERE id = %s", (changed[-1],))
        running = site.start("sync", "--json", deadlines=HASTY)
        await_waiting_merge(site)
        crossing = threading.Thread(
            target=cur.execute,
            args=("UPDATE public.cars SET title = title WHERE id <> %s", (changed[-1],)),
        )
        crossing.start()
        crossing.join(20)
        assert not crossing.is_alive(), "the merge gave way"
        rival.rollback()
        ended = site.check(running, 0)
    assert "deadlock detected" in ended.err
    assert "is repeated" in ended.err
    oracle.judge(ended)


@pytest.mark.long
def test_a_merge_that_loses_every_time_ends_resumable(open_site: OpenSite, fill: Fill) -> None:
    site = grown(open_site(FEED), fill)
    oracle = Oracle(site, snapshots=(0, 1))
    ask(
        site.dsn,
        "CREATE FUNCTION public.lose() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '40001'; END $$; "
        "CREATE TRIGGER lose BEFORE UPDATE ON public.cars EXECUTE FUNCTION public.lose()",
    )
    ended = site.check(site.start("sync", "--json", deadlines=HASTY), 4)
    assert ended.err.count("is repeated") == 3
    oracle.judge(ended)
    ask(site.dsn, "DROP TRIGGER lose ON public.cars")
    oracle.recover()


@pytest.mark.long
def test_a_merge_that_gets_no_lock_names_the_session_that_holds_it(
    open_site: OpenSite, fill: Fill
) -> None:
    site = grown(open_site(FEED), fill)
    oracle = Oracle(site, snapshots=(0, 1))
    with locked_rows(site.dsn) as rival:
        ended = site.sync(expect=4, database__lock_timeout_s=1.0)
        assert f"a rival (PostgreSQL pid {rival.info.backend_pid}" in ended.report["detail"]
        assert "its last query began" in ended.report["detail"]
    assert "database.lock_timeout_s" in ended.report["hint"]
    oracle.judge(ended)
    oracle.recover()


# ── a full disk ──────────────────────────────────────────────────────────────


class Disk:
    """A small file system of its own that can be filled to the last byte."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Leave no free byte."""
        with self._ballast.open("wb", buffering=0) as ballast, suppress(OSError):
            while ballast.write(bytes(4096)):
                pass

    def free(self) -> None:
        """Free what filled it."""
        self._ballast.unlink(missing_ok=True)


@pytest.fixture
def disk(own_server: EmbeddedPostgres) -> Iterator[Disk]:
    """A disk with a tablespace, and a database `crowded` that can move to it."""
    if os.geteuid() != 0:
        pytest.skip("LOUD: a disk of its own needs root")
    own_server.start()
    with tempfile.TemporaryDirectory(prefix="carsync-disk-") as name:
        mount = ["mount", "-t", "tmpfs", "-o", "size=48m,mode=755", "tmpfs", name]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("LOUD: mounting a tmpfs is not allowed here")
        space = Path(name) / "space"
        space.mkdir()
        shutil.chown(space, postgres.UNPRIVILEGED_USER)
        try:
            ask(own_server.dsn, f"CREATE TABLESPACE small LOCATION '{space}'")
            ask(own_server.dsn, "CREATE DATABASE crowded")
            yield Disk(Path(name))
        finally:
            (Path(name) / "ballast").unlink(missing_ok=True)
            ask(own_server.dsn, "DROP DATABASE IF EXISTS crowded WITH (FORCE)")
            ask(own_server.dsn, "DROP TABLESPACE IF EXISTS small")
            subprocess.run(["umount", "--lazy", name], check=True)


@pytest.mark.parametrize("phase", ["staging", pytest.param("merging", marks=pytest.mark.long)])
def test_a_full_disk_of_the_server_ends_the_run_until_space_is_freed(
    open_site: OpenSite, own_server: EmbeddedPostgres, own_shelf: Shelf, disk: Disk, phase: str
) -> None:
    crowded = extensions.make_dsn(own_server.dsn, dbname="crowded")
    site = grown(open_site(FEED, dsn=crowded), own_shelf.fill)
    ask(own_server.dsn, "ALTER DATABASE crowded SET TABLESPACE small")
    oracle = Oracle(site, snapshots=(0, 1))
    site.api.hold(after=5)
    running = site.start("sync", "--json")
    site.await_staged(5)
    if phase == "staging":
        disk.fill()
        site.api.release()
        ended = site.check(running, 4)
    else:
        with locked_rows(site.dsn) as rival:
            site.api.release()
            await_waiting_merge(site)
            disk.fill()
            rival.rollback()
            ended = site.check(running, 4)
    disk.free()
    assert "SQLSTATE 53100" in ended.report["detail"]
    assert "disk of the database server is full" in ended.report["hint"]
    oracle.judge(ended)
    again = oracle.recover()
    assert again.report["run_id"] == ended.report["run_id"]
