"""A site that was copied from another's first run is one that has made this run itself."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import to_builtins

from tests.conftest import new_database
from tests.e2e.conftest import OpenSite
from tests.support.site import SimulatedSite, ask, sessions_kept
from tests.support.site_templates import Shelf

NAMES = "SELECT n.nspname || '.' || c.relname, c.relkind::text, c.relpersistence::text"
NAMES += " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
NAMES += " WHERE n.nspname IN ('public', 'carsync') ORDER BY 1"
OF_ONE_RUN = {"token", "duration_s", "version", "summary", "fingerprints", "moment", "stage"}
OF_ONE_RUN |= {"place", "latency", "rows_per_s", "eta_s", "boot_id", "pid", "updated_uptime_s"}
"""Keys whose values no two runs share; whatever ends in `_at` is one too."""


@sessions_kept()
def state_of(site: SimulatedSite) -> tuple[Any, ...]:
    """All that a run leaves in database and state folder, times and tokens aside."""
    relations = ask(site.dsn, NAMES)
    tables = [name for name, kind, _ in relations if kind == "r" and "samples" not in name]
    rows = {
        name: sorted(
            str(_lasting(row)) for (row,) in ask(site.dsn, f"SELECT to_jsonb(t) FROM {name} AS t")
        )
        for name in tables
    }
    folder = {f.suffix: f.stat().st_mode for f in site.folder.glob("carsync/*")}
    return relations, rows, folder, _lasting(to_builtins(site.checkpoint()))


def _lasting(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    kept = {k: v for k, v in value.items() if not k.endswith("_at") and k not in OF_ONE_RUN}
    return {key: _lasting(part) for key, part in kept.items()}


@pytest.mark.parametrize("state", ["filled", pytest.param("unfinished", marks=pytest.mark.long)])
def test_a_copied_site_is_as_its_first_run_left_it_and_goes_on_from_there(
    open_site: OpenSite, server_dsn: str, state: str
) -> None:
    shelf = Shelf(server_dsn)
    leave = shelf.fill if state == "filled" else shelf.leave_unfinished
    first = open_site()
    leave(first)
    assert first.api.log or state == "unfinished", "the first is a real run"
    with new_database(server_dsn, "template0") as dsn:
        copy = open_site(dsn=dsn)
        copy.folder /= "copy"
        copy.folder.mkdir()
        copy.variables["XDG_STATE_HOME"] = str(copy.folder)
        leave(copy)
        assert copy.api.log == [], "no run made it"
        assert state_of(copy) == state_of(first)
        staged = copy.staged_pages()
        ended = copy.sync()
        copy.assert_exact()
        assert (ended.report["run_id"] == 1) == (state == "unfinished"), "it resumes its own run"
        assert set(copy.api.pages_read()) == set(range(1, copy.pages() + 1)) - staged
    shelf.close()
