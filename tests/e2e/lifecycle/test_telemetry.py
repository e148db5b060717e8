"""What machines see of real runs: the JSON log, the metrics file, the web hook."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from carsync.demo.feed import FeedOptions
from tests.e2e.conftest import OpenSite
from tests.support.fake_api import Reply, ScriptedApi
from tests.support.oracle import KEY, assert_no_canary, database_texts
from tests.support.site import Ended, SimulatedSite, await_that

pytestmark = pytest.mark.quick

HOOK = "/services/T0/B0/hook-canary-5c1d"
FEED = FeedOptions(cars=600, removed_share=0.3)
"""More cars go from one snapshot to the next than go without a yes."""


def lines_of(ended: Ended) -> list[dict[str, Any]]:
    """Return the log, which must be JSON to the last line."""
    return [json.loads(line) for line in ended.err.splitlines()]


def metrics(path: Path) -> dict[str, float]:
    """Return the metrics of full runs without labels, and the rows of the last merge by outcome."""
    found = {}
    for family in text_string_to_metric_families(path.read_text()):
        for sample in family.samples:
            labels = {n: v for n, v in sample.labels.items() if n not in {"source", "target"}}
            if labels.pop("mode", "full") != "full":
                continue
            if not labels or "outcome" in labels:
                found["".join([sample.name, *labels.values()])] = sample.value
    return found


class Watched:
    """A site that logs JSON, writes metrics and has a web hook."""

    def __init__(self, site: SimulatedSite, hook: ScriptedApi) -> None:
        self.site = site
        self.hook = hook
        self.path = site.folder / "carsync.prom"
        self.said: list[str] = []
        site.variables["CARSYNC_LOG_FORMAT"] = "json"
        site.variables["CARSYNC_NOTIFY_URL"] = hook.base_url + HOOK
        site.settings |= {"metrics.textfile": str(self.path), "notify.format": "json"}
        site.settings["acceptance.max_error_rate"] = None

    def notices(self) -> list[dict[str, Any]]:
        return [json.loads(arrival.body) for arrival in self.hook.arrivals]

    def sync(self, expect: int, **settings: Any) -> list[dict[str, Any]]:
        ended = self.site.sync(expect=expect, **settings)
        self.said += [ended.out, ended.err]
        return lines_of(ended)


def test_what_machines_see_of_a_good_a_held_and_a_failed_run(
    open_site: OpenSite, scripted_api: ScriptedApi
) -> None:
    site = open_site(FEED)
    watched = Watched(site, scripted_api)
    scripted_api.on(HOOK, Reply(200, b"ok"))

    # While a run goes on, and one that it locks out.
    site.api.hold(after=10)
    running = site.start("-v", "sync")
    site.await_staged(10)
    await_that(lambda: watched.path.exists(), "the metrics of the run at work")
    at_work = metrics(watched.path)
    assert at_work["carsync_run_in_progress"] == 1
    assert at_work["carsync_last_success_timestamp_seconds"] == 0
    locked = lines_of(site.start("sync").end())[-1]
    assert (locked["event"], locked["exit_code"], locked["level"]) == ("run_ended", 75, "warning")
    assert metrics(watched.path) == at_work
    site.api.change(error_share=0.3)
    site.api.release()
    ended = site.check(running)
    lines = lines_of(ended)
    watched.said += [ended.out, ended.err]

    begun = next(n for n, line in enumerate(lines) if line["event"] == "run_begun")
    assert {line["run_id"] for line in lines[begun:]} == {1}
    assert {line["process"] for line in lines} == {"parent"}
    retries = [line for line in lines if line["event"] == "page_retry"]
    assert retries
    assert all(line["page"] and line["attempt"] and line["kind"] for line in retries)
    assert lines[-1]["event"] == "run_ended"
    assert lines[-1]["counts"]["inserted"] == 600
    good = metrics(watched.path)
    assert (good["carsync_run_in_progress"], good["carsync_last_run_exit_code"]) == (0, 0)
    assert good["carsync_last_merge_rowsinserted"] == 600
    assert good["carsync_last_success_timestamp_seconds"] > 0
    assert watched.path.stat().st_mode & 0o777 == 0o644
    assert watched.notices() == []

    # Too many cars went: held.
    site.api.change(error_share=0.0)
    site.api.show(1)
    lines = watched.sync(6)
    (told,) = watched.notices()
    assert (told["event"], told["run_id"], told["exit_code"]) == ("held", 2, 6)
    assert told["counts"]["held"] == 180
    assert "carsync approve 2" in told["next_step"]
    assert [line["event"] for line in lines[-2:]] == ["run_ended", "notice"]
    held = metrics(watched.path)
    assert held["carsync_last_run_exit_code"] == 6
    assert held["carsync_last_merge_rowsheld"] == 180
    success = "carsync_last_success_timestamp_seconds"
    assert held[success] == good[success]

    # The key is refused: failed. What was known before is still told.
    site.variables["API_KEY"] = f"{KEY}-revoked"
    lines = watched.sync(3)
    told = watched.notices()[-1]
    assert (told["event"], told["severity"], told["exit_code"]) == ("failed", "error", 3)
    assert told["problem"] in lines[-2]["message"]
    assert "refused the key" in lines[-2]["problem"]
    failed = metrics(watched.path)
    assert failed["carsync_last_run_exit_code"] == 3
    assert failed["carsync_last_merge_rowsheld"] == 180
    assert failed[success] == good[success]

    # systemd's alert of the same end is silent, of another it is not.
    site.variables["MONITOR_EXIT_STATUS"] = "3"
    assert lines_of(site.run("notify", "--unit", "x.service"))[-1]["message"].endswith("to report")
    site.variables["MONITOR_EXIT_STATUS"] = "KILL"
    assert site.run("notify", "--unit", "x.service").exit_code == 0
    assert [notice["event"] for notice in watched.notices()[1:]] == ["failed", "unit"]

    # Neither hook nor file works: the run is what it is. Nothing told the hook's address.
    scripted_api.on(HOOK, Reply(404))
    lines = watched.sync(3, metrics__textfile="/nowhere/carsync.prom")
    warned = [line["message"] for line in lines if line["level"] == "warning"]
    assert any("cannot be written" in text for text in warned)
    assert "no notification was sent: the web hook answered HTTP 404" in warned
    files = [path for path in site.folder.rglob("*") if path.is_file()]
    assert watched.path in files
    shown = site.run("config", "show")
    texts = [*watched.said, shown.out, *(path.read_text() for path in files)]
    texts += database_texts(site.dsn)
    assert_no_canary(texts)
    assert not [text for text in texts if "hook-canary" in text]


def test_a_child_s_bug_is_a_line_of_the_same_log(site: SimulatedSite) -> None:
    bug = f"fetcher.booted=raise@{site.folder / 'mark'}"
    site.variables |= {"CARSYNC_LOG_FORMAT": "json", "CARSYNC_FAILPOINT": bug}
    ended = site.start("sync").end()
    assert ended.exit_code == 0
    lines = lines_of(ended)
    told = next(line for line in lines if line.get("exception"))
    assert (told["process"], told["exception"]) == ("fetcher-1", "FailpointError")
    assert "Traceback" in told["traceback"]
    restart = next(line for line in lines if line.get("event") == "restart")
    assert restart["child"] == "fetcher-1"
