"""What a first sync leaves, kept for the session: the next site of the same feed starts from it.

Most tests of a fault begin with a table in step with the feed. A sync that brings it there is
a dozen processes' start; a copy of the database is none.
"""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path

from psycopg2.extensions import parse_dsn

from carsync.config.dsn import target_name
from carsync.state.checkpoint import default_path
from tests.support.site import MARK, SimulatedSite, Site, ask, await_that

_OF_ONE_SITE = {"API_BASE_URL", "DATABASE_URL", "XDG_STATE_HOME", "HOME", MARK}
_numbers = count(1)


class Shelf:
    """Databases and checkpoints, each as a real first sync left them."""

    def __init__(self, server_dsn: str) -> None:
        self._server_dsn = server_dsn
        self._kept: dict[str, tuple[str, bytes]] = {}

    def fill(self, site: Site, feed: object = None) -> None:
        """Leave the site as its first sync does; a copy where another did the same before.

        The API has not been asked then, and PostgreSQL has not counted its rows' writes.
        `feed` stands for what a scripted API lists.
        """
        assert site.checkpoint_file is None, "a first sync is the first"
        if isinstance(site, SimulatedSite):
            feed = site.api.options
        variables = {k: v for k, v in site.variables.items() if k not in _OF_ONE_SITE}
        key = repr((feed, site.settings, variables))
        if key not in self._kept:
            site.sync()
            self._kept[key] = self._keep(site)
            return
        name, checkpoint = self._kept[key]
        self._copy(name, _name(site))
        path = _checkpoint_path(site)
        path.parent.mkdir(mode=0o700)
        path.touch(0o600)
        path.write_bytes(checkpoint)

    def close(self) -> None:
        """Drop the databases."""
        for name, _ in self._kept.values():
            ask(self._server_dsn, f'DROP DATABASE "{name}" WITH (FORCE)')

    def _keep(self, site: Site) -> tuple[str, bytes]:
        name = f"carsync_kept_{os.getpid()}_{next(_numbers)}"
        await_that(lambda: not site.sessions(), "the end of all sessions")
        self._copy(_name(site), name)
        return name, _checkpoint_path(site).read_bytes()

    def _copy(self, name: str, copy: str) -> None:
        ask(self._server_dsn, f'DROP DATABASE IF EXISTS "{copy}" WITH (FORCE)')
        ask(self._server_dsn, f'CREATE DATABASE "{copy}" TEMPLATE "{name}"')


def _name(site: Site) -> str:
    name: str = parse_dsn(site.dsn)["dbname"]
    return name


def _checkpoint_path(site: Site) -> Path:
    target = target_name(site.variables["DATABASE_URL"], "public", "cars")
    return default_path(site.variables, site.folder, target)
