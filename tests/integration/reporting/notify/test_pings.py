"""Pings over real sockets: when which address is asked, and that a run never minds."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from carsync.config.sections import Config, Notify
from carsync.errors import ConfigError
from carsync.redaction import Secret
from carsync.reporting.notify.pings import Pings
from carsync.run.signals import StopSignal
from tests.support import snapshots
from tests.support.command_line import run
from tests.support.fake_api import Reply, ScriptedApi

PATH = "/ping/0b1c-uu-id"


@pytest.fixture
def monitor() -> Iterator[ScriptedApi]:
    with ScriptedApi() as api:
        for kind in ("", "/start", "/fail"):
            api.on(PATH + kind, Reply(200, b"OK"))
        yield api


def pings(base_url: str, *, is_whole: bool = True, **settings: Any) -> Pings:
    notify = Notify(ping_url=Secret(base_url + PATH), **settings)
    return Pings(Config(notify=notify), StopSignal(), is_whole=is_whole)


def begin(pinging: Pings, mode: str = "full") -> None:
    pinging.begun(SimpleNamespace(run_id=41, mode=mode))  # type: ignore[arg-type]


def heard(monitor: ScriptedApi) -> list[str]:
    return [arrival.path.removeprefix(PATH) for arrival in monitor.arrivals]


@pytest.mark.parametrize(
    ("exit_code", "kinds"),
    [
        *((code, ["/start", "/fail"]) for code in (1, 2, 3, 4, 5, 6, 7, 8)),
        *((code, ["/start"]) for code in (75, 130, 143)),
        (0, ["/start", ""]),
    ],
)
def test_each_end_has_its_address(monitor: ScriptedApi, exit_code: int, kinds: list[str]) -> None:
    pinging = pings(monitor.base_url)
    begin(pinging)
    pinging.finish(snapshots.report(exit_code=exit_code, problem="the API is down"))
    if len(kinds) == 1:
        pinging._start.join()  # type: ignore[union-attr]
    assert heard(monitor) == kinds
    if kinds[1:]:
        body = monitor.arrivals[1].body.decode()
        assert f"exit {exit_code}, " in body
        assert "problem: the API is down" in body
        assert monitor.arrivals[1].headers["content-type"].startswith("text/plain")


def test_incremental_runs_have_an_address_of_their_own(monitor: ScriptedApi) -> None:
    own = {"incremental_ping_url": Secret(f"{monitor.base_url}{PATH}/start")}
    cases: list[tuple[dict[str, Any], list[str]]] = [(own, ["/start/start", "/start"]), ({}, [])]
    for settings, kinds in cases:
        monitor.on(f"{PATH}/start/start", Reply(200, b"OK"))
        monitor.arrivals.clear()
        pinging = pings(monitor.base_url, **settings)
        begin(pinging, "incremental")
        pinging.finish(snapshots.report(exit_code=0, mode="incremental"))
        assert heard(monitor) == kinds


def test_the_end_does_not_overtake_a_slow_start(monitor: ScriptedApi) -> None:
    monitor.on(f"{PATH}/start", Reply(200, b"OK", delay_s=0.3))
    pinging = pings(monitor.base_url)
    begin(pinging)
    pinging.finish(snapshots.report(exit_code=0))
    assert heard(monitor) == ["/start", ""]


def test_an_error_before_any_report_is_a_failure(monitor: ScriptedApi) -> None:
    pings(monitor.base_url).failed(ConfigError("the mapping is wrong", hint="mend it"))
    pings(monitor.base_url).failed(ZeroDivisionError("with a secret"))
    assert heard(monitor) == ["/fail", "/fail"]
    assert [arrival.body for arrival in monitor.arrivals] == [
        b"the mapping is wrong\nhint: mend it",
        b"a bug in carsync: ZeroDivisionError",
    ]


def test_a_dry_run_and_one_of_some_pages_ping_nobody(monitor: ScriptedApi) -> None:
    pinging = pings(monitor.base_url, is_whole=False)
    begin(pinging)
    pinging.finish(snapshots.report(exit_code=3))
    pinging.failed(ValueError())
    assert heard(monitor) == []


@pytest.mark.parametrize("reply", [Reply(404), Reply(302, headers={"Location": "http://x/"})])
def test_a_monitor_that_refuses_is_a_warning_without_its_address(
    monitor: ScriptedApi, reply: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    monitor.on(PATH, reply)
    with caplog.at_level(logging.WARNING):
        pings(monitor.base_url).finish(snapshots.report(exit_code=0))
    (record,) = caplog.records
    assert record.getMessage().startswith("no ping was sent: the ping's address")
    assert "uu-id" not in caplog.text


def test_a_silent_monitor_ends_in_time(monitor: ScriptedApi) -> None:
    for kind in ("", "/start"):
        monitor.on(PATH + kind, Reply(200, b"OK", delay_s=30))
    pinging = pings(monitor.base_url, timeout_s=0.2, attempts=1)
    started_s = time.monotonic()
    begin(pinging)
    assert time.monotonic() - started_s < 0.2  # the run goes on meanwhile
    pinging.finish(snapshots.report(exit_code=0))
    assert time.monotonic() - started_s < 5


def test_the_command_pings_too(monitor: ScriptedApi) -> None:
    environ = {"CARSYNC_PING_URL": monitor.base_url + PATH}
    assert run("notify", "--test", **environ).exit_code == 0
    assert run("notify", "--unit", "carsync.service", **environ).exit_code == 0
    assert heard(monitor) == ["", "/fail"]
    assert b"carsync.service failed" in monitor.arrivals[1].body
    monitor.on(PATH, Reply(404))
    refused = run("notify", "--test", **environ)
    assert refused.exit_code == 3
    assert "uu-id" not in refused.output
