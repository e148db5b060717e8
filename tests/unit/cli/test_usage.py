"""How carsync is typed: slips are named, options stand anywhere, shells complete its words."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from carsync.cli.app import COMMANDS, app
from carsync.errors import CarsyncError
from carsync.exit_codes import ExitCode
from tests.support.command_line import commands, fail_with, run

RETRY_KEYS = ("max_attempts", "base_s", "cap_s")

# Slips


@pytest.mark.parametrize(
    ("typed", "error", "hint"),
    [
        ("synk", "no such command: synk", "did you mean `carsync sync`?"),
        ("stats", "no such command: stats", "did you mean `carsync status`?"),
        ("rejects lst", "no such command: lst", "did you mean `carsync rejects list`?"),
        ("help rejects reply", "no such command: reply", "did you mean `carsync rejects replay`?"),
        ("sync --confg x", "no such option: --confg", "did you mean --config?"),
        ("rejects list --limt 1", "no such option: --limt", "did you mean --limit?"),
        ("sync --debgu", "no such option: --debgu", "did you mean --debug?"),
        ("--verbos sync", "no such option: --verbos", "did you mean --verbose?"),
        (
            "--config x sync",
            "no such option: --config",
            "see `carsync --help`; a command's own options stand behind its name",
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


def test_help_is_a_command_too() -> None:
    for words in ("", "sync", "simulate", "rejects replay"):
        assert run("help", *words.split()).stdout == run(*words.split(), "--help").stdout


# The group's options, before and behind the command


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
    ("environ", "colored"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)],
)
def test_colours_are_forced_and_forbidden_by_the_environment(
    environ: dict[str, str], colored: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    path = f"checkpoint.path={tmp_path / 'none.json'}"
    assert ("\x1b[1m" in run("status", "--set", path, **environ).stdout) is colored


# Completion


def completed(line: str, **environ: str) -> set[str]:
    """Give what bash would be told to offer for `line`."""
    words = line.split(" ")
    environ = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), **environ}
    result = run(_CARSYNC_COMPLETE="bash_complete", **environ)
    assert result.exit_code == 0
    return set(result.stdout.split())


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("carsync st", {"plain,status"}),
        ("carsync rejects ", {"plain,list", "plain,replay"}),
        ("carsync sync --js", {"plain,--json"}),
        ("carsync sync --verb", {"plain,--verbose"}),
        ("carsync sync --config ", {"file,"}),
        ("carsync sync --set limits.retry.", {f"plain,limits.retry.{k}=" for k in RETRY_KEYS}),
        ("carsync completion ", {"plain,bash", "plain,zsh", "plain,fish"}),
    ],
)
def test_words_are_completed(line: str, offered: set[str]) -> None:
    assert completed(line) == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_the_shell(shell: str) -> None:
    script = run("completion", shell).stdout
    assert f"_CARSYNC_COMPLETE={shell}_complete" in script


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_a_real_bash_completes_with_the_script(tmp_path: Path) -> None:
    script = tmp_path / "carsync.bash"
    script.write_text(run("completion", "bash").stdout)
    program = (
        f"source {script}\n"
        "COMP_WORDS=(carsync sync --fr) COMP_CWORD=2\n"
        "_carsync_completion carsync --fr sync\n"
        'echo "${COMPREPLY[@]}"; complete -p carsync\n'
    )
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "--norc", "-c", program], capture_output=True, text=True, timeout=60, env=environ
    )
    assert done.stderr == ""
    assert done.stdout.splitlines()[0] == "--fresh"
    assert "_carsync_completion carsync" in done.stdout
