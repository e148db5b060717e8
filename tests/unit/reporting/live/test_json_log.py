"""The run as JSON log lines: figures as fields, the run's number on every line, the end in one."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from carsync import logging_setup
from carsync.logging_setup import JsonFormatter
from carsync.reporting.live.json_log import EVERY_S, EventLog
from carsync.reporting.views import wording
from carsync.run.report import RunReport
from carsync.state.runs import Run
from tests.support import snapshots
from tests.support.fake_clock import FakeClock
from tests.support.snapshots import NOW


@pytest.fixture(autouse=True)
def unbound() -> Iterator[None]:
    yield
    logging_setup.bind(run_id=None, source=None, target=None, phase=None)


class Ear(logging.Handler):
    """Keeps what is logged, as the JSON that it becomes at that moment."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(JsonFormatter().format(record)))


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[list[dict[str, Any]]]:
    """What was logged, as JSON, as it comes."""
    caplog.set_level(logging.INFO)
    logger = logging.getLogger("carsync.run")
    logger.addHandler(ear := Ear())
    yield ear.lines
    logger.removeHandler(ear)


def run(resumed_at: object = None) -> Run:
    found = SimpleNamespace(run_id=42, source="external", target="public.cars")
    return cast(Run, SimpleNamespace(**vars(found), resumed_at=resumed_at))


def report(exit_code: int, **changes: Any) -> RunReport:
    return snapshots.report(exit_code=exit_code, **changes)


def test_every_line_carries_the_run_and_its_phase(lines: list[dict[str, Any]]) -> None:
    log = EventLog(FakeClock())
    log.message("before")
    log.begun(run())
    log.update(snapshots.snapshot(), "fetching")
    log.message("2,000 cars\nare new")
    log.ended(report(0))
    events = ["message", "run_begun", "phase", "message", "run_ended"]
    assert [line["event"] for line in lines] == events
    assert [line.get("run_id") for line in lines] == [None, 42, 42, 42, 42]
    assert [line.get("phase") for line in lines] == [None, None, "fetching", "fetching", "ended"]
    assert lines[3]["message"] == "2,000 cars\nare new"
    assert (lines[4]["source"], lines[4]["target"]) == ("external", "public.cars")


def test_progress_comes_every_ten_seconds_with_its_figures(lines: list[dict[str, Any]]) -> None:
    clock = FakeClock()
    log = EventLog(clock)
    for _ in range(1000):
        log.update(snapshots.snapshot(), "fetching")
        clock.advance(0.0201)
    assert [line["event"] for line in lines] == ["phase"] + ["progress"] * int(20.1 / EVERY_S)
    last = lines[-1]
    assert last["message"] == wording.progress(snapshots.snapshot())
    assert (last["pages_staged"], last["pages_planned"], last["errors"]) == (
        812,
        2000,
        {"rate_limited": 2},
    )
    assert last["latency_p95_s"] == 0.512


@pytest.mark.parametrize("resumed", [True, False])
def test_a_run_that_goes_on_says_so(lines: list[dict[str, Any]], resumed: bool) -> None:
    EventLog().begun(run(NOW if resumed else None))
    (line,) = lines
    assert line["resumed"] is resumed
    assert line["message"] == f"run 42 {'resumed' if resumed else 'begun'}"


@pytest.mark.parametrize(
    ("exit_code", "level"),
    [(0, "info"), (1, "error"), (3, "error"), (6, "warning"), (8, "error"), (75, "warning")],
)
def test_the_end_is_one_line_with_everything(
    lines: list[dict[str, Any]], exit_code: int, level: str
) -> None:
    problem = "it broke" if exit_code else ""
    EventLog().ended(report(exit_code, problem=problem, detail="seen", hint="do"))
    (line,) = lines
    assert (line["level"], line["exit_code"]) == (level, exit_code)
    assert (line["problem"], line["detail"], line["hint"]) == (problem, "seen", "do")
    assert line["counts"]["inserted"] == snapshots.COUNTS.inserted
    assert line["figures"]["attempts"] == 814
    assert line["next_step"]
    assert problem in line["message"]
