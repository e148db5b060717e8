"""`carsync status`: before, during and after runs, from the checkpoint alone."""

from __future__ import annotations

import os
import signal

import pytest
from psycopg2.extensions import make_dsn

from tests.e2e.conftest import Fill
from tests.support.site import SimulatedSite

pytestmark = pytest.mark.quick


def test_before_the_first_run_there_is_nothing_to_show(site: SimulatedSite) -> None:
    assert site.status()["state"] == "none"
    assert "run `carsync sync`" in site.run("status").said
    assert site.run("status", "--max-age", "26h").exit_code == 7


def test_while_a_run_is_going_on_and_after_it_was_killed(site: SimulatedSite) -> None:
    site.api.hold(after=10)
    running = site.start("sync")
    site.await_checkpoint(lambda state: state.pages_done == 10, "ten pages in it")
    during = site.status()
    assert during["state"] == "running"
    assert during["lock_held"] is True
    assert during["pid"] == running.process.pid
    assert during["phase"] == "fetching"
    assert during["pages_planned"] == site.pages()
    assert during["rows_staged"] == 200
    assert during["latency"]["p50_s"] > 0
    shown = site.run("status").out
    assert "10 of 30 (33" in shown
    assert "nothing to do; the run is in progress" in shown

    os.kill(running.process.pid, signal.SIGKILL)
    running.end()
    site.await_no_process()
    dead = site.status()
    assert dead["state"] == "interrupted"
    assert dead["recorded_state"] == "running"
    assert dead["lock_held"] is False
    assert "ended unexpectedly" in dead["reason"]
    assert "fetches only the pages that were not staged" in dead["next_step"]
    assert dead["pages_done"] == 10

    site.api.release()
    run_id = site.sync().report["run_id"]
    done = site.status()
    assert done["state"] == "complete"
    assert done["run_id"] == run_id
    assert done["pages_done"] == done["pages_planned"] == 30
    assert done["last_completed"]["counts"]["inserted"] == 600
    assert done["last_success_age_s"] < 60
    assert str(site.checkpoint_file) == done["checkpoint"]


def test_max_age_tells_a_monitor_that_the_last_success_is_old(
    site: SimulatedSite, fill: Fill
) -> None:
    fill(site)
    assert site.run("status", "--max-age", "26h").exit_code == 0
    site.variables["DATABASE_URL"] = site.dsn  # the database may be down: it is not asked
    stale = site.run("status", "--max-age", "0s")
    assert stale.exit_code == 7
    assert "the last success is" in stale.err
    assert site.run("status", "--max-age", "soon").exit_code == 2

    site.api.change(broken_share=1.0)
    site.settings["limits.circuit_breaker.open_s"] = 0.05
    site.sync(expect=3)
    failed = site.status()
    assert failed["state"] == "failed"
    assert failed["last_completed"]["counts"]["inserted"] == 600
    assert site.run("status", "--max-age", "1h").exit_code == 0, "the last success is still young"


def test_an_incremental_run_is_fresh_and_hides_no_full_one(site: SimulatedSite, fill: Fill) -> None:
    fill(site)
    full = site.status()["last_completed"]
    site.settings["api.window.param"] = "minutes"
    report = site.run("sync", "--mode", "incremental", "--json").report
    assert report["exit_code"] == 0
    assert (report["mode"], report["window_overlap_s"]) == ("incremental", 900)
    assert report["api_clock"] is not None
    done = site.status()
    assert (done["mode"], done["window_from"]) == ("incremental", report["window_from"])
    assert done["last_completed"] == full
    assert done["incremental"]["last_completed"]["run_id"] == report["run_id"]
    assert done["newest_data_at"] > done["last_success_at"]
    assert (done["other"]["mode"], done["other"]["run_id"]) == ("full", full["run_id"])
    assert f"(incremental run {report['run_id']}); whole feed: " in site.run("status").out


def test_status_needs_neither_database_nor_api(site: SimulatedSite, fill: Fill) -> None:
    site.settings["checkpoint.path"] = str(site.folder / "cars.json")
    fill(site)
    site.variables["DATABASE_URL"] = make_dsn(
        site.variables["DATABASE_URL"], options="-c no_such_setting=on"
    )
    site.variables["API_BASE_URL"] = "http://127.0.0.1:1"
    assert site.status()["state"] == "complete"
