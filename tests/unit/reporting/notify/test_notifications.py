"""Notices: which ends are worth a word, and that nothing in the words can mislead or leak."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import fields, replace

from carsync.config.sections import Notify
from carsync.exit_codes import ExitCode
from carsync.model import MergeCounts
from carsync.reporting.notify.notifications import (
    MAX_CHARS,
    Notice,
    about_bug,
    about_run,
    about_unit,
    render,
    was_sent,
)
from carsync.run.report import RunReport
from carsync.state.checkpoint import CheckpointState, LastOfMode
from tests.support import snapshots
from tests.support.folders import ROOT
from tests.support.snapshots import NOW

COMMON: dict[str, Any] = {
    "source": "external",
    "target": "public.cars",
    "host": "mars",
    "sent_at": NOW,
}


def report(exit_code: int, **changes: Any) -> RunReport:
    usual = {"state": "failed", "duration_s": 72.41, "counts": None, "problem": "something"}
    return snapshots.report(exit_code=ExitCode(exit_code), **{**usual, **changes})


def before(exit_code: int | None = 0, age_h: float = 24.0, **changes: Any) -> CheckpointState:
    at = NOW - timedelta(hours=age_h)
    return snapshots.checkpoint(exit_code=exit_code, last_success_at=at, **changes)


def judged(
    exit_code: int, previous: CheckpointState | None, **settings: Any
) -> tuple[str, str] | None:
    notice = about_run(Notify(**settings), report(exit_code), previous, NOW, "mars")
    return None if notice is None else (notice.event, notice.severity)


@pytest.mark.parametrize(
    ("exit_code", "expected"),
    [
        (0, None),
        (1, ("failed", "error")),
        (2, ("failed", "error")),
        (3, ("failed", "error")),
        (4, ("failed", "error")),
        (5, ("partial", "warning")),
        (6, ("held", "warning")),
        (7, ("acceptance", "warning")),
        (8, ("failed", "error")),
        (75, None),
        (130, None),
        (143, None),
    ],
)
def test_every_exit_code_has_its_event(exit_code: int, expected: tuple[str, str] | None) -> None:
    assert judged(exit_code, before()) == expected
    assert judged(exit_code, before(), events=()) is None
    assert exit_code in set(ExitCode)


@pytest.mark.parametrize("was", [3, 4, 5, 6, 8])
def test_the_first_good_run_after_bad_ones_is_told(was: int) -> None:
    assert judged(0, before(was)) == ("recovered", "info")


@pytest.mark.parametrize("was", [None, 0, 7, 75, 130])
def test_a_good_run_after_good_ones_is_not(was: int | None) -> None:
    assert judged(0, before(was)) is None
    assert judged(0, None) is None


def test_a_failure_long_after_the_last_success_is_one_critical_notice() -> None:
    notice = about_run(Notify(), report(3), before(age_h=80), NOW, "mars")
    assert notice is not None
    assert (notice.event, notice.severity) == ("failed", "critical")
    assert "3 d 8 h old" in notice.stale
    assert "3 d 8 h old" in slack(notice)


def test_staleness_alone_may_be_asked_for() -> None:
    only = {"events": ("stale",)}
    assert judged(3, before(age_h=25), **only) is None
    assert judged(3, before(age_h=27), **only) == ("stale", "critical")
    assert judged(6, before(age_h=27), **only) == ("stale", "critical")
    assert judged(0, before(age_h=27), **only) is None
    assert judged(130, before(age_h=27), **only) is None


def test_the_first_run_ever_is_not_stale() -> None:
    assert judged(4, None) == ("failed", "error")
    assert judged(4, snapshots.checkpoint(last_success_at=None)) == ("failed", "error")


def after_deltas(exit_code: int, *, minutes_ago: int = 60, age_h: float = 2.0) -> CheckpointState:
    """Give a checkpoint after an incremental run; a full run was held before it."""
    full = replace(snapshots.checkpoint().standing, state="held", exit_code=6)
    return snapshots.checkpoint(
        mode="incremental",
        exit_code=exit_code,
        updated_at=NOW - timedelta(minutes=minutes_ago),
        last_success_at=NOW - timedelta(hours=100),
        incremental=LastOfMode(last_success_at=NOW - timedelta(hours=age_h)),
        other=full,
    )


@pytest.mark.parametrize(
    ("exit_code", "previous", "expected"),
    [
        (3, after_deltas(0), ("failed", "error")),
        (3, after_deltas(3), None),
        (4, after_deltas(3), None),
        (5, after_deltas(3), ("partial", "warning")),
        (0, after_deltas(3), ("recovered", "info")),
        (0, after_deltas(0), None),
        # stale for the first time, and then again a day after the last success
        (3, after_deltas(3, age_h=3.5), ("failed", "error")),
        (3, after_deltas(3, age_h=5), None),
        (3, after_deltas(3, age_h=23.5), None),
        (3, after_deltas(3, age_h=24.5), ("failed", "error")),
        (3, after_deltas(3, age_h=25.5), None),
        # the first incremental run of all
        (3, before(6), ("failed", "error")),
        (0, before(6), None),
    ],
)
def test_an_incremental_run_that_fails_every_hour_is_told_once_a_day(
    exit_code: int, previous: CheckpointState, expected: tuple[str, str] | None
) -> None:
    ended = report(exit_code, mode="incremental")
    notice = about_run(Notify(), ended, previous, NOW, "mars")
    assert (None if notice is None else (notice.event, notice.severity)) == expected
    if notice is not None:
        assert "external → public.cars, incremental run: " in slack(notice)


def test_a_full_run_is_judged_by_the_full_run_before_it() -> None:
    assert judged(0, after_deltas(0)) == ("recovered", "info")
    assert judged(3, after_deltas(3)) == ("failed", "critical")


def test_a_bug_is_told_by_its_kind_alone() -> None:
    notice = about_bug(Notify(), "KeyError", **COMMON)
    assert notice is not None
    assert (notice.event, notice.exit_code) == ("failed", 1)
    assert notice.problem == "a bug in carsync: KeyError"
    assert about_bug(Notify(events=("held",)), "KeyError", **COMMON) is None


# Words


def slack(notice: Notice) -> str:
    body = json.loads(render(notice, "slack"))
    assert list(body) == ["text"]
    text: str = body["text"]
    return text


HOSTILE = "<!channel> & <https://evil|click>\n*next:* \x1b[2J\ud800" + "x" * 5000


def test_what_the_feed_wrote_cannot_mark_up_the_message_or_end_its_line() -> None:
    told = report(3, problem=HOSTILE, detail=HOSTILE, hint=HOSTILE)
    notice = about_run(Notify(), told, before(), NOW, "mars")
    assert notice is not None
    text = slack(notice)
    assert "<" not in text
    assert ">" not in text
    assert "&lt;!channel&gt; &amp; &lt;https://evil|click&gt; *next:*  [2J" in text
    assert len(text.splitlines()) == 5
    assert len(text) < 5 * MAX_CHARS
    data = json.loads(render(notice, "json"))
    assert len(data["problem"]) == MAX_CHARS
    assert "\n" not in data["problem"]


def test_slack_gets_what_an_operator_asks_first() -> None:
    told = report(
        6,
        problem="812 deactivations are held",
        hint="look at the held cars and approve them with `carsync approve 42`",
        counts=MergeCounts(seen=9, inserted=2, held=812),
    )
    notice = about_run(Notify(), told, before(), NOW, "mars")
    assert notice is not None
    assert slack(notice).splitlines() == [
        "🟡 *carsync · external → public.cars: held: a person must look*",
        "run 42 · mars",
        "812 deactivations are held",
        "2 inserted, 812 held",
        "*next:* look at the held cars and approve them with `carsync approve 42`; "
        "or do nothing: the next run decides again",
    ]


def test_json_has_every_field_under_a_versioned_name() -> None:
    told = report(6, counts=snapshots.COUNTS)
    notice = about_run(Notify(), told, before(), NOW, "mars")
    assert notice is not None
    data = json.loads(render(notice, "json"))
    assert (data["schema"], data["version"]) == ("carsync.notice", 1)
    assert set(data) == {"schema", "version", "carsync", *(field.name for field in fields(Notice))}
    assert (data["event"], data["severity"], data["exit_code"]) == ("held", "warning", 6)
    assert (data["run_id"], data["host"], data["duration_s"]) == (42, "mars", 72.4)
    assert data["counts"]["inserted"] == snapshots.COUNTS.inserted
    for name in ("sent_at", "started_at", "finished_at", "last_success_at"):
        assert datetime.fromisoformat(data[name]).tzinfo is not None


# Units


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        (
            {"MONITOR_SERVICE_RESULT": "exit-code", "MONITOR_EXIT_STATUS": "4"},
            "the unit x.service failed (result exit-code, exit 4: the database failed)",
        ),
        (
            {"MONITOR_SERVICE_RESULT": "watchdog", "MONITOR_EXIT_STATUS": "ABRT"},
            "the unit x.service failed (result watchdog, signal ABRT)",
        ),
        ({}, "the unit x.service failed"),
    ],
)
def test_a_unit_that_failed_is_told_with_what_systemd_knows(
    environ: dict[str, str], words: str
) -> None:
    notice = about_unit("x.service", "", environ, before(), **COMMON)
    assert (notice.event, notice.problem, notice.run_id) == ("unit", words, 42)
    assert "journalctl -u x.service" in slack(notice)
    assert about_unit("x.service", "help", environ, None, **COMMON).problem == "help"


@pytest.mark.parametrize(
    ("status", "exit_code", "age_s", "expected"),
    [
        ("3", 3, 5, True),
        ("3", 4, 5, False),
        ("3", 3, 600, False),
        ("3", 3, -600, False),
        ("3", None, 5, False),
        ("ABRT", 3, 5, False),
        (None, 3, 5, False),
    ],
)
def test_a_unit_s_end_that_the_run_told_itself_is_not_told_again(
    status: str | None, exit_code: int | None, age_s: float, expected: bool
) -> None:
    environ = {} if status is None else {"MONITOR_EXIT_STATUS": status}
    assert was_sent(environ, exit_code, NOW - timedelta(seconds=age_s), NOW) is expected


# The reference


def test_the_reference_names_every_field_and_event() -> None:
    page = (ROOT / "docs/reference/notifications.md").read_text("utf-8")
    names = {field.name for field in fields(Notice)} | {"schema", "version", "carsync", "test"}
    assert {name for name in names | set(Notify().events) if f"`{name}`" not in page} == set()


def test_the_reference_of_the_log_names_every_event() -> None:
    page = (ROOT / "docs/reference/log.md").read_text("utf-8")
    found: set[str] = set()
    for file in (ROOT / "carsync").rglob("*.py"):
        found |= set(re.findall(r'"event": (?:f?)"(\w+)"', file.read_text("utf-8")))
    assert {"run_begun", "run_ended", "restart", "notice_failed", "bug"} <= found
    assert {name for name in found if f"`{name}`" not in page} == set()


@pytest.mark.parametrize("trial", [{"dry_run": True}, {"max_pages": 3}])
@pytest.mark.parametrize(("exit_code", "previous"), [(0, 3), (3, 0), (5, 0), (6, 0)])
def test_nobody_is_told_of_a_trial(trial: dict[str, Any], exit_code: int, previous: int) -> None:
    found = before(previous, age_h=80)
    assert about_run(Notify(), report(exit_code), found, NOW, "mars") is not None
    assert about_run(Notify(), report(exit_code, **trial), found, NOW, "mars") is None
