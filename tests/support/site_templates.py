"""What a first run leaves, kept for the session: the next site of the same feed starts from it.

Most tests of a fault begin with a table in step with the feed, or with a run that died half-way.
A sync that brings it there is a dozen processes' start; a copy of the database is none.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from itertools import count
from pathlib import Path

from msgspec.structs import replace
from psycopg2.extensions import parse_dsn

from carsync.config.dsn import place_of, target_name
from carsync.mapping.mapper import Mapper
from carsync.run.fingerprints import fingerprints
from carsync.state.checkpoint import default_path, load, save
from tests.conftest import copy_database
from tests.support.site import MARK, SimulatedSite, Site, ask, await_that
from tests.support.small_feed import SmallSite

UNFINISHED_PAGES = 10
_OF_ONE_SITE = {"API_BASE_URL", "DATABASE_URL", "XDG_STATE_HOME", "HOME", MARK, "checkpoint.path"}
_STANDING_STILL = dict.fromkeys(("changed_share", "added_share", "removed_share"), 0.0)
_numbers = count(1)


class Shelf:
    """Databases and state folders, each as a real run left them."""

    def __init__(self, server_dsn: str) -> None:
        self._server_dsn = server_dsn
        self._kept: dict[str, tuple[str, dict[str, bytes]]] = {}

    def fill(self, site: Site, feed: object = None) -> None:
        """Leave the site as its first sync does; a copy where another did the same before.

        The API has not been asked then, and PostgreSQL has not counted its rows' writes.
        `feed` stands for what a scripted API lists. How a simulated one moves on later is no
        matter of its first snapshot.
        """
        self.leave(site, "filled", site.sync, feed)

    def leave(self, site: Site, state: str, run: Callable[[], object], feed: object = None) -> None:
        """Leave the site as `run` does; a copy where another was left in this state before."""
        if isinstance(site, SmallSite):
            feed = site.listing()
        if isinstance(site, SimulatedSite):
            options = site.api.options
            feed = replace(options, feed=replace(options.feed, **_STANDING_STILL))
        self._leave(site, state, feed, run)

    def leave_unfinished(self, site: SimulatedSite) -> set[int]:
        """Leave the site as a first run does that is killed after ten pages; return them."""
        self._leave(site, "unfinished", site.api.options, lambda: _kill_half_way(site))
        return site.staged_pages()

    def close(self) -> None:
        """Drop the databases."""
        for name, _ in self._kept.values():
            ask(self._server_dsn, f'DROP DATABASE "{name}" WITH (FORCE)')

    def _leave(self, site: Site, state: str, feed: object, run: Callable[[], object]) -> None:
        assert site.checkpoint_file is None, "a first run is the first"
        words = {**site.settings, **site.variables}.items()
        key = repr((state, feed, [word for word in words if word[0] not in _OF_ONE_SITE]))
        if key not in self._kept:
            run()
            self._kept[key] = self._keep(site)
            return
        name, files = self._kept[key]
        self._copy(name, _name(site))
        path = _checkpoint_path(site)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        for ending, content in files.items():
            file = path.with_name(path.name + ending)
            file.touch(0o600)
            file.write_bytes(content)
        _make_its_own(site, path)

    def _keep(self, site: Site) -> tuple[str, dict[str, bytes]]:
        name = f"carsync_kept_{os.getpid()}_{next(_numbers)}"
        await_that(lambda: not site.sessions(), "the end of all sessions")
        self._copy(_name(site), name)
        path = _checkpoint_path(site)
        files = path.parent.glob(f"{path.name}*")
        return name, {file.name.removeprefix(path.name): file.read_bytes() for file in files}

    def _copy(self, name: str, copy: str) -> None:
        ask(self._server_dsn, f'DROP DATABASE IF EXISTS "{copy}" WITH (FORCE)')
        copy_database(self._server_dsn, name, copy)


def _make_its_own(site: Site, path: Path) -> None:
    """Let the copied run be one of this site's API and database, so that it can be resumed."""
    config = site.config()
    own = fingerprints(config, Mapper.load(config))
    ask(site.dsn, "UPDATE carsync.runs SET fingerprints = %s", (json.dumps(own),))
    state = load(path)
    assert state is not None
    save(path, replace(state, fingerprints=own, place=place_of(config)))


def _kill_half_way(site: SimulatedSite) -> None:
    """Kill a run when ten pages are staged and in the checkpoint."""
    site.api.hold(after=UNFINISHED_PAGES)
    running = site.start("sync", "--json")
    site.await_staged(UNFINISHED_PAGES)
    site.await_checkpoint(lambda state: state.pages_done == UNFINISHED_PAGES, "them in it")
    running.process.kill()
    running.end()
    site.await_no_process()
    site.api.release()
    site.api.reset()


def _name(site: Site) -> str:
    name: str = parse_dsn(site.dsn)["dbname"]
    return name


def _checkpoint_path(site: Site) -> Path:
    if at := site.settings.get("checkpoint.path"):
        return Path(at)
    target = target_name(site.variables["DATABASE_URL"], "public", "cars")
    return default_path(site.variables, site.folder, target)
