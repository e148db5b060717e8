"""The programs of docs/changes.md, run as they are shown there.

Here the index is killed a few times, with `--long` a hundred times.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import pytest

from carsync.demo.feed import FeedOptions
from tests.e2e.conftest import Fill, OpenSite
from tests.support import effort
from tests.support.folders import ROOT
from tests.support.search_servers import (
    Elasticsearch,
    Meilisearch,
    SearchServer,
    Serving,
    Typesense,
)
from tests.support.shown_programs import shown
from tests.support.site import CARSYNC, DEADLINE_S, Running, SimulatedSite, Site, ask, await_that

FEED = FeedOptions(cars=200, changed_share=0.1, added_share=0.05, removed_share=0.05)
LINES_OF_A_RUN = 40
"""About as many as a run of this feed writes."""

PATH = f"{Path(CARSYNC[0]).parent}:{os.environ['PATH']}"
_LISTED = "SELECT id, title, make, model, year, color, location FROM {} WHERE {}"
_RECORDED = """SELECT c.run_id, c.id, c.action
FROM carsync.changes AS c JOIN carsync.change_batches AS b USING (run_id) WHERE b.position > %s"""
_RECORDER = '''
"""Runs the shown program; writes each line into a table too, and dies in the middle of a batch."""
import os, signal, sys
shown = {"__name__": "shown"}
exec(compile(open(sys.argv[1]).read(), sys.argv[1], "exec"), shown)
put, left = shown["put"], int(os.environ["LINES"])
def recorded(db, change):
    global left
    line = [change.get(name) for name in ("run", "id", "action", "cursor")]
    db.execute("INSERT INTO written VALUES (?, ?, ?, ?)", line)
    put(db, change)
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
shown["put"] = recorded
shown["SCHEMA"] += "CREATE TABLE IF NOT EXISTS written (run, id, action, cursor);"
shown["main"](*sys.argv[2:])
'''


class Follower:
    """The shown index of a site's table, as its user runs it beside the syncs."""

    def __init__(self, site: SimulatedSite, folder: Path) -> None:
        self.file = folder / "index.db"
        self._dsn = site.dsn
        self._shown, self._recorder = folder / "search_index.py", folder / "recorder.py"
        self._shown.write_text(shown("changes.md", "python", "search_index.py"))
        self._recorder.write_text(_RECORDER)
        self.site = Site(site.variables["API_BASE_URL"], "none", site.dsn, folder)
        self.site.variables["PATH"] = PATH

    def start(self, lines: int = 0) -> Running:
        """Start the program; it kills itself where it has written so many lines (0: never)."""
        self.site.variables["LINES"] = str(lines)
        program = [sys.executable, str(self._recorder), str(self._shown), str(self.file)]
        return self.site.start(program=program)

    def read(self, query: str) -> list[tuple[Any, ...]]:
        """Read the index as another program does; nothing while there is none."""
        if not self.file.exists():
            return []
        with closing(sqlite3.connect(self.file)) as db, suppress(sqlite3.OperationalError):
            return db.execute(query).fetchall()
        return []

    def is_in_step(self) -> bool:
        """Say whether the index holds the active cars of the table, and their texts."""
        indexed = self.read(_LISTED.format("cars", "true"))
        listed = ask(self._dsn, _LISTED.format("public.cars", "is_active"))
        return bool(indexed) and sorted(indexed) == sorted(listed)

    def search(self) -> list[tuple[Any, ...]]:
        """Ask the index as the page shows; fail where its words are not those of its cars."""
        with closing(sqlite3.connect(self.file)) as db:
            db.execute("INSERT INTO cars (cars) VALUES ('integrity-check')")
            _, query, _ = shown("changes.md", "bash", "sqlite3 index.db").split('"')
            return db.execute(query).fetchall()

    def written(self) -> Counter[tuple[Any, ...]]:
        """Return how often each line, the table's own aside, was written into the index."""
        return Counter(self.read("SELECT run, id, action FROM written WHERE run IS NOT NULL"))

    def loaded_at(self) -> int:
        """Return the place in the feed at which the table was loaded: once, or this fails."""
        found = self.read("SELECT DISTINCT cursor FROM written WHERE run IS NULL")
        ((cursor,),) = found
        return int(str(cursor).partition("-")[0])


@pytest.fixture
def site(open_site: OpenSite, fill: Fill) -> SimulatedSite:
    """A site whose table is filled, and whose feed changes a lot."""
    site = open_site(FEED)
    fill(site)
    return site


@pytest.fixture
def follower(site: SimulatedSite, tmp_path: Path) -> Iterator[Follower]:
    folder = tmp_path / "follower"
    folder.mkdir()
    follower = Follower(site, folder)
    yield follower
    follower.site.close()


def _move_on(site: SimulatedSite, snapshot: int) -> Running:
    site.api.show(snapshot)
    return site.start("sync", "--json")


