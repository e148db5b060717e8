"""`carsync runs` and `runs show`: what runs leave behind, told by the installed command."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from typing import Any

import pytest

from tests.support.fake_api import Reply, ScriptedApi, page_reply
from tests.support.oracle import KEY, Oracle, assert_no_canary
from tests.support.site import CARSYNC, SimulatedSite, Site, ask, await_that

pytestmark = pytest.mark.quick

PAGES = 6
OLD_RUN = """
    WITH old AS (
        INSERT INTO carsync.runs
            (schema_name, table_name, source, state, started_at, version, hash_scheme)
        VALUES ('public', 'cars', 'external', 'failed', now() - interval '91 days', '0', '')
        RETURNING run_id)
    INSERT INTO carsync.failures SELECT run_id, 1, 0, now(), 7, 1, 'timeout', NULL, '', 1, true
    FROM old
"""
"""A run whose details are older than they are kept."""
HOSTILE = "K5\x1b[2J"


def page(number: int, *, poisoned: bool = False) -> Reply:
    """Give a page of 20 cars; a poisoned one's first record has an id that is none."""
    cars: list[dict[str, Any]] = [
        {"id": n, "manufacturer": {"name": "Kia"}, "model": {"name": "K5"}}
        for n in range(20 * number, 20 * number + 20)
    ]
    if poisoned:
        cars[0]["id"] = {HOSTILE: 1}
    return page_reply(cars, number, PAGES, 20 * PAGES)


def story(site: Site, run_id: int) -> dict[str, Any]:
    """Return what `runs show --json` says."""
    ended = site.run("runs", "show", str(run_id), "--json")
    assert (ended.exit_code, ended.err) == (0, "")
    return ended.report


def on_terminal(site: Site, *arguments: str, **variables: str) -> str:
    """Return what a command writes on a terminal of 80 columns."""
    leader, follower = pty.openpty()
    environ = {**site.variables, "PATH": os.environ["PATH"], "COLUMNS": "80", **variables}
    subprocess.run([*CARSYNC, *arguments], env=environ, stdout=follower, check=True, timeout=30)
    os.close(follower)
    text = b""
    try:
        while part := os.read(leader, 65536):
            text += part
    except OSError:  # Linux says so at the end
        pass
    os.close(leader)
    return text.decode()


def test_a_run_with_faults_is_told_whole(scripted_site: Site, scripted_api: ScriptedApi) -> None:
    site, api = scripted_site, scripted_api
    site.settings["limits.retry.max_attempts"] = 3
    empty = site.run("runs")
    assert (empty.exit_code, empty.out) == (0, "No run of public.cars yet.\n")
    assert "carsync sync" in empty.err
    ask(site.dsn, OLD_RUN)
    for number in range(1, PAGES + 1):
        api.on("/cars", page(number, poisoned=number == 4), page=number)
    api.on("/cars", Reply(429, headers={"Retry-After": "0"}), page(2), page=2)
    api.on("/cars", Reply(body=b"<html>busy</html>"), page(3), page=3)
    api.on("/cars", Reply(500), page=5)
    site.sync(expect=5)

    line, old = site.run("runs", "--json").report["runs"]
    assert (line["run_id"], line["kind"]) == (2, "sync")
    assert (line["state"], line["exit_code"]) == ("partial", 5)
    assert line["counts"]["inserted"] == 99
    assert line["duration_s"] > 0
    assert (old["run_id"], old["state"]) == (1, "abandoned")
    assert ask(site.dsn, "SELECT count(*) FROM carsync.failures WHERE run_id = 1") == [(0,)]
    told = story(site, 2)
    assert told["errors"]["by_class"] == {"rate_limited": 1, "bad_page": 1, "server_error": 3}
    assert told["errors"]["kept"] == {"failures": 5, "pages": 3, "given_up": 1}
    worst, *others = told["failed_pages"]
    assert (worst["page"], worst["failures"], worst["attempt"]) == (5, 3, 3)
    assert (worst["status"], worst["given_up"]) == (500, True)
    assert {(p["page"], p["kind"], p["given_up"]) for p in others} == {
        (2, "rate_limited", False),
        (3, "bad_page", False),
    }
    assert told["rejects"]["open"] == 1
    assert told["summary"]["state"] == "partial"
    phases = [sample["phase"] for sample in told["samples"]]
    assert (phases[0], phases[-1]) == ("starting", "ended")
    assert {"fetching", "deciding", "merging"} <= set(phases)
    last = told["samples"][-1]
    assert (last["pages_staged"], last["rows_staged"], last["rejects"]) == (5, 99, 1)

    shown = site.run("runs", "show", "2")
    assert "exit 5" in shown.out
    assert "failed attempts: 5 (5xx: 3, bad page: 1, 429: 1) on 3 pages, 1 given up" in shown.out
    assert "page 5    3 × 5xx, given up · the API answered HTTP 500" in shown.out
    assert "open rejects: 1" in shown.out
    assert "\x1b" not in shown.out + site.run("runs").out
    colored = on_terminal(site, "runs", TERM="xterm")
    plain = on_terminal(site, "runs", TERM="xterm", NO_COLOR="1")
    assert "\x1b[33mpartial" in colored
    assert "\x1b" not in plain
    assert max(map(len, plain.splitlines())) <= 80


@pytest.mark.long
def test_a_run_that_was_killed_keeps_what_its_first_session_saw(site: SimulatedSite) -> None:
    oracle = Oracle(site)
    site.api.hold(after=10)
    running = site.start("sync", "--json")
    seen = "SELECT 1 FROM carsync.samples WHERE pages_staged = 10 AND rss_bytes > 0"
    await_that(lambda: len(site.staged_pages()) == 10 and ask(site.dsn, seen), "samples")
    going_on = story(site, 1)
    assert (going_on["state"], going_on["exit_code"]) == ("running", None)
    running.signal(signal.SIGKILL)
    running.end()
    site.await_no_process()
    await_that(lambda: story(site, 1)["state"] == "interrupted", "the lock is free")
    dead = site.run("runs", "show", "1")
    assert "its process ended unexpectedly" in dead.out
    assert "10 of 30 (33.3 %)" in dead.out

    site.api.release()
    oracle.judge(site.sync())
    told = story(site, 1)
    assert told["state"] == "complete"
    first, second = told["sessions"]
    assert (first["session"], first["pages_staged"], first["phase"]) == (1, 10, "fetching")
    assert (second["session"], second["pages_staged"], second["phase"]) == (2, 30, "ended")
    assert [s["pages_staged"] for s in told["samples"] if s["session"] == 1][-1] == 10
    text = site.run("runs", "show", "1").out
    assert "10 pages staged · cut off while fetching" in text
    assert_no_canary([json.dumps(told), text])
    assert KEY not in text

    wrong = site.run("runs", "show", "7")
    assert (wrong.exit_code, wrong.out) == (2, "")
    assert wrong.err.splitlines() == [
        "carsync: there is no run 7",
        "detail: the nearest of public.cars: 1",
        "hint: list them with `carsync runs`",
    ]
