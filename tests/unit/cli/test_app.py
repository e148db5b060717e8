"""The command line: help for everything, colours as the environment has them, light to load."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import click
import pytest

import carsync
from carsync.cli import app as front
from carsync.cli.app import COMMANDS, app
from carsync.exit_codes import ExitCode
from tests.support.command_line import commands, run


def carsync_process(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "carsync", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


# Help


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=lambda value: str(value))
def test_every_command_and_option_has_help(name: str, command: click.Command) -> None:
    assert command.help, name
    if not isinstance(command, click.Group):
        _, _, examples = inspect.cleandoc(command.help).partition("\n\b\nExample")
        assert f"carsync {name}" in examples, f"{name}: no example"
    for option in command.params:
        assert not isinstance(option, click.Option) or option.help, f"{name} {option.name}"
    shown = run(*name.split(), "--help")
    assert shown.exit_code == 0
    assert command.help.split(".")[0].split("\n")[0][:40] in shown.stdout


def test_every_module_of_a_command_is_in_the_list() -> None:
    files = {path.stem for path in (Path(front.__file__).parent).glob("*.py")}
    shared = {"__init__", "app", "lazy_group", "options", "console"}
    assert files - shared - {"cluster"} == set(COMMANDS) - {"worker", "scheduler"}


def test_the_help_lists_all_commands_in_full_sentences() -> None:
    shown = " ".join(run("--help").stdout.split())
    for name, words in COMMANDS.items():
        assert f"{name} {words}" in shown
        assert words.endswith(".")
    assert all(isinstance(option, click.Option) and option.help for option in app.params)


def test_the_version_is_the_package_s() -> None:
    assert run("--version").stdout == f"carsync {carsync.__version__}\n"


# Light to load


def loaded_by(*args: str) -> set[str]:
    """Give the top-level modules that a command line leaves loaded in its process."""
    program = (
        "import sys, atexit\n"
        "atexit.register(lambda: print(*{m.partition('.')[0] for m in sys.modules}, "
        "file=sys.stderr))\n"
        f"sys.argv = ['carsync', *{args!r}]\n"
        "from carsync.cli import main\n"
        "main()\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    return set(process.stderr.split())


@pytest.mark.parametrize("args", [["--version"], ["--help"]])
def test_version_and_help_load_nothing_heavy(args: list[str]) -> None:
    loaded = loaded_by(*args)
    assert "click" in loaded
    heavy = {"requests", "urllib3", "psycopg2", "rich", "msgspec", "yaml", "psutil", "uvicorn"}
    heavy |= {"prometheus_client"}
    assert loaded & heavy == set()


def test_the_module_is_the_command() -> None:
    process = carsync_process("--version")
    assert (process.returncode, process.stdout) == (0, f"carsync {carsync.__version__}\n")
    assert carsync_process("synk").returncode == ExitCode.CONFIG


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


def test_python_m_carsync_imports_nothing_from_the_current_folder(tmp_path: Path) -> None:
    """Python itself imports there before: `importlib`, `contextlib` and the package's name."""
    for name in ("json", "logging", "click", "msgspec", "yaml", "multiprocessing"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')")
    command = [sys.executable, "-m", "carsync", "config", "schema"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, timeout=60)