def test_the_index_keeps_in_step_however_often_it_is_killed(
    site: SimulatedSite, follower: Follower
) -> None:
    dice = random.Random(13)
    lives = [follower.start(lines=dice.randint(1, len(site.truth())))]
    lives[0].process.wait(DEADLINE_S)  # it died while it read the table
    assert follower.read("SELECT * FROM written") == []
    begun_s = time.monotonic()
    lives.append(follower.start())
    await_that(follower.is_in_step, "the index in step with the table")
    lives[1].process.kill()
    life_s = time.monotonic() - begun_s
    site.check(_move_on(site, 1))
    lives.append(follower.start(lines=dice.randint(2, LINES_OF_A_RUN // 2)))
    lives[2].process.wait(DEADLINE_S)  # it died amidst a run's changes
    assert not follower.is_in_step()

    snapshot = 2
    sync = _move_on(site, snapshot)
    while len(lives) < effort.trials(4, 100):
        if sync.process.poll() is not None:
            site.check(sync)
            snapshot += 1
            sync = _move_on(site, snapshot)
        lives.append(follower.start(lines=dice.randint(1, 2 * LINES_OF_A_RUN)))
        with suppress(subprocess.TimeoutExpired):
            lives[-1].process.wait(dice.uniform(0.3, 1.5) * life_s)
        lives[-1].process.kill()
    site.check(sync)

    lives.append(follower.start())
    await_that(follower.is_in_step, "the index in step with the table")
    written = follower.written()
    assert written.keys() == set(ask(site.dsn, _RECORDED, (follower.loaded_at(),)))
    assert set(written.values()) == {1}, "a line was written twice"
    assert all("Kia" in title for _, title in follower.search())
    lives[-1].process.kill()
    ends = {(end.exit_code, end.err) for end in (life.end(within_s=5) for life in lives)}
    assert ends == {(-signal.SIGKILL, "")}, "a follower without a reader ends, and says nothing"
    follower.site.await_no_process()
    site.assert_exact(snapshot)


@pytest.mark.long
def test_an_index_that_is_too_far_behind_begins_anew(
    site: SimulatedSite, follower: Follower
) -> None:
    life = follower.start()
    await_that(follower.is_in_step, "the index in step with the table")
    life.process.kill()
    site.check(_move_on(site, 1))
    ask(site.dsn, "DELETE FROM carsync.changes")
    ask(site.dsn, "UPDATE carsync.runs SET changes_origin = 'pruned'")
    again = follower.start()
    await_that(follower.is_in_step, "the index in step again")
    loads = "SELECT count(DISTINCT cursor) FROM written WHERE run IS NULL"
    assert follower.read(loads) == [(2,)]
    again.process.kill()
    assert "changes behind this cursor are missing" in again.end().err


SERVERS: dict[str, type[Elasticsearch | Meilisearch | Typesense]] = {
    "9200": Elasticsearch,
    "7700": Meilisearch,
    "8108": Typesense,
}
"""By the port that the page shows."""


@pytest.mark.long
def test_search_servers_take_the_bodies_and_are_in_step(
    site: SimulatedSite, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        servers = [(word, made(), tmp_path / word) for word, made in SERVERS.items()]
        serving = [stack.enter_context(Serving(server)) for _, server, _ in servers]
        for (word, server, folder), served in zip(servers, serving, strict=True):
            folder.mkdir()
            send = shown("changes.md", "bash", word)
            send = send.replace(f"http://localhost:{word}", served.base_url)
            (folder / "send.sh").write_text(send)
            (folder / "bulk_bodies.py").write_text(shown("changes.md", "python", "bulk_bodies.py"))
            (folder / "key").write_text(server.key_line)
            (folder / "push.sh").write_text(shown("changes.md", "bash", "push.sh"))
            (folder / "prod.yaml").write_bytes((ROOT / "config" / "prod.yaml").read_bytes())
            _push(site, folder)
            _assert_holds(server, site, served)
        site.check(_move_on(site, 1))
        for (_, server, folder), served in zip(servers, serving, strict=True):
            _push(site, folder)
            _assert_holds(server, site, served)
        _push(site, servers[0][2])  # nothing is new


def _push(site: Site, folder: Path) -> None:
    """Run push.sh as a timer does."""
    environment = {**site.variables, "PATH": PATH}
    subprocess.run(["bash", "push.sh"], cwd=folder, env=environment, timeout=DEADLINE_S, check=True)


def _assert_holds(server: SearchServer, site: Site, serving: Serving) -> None:
    """Hold the server's documents against the active rows of the table, all columns."""
    assert serving.refused == []
    listed = ask(site.dsn, "SELECT id, to_jsonb(t)::text FROM public.cars AS t WHERE is_active")
    rows = {key: json.loads(row) for key, row in listed}
    if isinstance(server, Typesense):
        rows = {
            key: {name: value for name, value in row.items() if value is not None}
            for key, row in rows.items()
        }
    assert server.documents == rows
