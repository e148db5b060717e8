"""How carsync is typed: slips are named, options stand anywhere, errors have three parts."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys

import click
import pytest

import carsync
from carsync.cli.app import COMMANDS, app
from carsync.cli.options import ConfigSource
from carsync.errors import (
    ApiError,
    CarsyncError,
    CheckpointError,
    DatabaseError,
    LockedError,
    WorkersDiedError,
)
from carsync.exit_codes import ExitCode
from carsync.formatting import JSON_VERSION
from carsync.redaction import Secret
from tests.support.command_line import commands, fail_with, run


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ApiError("no", detail="seen", hint="do"), 3),
        (DatabaseError("no", detail="seen", hint="do"), 4),
        (CheckpointError("no", detail="seen", hint="do"), 2),
        (WorkersDiedError("no", detail="seen", hint="do"), 8),
        (LockedError("no", detail="seen", hint="do"), 75),
        (CarsyncError("no", detail="seen", hint="do"), 1),
    ],
)
@pytest.mark.parametrize("debug", [False, True])
def test_an_error_is_shown_in_three_parts_and_traced_only_on_demand(
    monkeypatch: pytest.MonkeyPatch, error: CarsyncError, code: int, debug: bool
) -> None:
    fail_with(monkeypatch, error)
    result = run(*["--debug"] * debug, "config", "schema")
    assert result.exit_code == code
    assert result.stderr.endswith("carsync: no\ndetail: seen\nhint: do\n")
    assert ("Traceback" in result.stderr) is debug
    assert result.stdout == ""


@pytest.mark.parametrize("debug", [False, True])
def test_a_bug_is_called_one(monkeypatch: pytest.MonkeyPatch, debug: bool) -> None:
    fail_with(monkeypatch, ZeroDivisionError("division by zero"))
    result = run(*["--debug"] * debug, "config", "schema")
    assert result.exit_code == ExitCode.BUG
    assert "carsync: a bug: ZeroDivisionError: division by zero\n" in result.stderr
    assert f"detail: carsync {carsync.__version__}, Python 3." in result.stderr
    assert "--debug" in result.stderr.splitlines()[-1], "how to report it"
    assert ("Traceback" in result.stderr) is debug


def test_debug_counts_only_as_the_group_s_own_option(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, CarsyncError("no"))
    monkeypatch.setattr(sys, "argv", ["carsync", "config", "schema", "--debug"])
    assert "Traceback" not in run("config", "schema").stderr


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt(), click.Abort()])
def test_an_interrupt_exits_with_130(
    monkeypatch: pytest.MonkeyPatch, interrupt: BaseException
) -> None:
    fail_with(monkeypatch, interrupt)
    assert run("config", "schema").exit_code == ExitCode.SIGINT


def test_a_pipe_that_breaks_elsewhere_than_on_standard_output_is_a_bug(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fail_with(monkeypatch, BrokenPipeError(32, "Broken pipe"))
    assert run("config", "schema").exit_code == ExitCode.BUG


def test_a_reader_that_leaves_ends_the_command_in_silence() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "carsync", "config", "schema"]
    try:
        ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, timeout=60)
    finally:
        os.close(writer)
    assert (ended.returncode, ended.stderr) == (128 + signal.SIGPIPE, b"")


@pytest.mark.parametrize(
    ("typed", "error", "hint"),
    [
        ("synk", "no such command: synk", "did you mean `carsync sync`?"),
        ("stats", "no such command: stats", "did you mean `carsync status`?"),
        ("rejects lst", "no such command: lst", "did you mean `carsync rejects list`?"),
        ("help rejects reply", "no such command: reply", "did you mean `carsync rejects replay`?"),
        ("sync --confg x", "no such option: --confg", "did you mean --config?"),
        ("rejects list --limt 1", "no such option: --limt", "did you mean --limit?"),
        (
            "rejects --config x",
            "no such option: --config",
            "first say what to do: carsync rejects list or replay; its options follow",
        ),
        ("sync --debgu", "no such option: --debgu", "did you mean --debug?"),
        ("--verbos sync", "no such option: --verbos", "did you mean --verbose?"),
        (
            "--config x sync",
            "no such option: --config",
            "see `carsync --help`; the options of a command follow its name",
        ),
        (
            "preview --limit 0",
            "invalid value for '--limit': 0 is not in the range x>=1",
            "see `carsync preview --help`",
        ),
    ],
)
def test_a_typing_error_is_named_with_what_was_meant(typed: str, error: str, hint: str) -> None:
    result = run(*typed.split())
    assert result.exit_code == ExitCode.CONFIG
    assert result.stderr == f"carsync: {error}\nhint: {hint}\n"
    assert result.stdout == ""


def test_a_command_like_no_other_gets_the_list() -> None:
    detail = run("nothing-like-it").stderr.splitlines()[1]
    assert detail == f"detail: there are {', '.join(COMMANDS)}"


@pytest.mark.parametrize("args", ["approve", "approve 1 2", "help sync more"])
def test_arguments_too_few_or_too_many_are_answered_with_the_usage(args: str) -> None:
    result = run(*args.split())
    assert result.exit_code == ExitCode.CONFIG
    name = "sync" if "sync" in args else "approve"
    assert f"\ndetail: usage: carsync {name} [OPTIONS]" in result.stderr
    assert result.stderr.endswith(f"\nhint: see `carsync {name} --help`\n")


@pytest.mark.parametrize(("args", "name"), [("", "carsync"), ("rejects", "carsync rejects")])
def test_a_group_alone_shows_its_help(args: str, name: str) -> None:
    result = run(*args.split())
    assert result.output.startswith(f"Usage: {name} [OPTIONS] COMMAND")


@pytest.mark.parametrize(
    ("args", "level"),
    [
        ("config schema", logging.INFO),
        ("-v config schema", logging.DEBUG),
        ("config -v schema", logging.DEBUG),
        ("config schema -v", logging.DEBUG),
        ("config schema --quiet", logging.WARNING),
        ("-q config schema -v", logging.DEBUG),
    ],
)
def test_the_group_s_options_may_stand_anywhere(args: str, level: int) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        assert run(*args.split()).exit_code == 0
        assert root.level == level
    finally:
        root.handlers[:], root.level = before


def test_debug_behind_the_command_traces_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, CarsyncError("no"))
    for args in ("config schema --debug", "config --debug schema", "--debug config schema"):
        assert "Traceback" in run(*args.split()).stderr, args
    assert "Traceback" not in run("config", "schema").stderr


def test_every_option_of_the_group_is_handed_down_to_every_command() -> None:
    group_s = {
        option.name
        for option in app.params
        if isinstance(option, click.Option) and option.expose_value
    }
    assert {"verbose", "quiet", "debug"} <= group_s
    for name, command in commands():
        assert group_s <= {param.name for param in command.params}, name
        assert "--verbose" in run(*name.split(), "--help").stdout, name


@pytest.mark.parametrize(
    "arguments",
    [
        "status --json",  # no DSN
        "runs show 1 --json",
        "runs show --json",  # no argument
        "runs --json --sett a=b",
        "sync --json --set limits.rps=3",
        "stauts --json",
        "--json",
        "report 1 -o x --json",
    ],
)
def test_with_json_a_failure_is_an_object_on_standard_output_too(arguments: str) -> None:
    result = run(*arguments.split())
    answer = json.loads(result.stdout)
    assert answer.keys() == {"json_version", "error"}
    assert answer["json_version"] == JSON_VERSION
    error = answer["error"]
    assert error["exit_code"] == result.exit_code == ExitCode.CONFIG
    assert f"carsync: {error['problem']}\n" in result.stderr
    assert all(
        f"{name}: {error[name]}\n" in result.stderr for name in ("detail", "hint") if error[name]
    )


def test_what_follows_two_dashes_asks_for_no_json() -> None:
    assert run("runs", "show", "--", "--json").stdout == ""


def test_a_bug_with_json_is_an_object_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = Secret("s3cret-in-a-bug")
    monkeypatch.setattr(ConfigSource, "load", lambda self: 1 / 0 if not secret else int(secret))
    result = run("status", "--json")
    error = json.loads(result.stdout)["error"]
    assert (result.exit_code, error["exit_code"]) == (ExitCode.BUG, ExitCode.BUG)
    assert error["problem"].startswith("a bug: ValueError: ")
    assert "s3cret-in-a-bug" not in result.stdout


@pytest.mark.parametrize("error", [click.Abort(), KeyboardInterrupt()])
def test_a_command_that_is_stopped_says_so_as_json(
    monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def stop(self: ConfigSource) -> None:
        raise error

    monkeypatch.setattr(ConfigSource, "load", stop)
    result = run("status", "--json")
    assert json.loads(result.stdout)["error"]["exit_code"] == result.exit_code == ExitCode.SIGINT
