"""The demo's way to run carsync: real processes, which end when they are left."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import psutil
import pytest

from carsync.demo.command import CommandRunner, forget_configuration
from carsync.errors import CarsyncError


@pytest.fixture
def runner(tmp_path: Path) -> CommandRunner:
    dsn = "postgresql://user@db.test/shop"
    return CommandRunner({"DATABASE_URL": dsn, "STATE_DIRECTORY": str(tmp_path)})


def is_left_running(command: str) -> bool:
    return any(command in child.cmdline() for child in psutil.Process().children())


def test_output_and_exit_code_are_the_command_s(runner: CommandRunner) -> None:
    assert runner.run("--version").output.startswith("carsync ")
    assert runner.run("nonsense").exit_code == 2


def test_variables_are_laid_over_those_of_the_runner(runner: CommandRunner) -> None:
    shown = runner.run("config", "show", RPS="7").output
    assert '"requests_per_second": 7.0' in shown
    assert '"requests_per_second": 20.0' in runner.run("config", "show").output
    assert runner.status()["state"] == "none"


def test_a_command_is_interrupted_as_soon_as_its_status_is_accepted(runner: CommandRunner) -> None:
    looks = count()
    ended = runner.interrupt("simulate", "--cars", "100", when=lambda status: next(looks) == 3)
    assert ended.output.startswith("API_BASE_URL=http://127.0.0.1:")
    assert ended.exit_code == 0
    assert next(looks) == 4


def test_a_command_that_ends_by_itself_is_not_waited_for(runner: CommandRunner) -> None:
    assert runner.interrupt("--version", when=lambda status: False).exit_code == 0


def test_a_command_does_not_outlive_an_error_of_the_watcher(runner: CommandRunner) -> None:
    with pytest.raises(ZeroDivisionError):
        runner.interrupt("simulate", when=lambda status: bool(1 / 0))
    assert not is_left_running("simulate")


def test_a_command_that_does_not_end_is_an_error(
    runner: CommandRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carsync.demo.command.COMMAND_TIMEOUT_S", 0.1)
    with pytest.raises(CarsyncError, match="did not end"):
        runner.run("simulate")
    assert not is_left_running("simulate")


def test_nothing_that_leads_to_a_real_system_is_kept() -> None:
    environ = dict.fromkeys(
        ["API_KEY", "DATABASE_URL", "PGHOST", "SUPABASE_URL", "CARSYNC_LOG_FORMAT", "HOME"], "x"
    )
    forget_configuration(environ)
    assert environ == {"HOME": "x"}
