"""`carsync notify`: what is posted for which option, and when nothing is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from carsync.exit_codes import ExitCode
from carsync.reporting.notify.notifications import Notice
from carsync.reporting.notify.notifier import SentNotice, write_sent_notice
from carsync.state.checkpoint import LastOfMode, save
from tests.support import snapshots
from tests.support.command_line import run

NOW = datetime.now(UTC)


class Hook:
    """A web hook that takes everything, and the command that posts to it."""

    def __init__(self, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.checkpoint = checkpoint
        self.notices: list[Notice] = []
        monkeypatch.setattr(
            "carsync.cli.notify.post", lambda config, notice: self.notices.append(notice)
        )

    def notify(self, *args: str, **environ: str) -> list[Notice]:
        """Run the command; return what it posted."""
        self.notices.clear()
        place = f"checkpoint.path={self.checkpoint}"
        environ |= {"CARSYNC_NOTIFY_URL": "https://hook.test/x"}
        result = run("notify", *args, "--set", place, **environ)
        assert result.exit_code == 0, result.output
        return list(self.notices)


@pytest.fixture
def hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hook:
    return Hook(tmp_path / "cars.json", monkeypatch)


def checkpoint(**changes: Any) -> Any:
    return snapshots.checkpoint(updated_at=datetime.now(UTC), **changes)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ("", "give one of --test, --if-stale and --unit"),
        ("--test --if-stale", "give one of --test, --if-stale and --unit"),
        ("--test --message x", "--message needs --unit"),
        ("--test", "neither notify.url nor notify.ping_url is set"),
        ("--if-stale", "notify.url is not set"),
    ],
)
def test_what_makes_no_sense_is_refused(args: str, words: str) -> None:
    result = run("notify", *args.split())
    assert result.exit_code == ExitCode.CONFIG
    assert words in result.stderr


def test_a_test_is_posted_whatever_the_checkpoint_says(hook: Hook) -> None:
    (notice,) = hook.notify("--test", "--set", "sync.source=feed")
    assert (notice.event, notice.severity) == ("test", "info")
    assert (notice.source, notice.target) == ("feed", "public.cars")


def test_a_feed_that_was_never_synced_is_stale(hook: Hook) -> None:
    (notice,) = hook.notify("--if-stale")
    assert (notice.event, notice.severity, notice.run_id) == ("stale", "critical", None)
    assert "systemctl list-timers" in notice.next_step


def test_stale_is_what_the_configuration_says_and_the_notice_tells_of_the_last_run(
    hook: Hook,
) -> None:
    success = NOW - timedelta(hours=3)
    save(
        hook.checkpoint,
        checkpoint(run_id=7, exit_code=3, problem="no answer", hint="ask", last_success_at=success),
    )
    assert hook.notify("--if-stale") == []
    (notice,) = hook.notify("--if-stale", "--set", "notify.stale_after_h=2")
    assert (notice.run_id, notice.exit_code, notice.last_success_at) == (7, 3, success)
    assert (notice.problem, notice.hint) == ("no answer", "ask")
    assert notice.stale


@pytest.mark.parametrize(
    ("window", "full_h", "delta_h", "expected"),
    [
        ("minutes", 7, 1, None),
        ("minutes", 7, 4, "error"),
        ("minutes", 1, 4, None),
        ("minutes", 30, 1, "critical"),
        (None, 7, 4, None),
    ],
)
def test_stale_changes_are_told_where_incremental_runs_are_in_use(
    hook: Hook, window: str | None, full_h: int, delta_h: int, expected: str | None
) -> None:
    delta = LastOfMode(last_success_at=NOW - timedelta(hours=delta_h))
    full = NOW - timedelta(hours=full_h)
    save(hook.checkpoint, checkpoint(exit_code=0, last_success_at=full, incremental=delta))
    param = ["--set", f"api.window.param={window}"] if window else []
    found = hook.notify("--if-stale", *param)
    assert [notice.severity for notice in found] == ([expected] if expected else [])


def test_of_an_incremental_run_that_ended_itself_the_unit_has_no_more_to_tell(hook: Hook) -> None:
    save(hook.checkpoint, checkpoint(exit_code=3, mode="incremental"))
    environ = {"MONITOR_SERVICE_RESULT": "exit-code", "MONITOR_EXIT_STATUS": "3"}
    assert hook.notify("--unit", "carsync-incremental.service", **environ) == []
    killed = {"MONITOR_SERVICE_RESULT": "watchdog", "MONITOR_EXIT_STATUS": "ABRT"}
    assert len(hook.notify("--unit", "carsync-incremental.service", **killed)) == 1


def test_a_unit_s_failure_is_told_unless_the_run_has_just_told_it(hook: Hook) -> None:
    save(hook.checkpoint, checkpoint(exit_code=3))
    environ = {"MONITOR_SERVICE_RESULT": "exit-code", "MONITOR_EXIT_STATUS": "3"}
    (notice,) = hook.notify("--unit", "x.service", "--message", "it fell", **environ)
    assert (notice.event, notice.unit) == ("unit", "x.service")
    assert "it fell" in f"{notice.problem} {notice.detail}"
    write_sent_notice(hook.checkpoint, SentNotice(exit_code=3, at=datetime.now(UTC)))
    assert hook.notify("--unit", "x.service", **environ) == []
    environ["MONITOR_EXIT_STATUS"] = "4"
    assert len(hook.notify("--unit", "x.service", **environ)) == 1


def test_without_a_place_for_a_checkpoint_a_notice_is_posted_all_the_same(
    hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run("notify", "--if-stale", CARSYNC_NOTIFY_URL="https://hook.test/x")
    assert result.exit_code == 0
    assert [notice.event for notice in hook.notices] == ["stale"]
