"""What commands say on standard error, to people and to machines."""

from __future__ import annotations

import io
import json
import logging

import click
import pytest

from carsync import logging_setup
from carsync.cli import console
from carsync.errors import ConfigError
from carsync.exit_codes import ExitCode


@pytest.fixture
def as_json(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """The log as JSON; what was set up is undone by the root logger's own state."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging_setup.JsonFormatter())
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    return stream


def test_an_error_has_a_line_for_each_part_that_there_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    console.tell_error("it failed", "so", "do this", exit_code=ExitCode.API)
    console.tell_error("it failed", exit_code=ExitCode.API)
    assert capsys.readouterr().err == (
        "carsync: it failed\ndetail: so\nhint: do this\ncarsync: it failed\n"
    )


def test_a_part_of_an_error_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    answer = "HTTP 500 \x1b[2J\nhint: rm -rf /\x9b"
    console.tell_error(answer, answer, answer, exit_code=ExitCode.API)
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["carsync", "detail", "hint"]
    assert "".join(lines).isprintable()


def test_in_the_journal_each_line_of_an_error_is_an_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging_setup, "in_journal", lambda: True)
    console.tell_error("it failed", "so", exit_code=ExitCode.API)
    assert capsys.readouterr().err == "<3>carsync: it failed\n<3>detail: so\n"


@pytest.mark.parametrize(("code", "level"), [(ExitCode.API, "error"), (ExitCode.LOCKED, "warning")])
def test_as_json_an_error_is_one_object(as_json: io.StringIO, code: ExitCode, level: str) -> None:
    console.tell_error("it failed", "so", exit_code=code)
    line = json.loads(as_json.getvalue())
    found = {name: line.get(name) for name in ("level", "message", "detail", "hint", "exit_code")}
    wanted = {"level": level, "message": "it failed", "detail": "so", "hint": None}
    assert found == {**wanted, "exit_code": int(code)}


def test_a_warning_goes_where_the_log_goes(
    as_json: io.StringIO, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    console.warn("look")
    assert json.loads(as_json.getvalue())["message"] == "look"
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    console.warn("look")
    assert capsys.readouterr().err == "look\n"


def test_a_long_list_is_cut_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    console.show_some(["\x1b[2Jcar"] + ["car"] * console.SHOWN, err=True)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == console.SHOWN + 1
    assert lines[0].isprintable()
    assert lines[-1] == "  … and 1 more (all of them with --json)"


def test_nothing_is_changed_without_a_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    console.ask("Go on?")
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    with pytest.raises(click.Abort):
        console.ask("Go on?")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(ConfigError, match="no terminal for a question") as caught:
        console.ask("Go on?")
    assert "--yes" in caught.value.hint
