"""`carsync status --watch`: until the run ends, with the run's own exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from carsync.cli import status as command
from carsync.state.checkpoint import CheckpointState
from tests.support import snapshots
from tests.support.command_line import run


class Scenes:
    """What each look sees: whether the lock is held, and the checkpoint."""

    def __init__(self, *scenes: tuple[bool, CheckpointState | None]) -> None:
        self._scenes = list(scenes)
        self.waits: list[float] = []

    def is_held(self, path: Path) -> bool:
        return self._scenes[0][0]

    def load(self, path: Path) -> CheckpointState | None:
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
        == "next: look at its log; if it hangs, stop it and run `carsync sync`: it resumes"
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
