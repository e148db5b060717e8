"""`carsync status`: the command, which reads the checkpoint alone, once or until the run ends."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from carsync.cli import status as command
from carsync.cli.status import status
from carsync.errors import CheckpointError, ConfigError
from carsync.exit_codes import ExitCode
from carsync.state.checkpoint import CheckpointState, LastOfMode, save
from carsync.state.clock import Moment
from carsync.state.file_lock import FileLock
from tests.support import snapshots
from tests.support.command_line import run


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("DATABASE_URL", "STATE_DIRECTORY", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "state" / "cars.json"


def call(path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(status, ["--set", f"checkpoint.path={path}", *arguments])


def young_state(**changes: Any) -> Any:
    now = datetime.now(UTC)
    return snapshots.checkpoint(updated_at=now, last_success_at=now - timedelta(hours=1), **changes)


def test_the_command_needs_neither_database_nor_api(path: Path) -> None:
    save(path, young_state())
    with FileLock(path):
        result = call(path)
    assert result.exit_code == 0
    assert "  812 of 2,000 (40.6 %)" in result.output
    assert result.output.splitlines()[0].endswith(" running")


def test_the_command_asks_the_lock_whether_the_run_lives(path: Path) -> None:
    save(path, young_state())
    assert call(path).output.splitlines()[0].endswith(" interrupted")


def test_the_command_before_the_first_run_makes_no_file(path: Path) -> None:
    result = call(path)
    assert result.exit_code == 0
    assert "no run yet" in result.output
    assert not path.parent.exists()


def test_json_is_one_object_and_names_the_file(path: Path) -> None:
    save(path, young_state())
    result = call(path, "--json")
    data = json.loads(result.stdout)
    assert data["checkpoint"] == str(path)
    assert data["state"] == "interrupted"
    assert data["next_step"].startswith("run `carsync sync` again")
    assert json.loads(call(path.with_name("none.json"), "--json").stdout)["state"] == "none"


@pytest.mark.parametrize("age", ["26h", "90m", "90 min", "2d", "1.5h", "7200s"])
def test_max_age_passes_where_the_last_success_is_younger(path: Path, age: str) -> None:
    save(path, young_state())
    assert call(path, "--max-age", age).exit_code == 0


@pytest.mark.parametrize("age", ["30m", "0.5h", "1s", "0d"])
def test_max_age_fails_with_its_reason_on_standard_error(path: Path, age: str) -> None:
    save(path, young_state())
    result = call(path, "--max-age", age)
    assert result.exit_code == ExitCode.ACCEPTANCE
    assert "the last success is 1 h old" in result.stderr
    assert "812 of 2,000" in result.stdout


@pytest.mark.parametrize(
    ("ages", "said"),
    [
        (("full=26h", "incremental=2h"), ""),
        (("full=30m", "incremental=2h"), "the last success of a full run is 1 h old"),
        (("26h", "incremental=5m"), "the newest data are 10 min old, more than 5 min"),
    ],
)
def test_each_mode_has_an_age_of_its_own(path: Path, ages: tuple[str, ...], said: str) -> None:
    delta = LastOfMode(last_success_at=datetime.now(UTC) - timedelta(minutes=10))
    save(path, young_state(incremental=delta))
    result = call(path, *(word for age in ages for word in ("--max-age", age)))
    assert result.exit_code == (ExitCode.ACCEPTANCE if said else 0)
    assert said in result.stderr


def test_max_age_fails_where_nothing_ever_succeeded(path: Path) -> None:
    result = call(path, "--max-age", "26h", "--json")
    assert result.exit_code == ExitCode.ACCEPTANCE
    assert "no run has succeeded yet" in result.stderr
    assert json.loads(result.stdout)["state"] == "none"


@pytest.mark.parametrize(
    "age", ["", "26", "h", "-1h", "1w", "26h30m", "٣h", "nan h", "incremental=", "full=1w"]
)
def test_what_is_no_duration_is_refused_with_an_example(path: Path, age: str) -> None:
    result = call(path, "--max-age", age)
    assert result.exit_code == ExitCode.CONFIG
    assert "26h, 90m or 2d" in result.stderr


def test_an_age_of_no_mode_is_refused_with_an_example(path: Path) -> None:
    result = call(path, "--max-age", "nightly=2h")
    assert result.exit_code == ExitCode.CONFIG
    assert "there is no mode 'nightly'" in result.stderr
    assert "incremental=90m" in result.stderr


def test_a_damaged_checkpoint_is_an_error_with_a_way_out(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("{")
    result = call(path)
    assert isinstance(result.exception, CheckpointError)
    assert "writes a new checkpoint and resumes" in result.exception.hint


def test_without_path_and_dsn_the_missing_key_is_named(path: Path) -> None:
    result = CliRunner().invoke(status, [])
    assert isinstance(result.exception, ConfigError)
    assert "database.dsn" in result.exception.problem


def test_the_state_directory_is_found_by_the_dsn_alone(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(path.parent))
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:geheim@nowhere.invalid:1/x")
    result = CliRunner().invoke(status, ["--json"])
    assert Path(json.loads(result.stdout)["checkpoint"]).parent == path.parent
    assert "geheim" not in result.output


@pytest.mark.skipif(sys.platform != "linux", reason="LINUX ONLY: boots have no names elsewhere")
@pytest.mark.parametrize("step", [timedelta(hours=-1), timedelta(hours=1)])
def test_a_clock_set_since_the_last_save_makes_a_run_neither_silent_nor_young(
    path: Path, step: timedelta
) -> None:
    now = Moment.now()
    silent_s = min(400.0, now.uptime_s)
    state = young_state(boot_id=now.boot_id, updated_uptime_s=now.uptime_s)
    save(path, msgspec.structs.replace(state, updated_at=now.wall - step))
    with FileLock(path):
        shown = json.loads(call(path, "--json").stdout)
        assert (shown["reason"], shown["updated_age_s"] < 60) == ("", True)
        hung = msgspec.structs.replace(
            state, updated_at=now.wall - step, updated_uptime_s=now.uptime_s - silent_s
        )
        save(path, hung)
        shown = json.loads(call(path, "--json").stdout)
        assert "has reported nothing for" in shown["reason"]
        assert abs(shown["updated_age_s"] - silent_s) < 60


class Scenes:
    """What each look sees: whether the lock is held, and the checkpoint."""

    def __init__(self, *scenes: tuple[bool, CheckpointState | None]) -> None:
        self._scenes = list(scenes)
        self.waits: list[float] = []

    def is_held(self, path: Path) -> bool:
        return self._scenes[0][0]

    def load(self, path: Path, place: str) -> CheckpointState | None:
        return self._scenes[0][1]

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        if len(self._scenes) == 1:
            raise KeyboardInterrupt
        self._scenes.pop(0)


def watch(
    monkeypatch: pytest.MonkeyPatch, *scenes: tuple[bool, CheckpointState | None], args: str = ""
) -> tuple[int, list[str], list[float]]:
    """Return exit code, lines and waits of a watch that sees `scenes`; then comes Ctrl-C."""
    play = Scenes(*scenes)
    monkeypatch.setattr("carsync.cli.status.is_held", play.is_held)
    monkeypatch.setattr("carsync.cli.status.load", play.load)
    monkeypatch.setattr("carsync.cli.status.time.sleep", play.sleep)
    result = run("status", "--set", "checkpoint.path=x.json", "--watch", *args.split())
    assert result.stderr == ""
    return result.exit_code, result.stdout.splitlines(), play.waits


def at(pages: int, **changes: Any) -> CheckpointState:
    return snapshots.checkpoint(pages_done=pages, **changes)


def ended(exit_code: int, state: Any = "complete") -> CheckpointState:
    return at(2000, state=state, exit_code=exit_code, phase="ended")


@pytest.fixture(autouse=True)
def no_forced_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)


def test_lines_tell_what_changed_and_the_end_tells_all(monkeypatch: pytest.MonkeyPatch) -> None:
    code, lines, waits = watch(
        monkeypatch, (True, None), (True, at(1)), (True, at(1)), (True, at(2)), (False, ended(0))
    )
    assert (code, waits) == (0, [command.WATCH_EVERY_S] * 4)
    told = [line.partition("UTC  ")[2] for line in lines if "UTC  " in line]
    assert told[0] == "wait: the first run is starting"
    assert [line[:38] for line in told[1:]] == [
        "run 42 · fetching · pages 1 of 2,000 (",
        "run 42 · fetching · pages 2 of 2,000 (",
    ]
    assert lines[-1] == "next: nothing to do"


@pytest.mark.parametrize(
    ("last", "code"),
    [
        (ended(0), 0),
        (ended(5, "partial"), 5),
        (ended(143, "interrupted"), 143),
        (at(7), 8),  # it says that it is at work, and nobody holds the lock: it died
    ],
)
def test_the_run_s_end_decides_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, last: CheckpointState, code: int
) -> None:
    assert watch(monkeypatch, (True, at(1)), (False, last))[0] == code


def test_without_a_run_it_shows_the_last_one_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    for state in (None, ended(3, "failed")):
        code, lines, waits = watch(monkeypatch, (False, state))
        assert (code, waits) == (0, [])
        assert "next:" in lines[-1] or "next:" in "".join(lines)


def test_ctrl_c_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    code, lines, waits = watch(monkeypatch, (True, at(1)), (True, at(2)), args="0.5")
    assert (code, waits) == (0, [0.5, 0.5])
    assert (
        lines[-1]
        == "next: look at the log; if the run hangs, stop it, then run `carsync sync` again"
    )


def test_json_is_one_object_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    scenes = [(True, at(1)), (True, at(2)), (False, ended(6, "held"))]
    code, lines, _ = watch(monkeypatch, *scenes, args="--json")
    seen = [json.loads(line) for line in lines]
    assert [each["pages_done"] for each in seen] == [1, 2, 2000]
    assert (code, seen[-1]["state"]) == (6, "held")


@pytest.mark.parametrize("seconds", ["0", "-1", "soon"])
def test_a_pace_that_is_none_is_refused(seconds: str) -> None:
    assert run("status", "--watch", seconds).exit_code == 2
