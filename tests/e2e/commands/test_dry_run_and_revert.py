"""A run that is tried, one that only tastes, and one that is taken back, by their user."""

from __future__ import annotations

import signal

import pytest

from tests.support.oracle import Oracle
from tests.support.site import SimulatedSite, ask

pytestmark = pytest.mark.quick


def record(site: SimulatedSite) -> list[list[tuple[object, ...]]]:
    """All that carsync keeps beside the cars, and the names of its tables."""
    tables = ("runs", "changes", "absences", "rejects", "hash_schemes")
    kept = [ask(site.dsn, f"SELECT t::text FROM carsync.{name} AS t ORDER BY 1") for name in tables]
    names = ask(
        site.dsn,
        "SELECT relname FROM pg_class WHERE relnamespace = 'carsync'::regnamespace ORDER BY 1",
    )
    return [*kept, names]


def test_dry_run_counts_what_the_next_run_does_and_a_revert_takes_it_back(
    site: SimulatedSite,
) -> None:
    oracle = Oracle(site)
    ask(site.dsn, "ALTER TABLE cars DROP COLUMN color")
    refused = site.sync("--dry-run", expect=4)
    assert refused.report["detail"] == "column public.cars.color is missing"
    assert "carsync migrate" in refused.report["hint"]
    site.sync()
    ask(
        site.dsn,
        "DELETE FROM cars WHERE id IN (SELECT id FROM cars ORDER BY id LIMIT 3);"
        "UPDATE cars SET price = 1, data_hash = 'old'"
        " WHERE id IN (SELECT id FROM cars ORDER BY id LIMIT 4);"
        "UPDATE cars SET is_active = false"
        " WHERE id IN (SELECT id FROM cars ORDER BY id DESC LIMIT 5);"
        "INSERT INTO cars (id, source_api, is_active) VALUES ('7999999', 'external', true)",
    )
    before, kept, checkpoint = site.rows(), record(site), site.checkpoint()
    assert checkpoint is not None

    told = site.folder / "carsync.prom"
    tried = site.sync("--dry-run", "--set", f"metrics.textfile={told}")
    assert not told.exists(), "its success would be told as the real thing's"
    kinds = {name: tried.counts[name] for name in ("inserted", "updated", "reactivated")}
    assert kinds == {"inserted": 3, "updated": 4, "reactivated": 5}
    assert tried.counts["deactivated"] == 1
    assert (tried.report["dry_run"], tried.report["state"]) == (True, "complete")
    assert site.rows() == before
    assert record(site) == kept
    after = site.checkpoint()
    assert after is not None
    assert after.tried is not None
    assert after.last_success_at == checkpoint.last_success_at
    assert after.updated == checkpoint.updated

    done = site.sync()
    assert done.counts == tried.counts
    oracle.judge(done)
    run_id = str(done.report["run_id"])
    written = site.rows()
    looked = site.run("revert", run_id, "--dry-run")
    assert "Dry run, nothing was changed." in looked.said
    asked = site.run("revert", run_id)
    assert asked.exit_code == 2, "nobody said yes"
    assert site.rows() == written
    back = site.run("revert", run_id, "--yes", "--json")
    assert back.exit_code == 0, back.err
    assert site.rows() == before
    assert back.report["counts"]["deleted"] == done.counts["inserted"]
    again = site.run("revert", run_id, "--yes")
    assert (again.exit_code, again.out) == (2, "")
    assert f"already taken back, by run {back.report['reverted_by']}" in again.said
    ask(site.dsn, "UPDATE cars SET title = 'mine' WHERE id = (SELECT min(id) FROM cars)")
    oracle.recover()


def test_trials_leave_an_unfinished_run_its_pages_and_a_taste_is_no_success(
    site: SimulatedSite,
) -> None:
    taste = site.sync("--max-pages", "3", expect=5)
    assert taste.counts == {"seen": 60, "inserted": 60}
    assert sorted(site.api.pages_read()) == [1, 2, 3]
    status = site.status()
    assert status["last_success_at"] is None
    ask(site.dsn, "UPDATE cars SET data_hash = 'old'")

    site.api.hold(after=4)
    running = site.start("sync", "--json")
    staged = site.await_staged(4)
    running.signal(signal.SIGTERM)
    site.api.release()
    interrupted = site.check(running, 143).report["run_id"]
    assert site.sync("--max-pages", "3", expect=75).report["run_id"] is None
    tried = site.sync("--dry-run", "--max-pages", "3", expect=5)
    assert tried.counts == {"seen": 60, "updated": 60}

    site.api.hold(after=2)
    dead = site.start("sync", "--json", "--dry-run")
    site.await_staged(2)
    dead.signal(signal.SIGKILL)
    dead.end()
    site.api.release()
    site.await_no_process()
    site.api.log.clear()
    resumed = site.sync()
    assert resumed.report["run_id"] == interrupted
    assert not staged & set(site.api.pages_read())
    site.assert_exact()
    assert not ask(
        site.dsn, "SELECT relname FROM pg_class WHERE relname ~ '^(staging|ledger|delta)_'"
    )
    assert ask(site.dsn, "SELECT count(*) FROM carsync.runs WHERE scope = 'dry'") == [(0,)]
