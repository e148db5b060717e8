"""The command line: help for everything, one clear error instead of a traceback, light to load."""

from __future__ import annotations

import inspect
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import jsonschema
import pytest

import carsync
from carsync.cli import app as front
from carsync.cli.app import COMMANDS, app
from carsync.config.environment import VARIABLES
from carsync.config.parser import parse
from carsync.config.presets.loader import load_preset
from carsync.errors import (
    ApiError,
    CarsyncError,
    CheckpointError,
    DatabaseError,
    LockedError,
    WorkersDiedError,
)
from carsync.exit_codes import ExitCode
from tests.support.command_line import commands, fail_with, run
from tests.support.folders import GOLDEN_FILE

HUSH = "hush-7f3a"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of the tester's own decides anything."""
    for name in (*VARIABLES, "SUPABASE_URL", "SUPABASE_DB_URL", "SUPABASE_DB_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("SUPABASE_SERVICE_ROLE_KEY", raising=False)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))


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
    rooms = {"__init__", "app", "lazy_group", "options", "console", "listeners", "init_file"}
    assert files - rooms == set(COMMANDS)


def test_the_help_lists_all_commands_in_full_sentences() -> None:
    shown = " ".join(run("--help").stdout.split())
    for name, words in COMMANDS.items():
        assert f"{name} {words}" in shown
        assert words.endswith(".")
    assert all(isinstance(option, click.Option) and option.help for option in app.params)


def test_the_version_is_the_package_s() -> None:
    assert run("--version").stdout == f"carsync {carsync.__version__}\n"


# Errors and exit codes


@pytest.mark.parametrize("command", ["sync", "status", "migrate"])
def test_without_a_database_the_error_says_what_to_set(command: str) -> None:
    result = run(command)
    assert result.exit_code == ExitCode.CONFIG
    assert result.stderr.startswith("carsync: database.dsn is not set\nhint: set DATABASE_URL=")
    assert result.stdout == ""


def test_a_service_role_key_alone_is_told_where_the_connection_string_is() -> None:
    result = run("sync", SUPABASE_URL="https://x.supabase.co", SUPABASE_SERVICE_ROLE_KEY=HUSH)
    assert result.exit_code == ExitCode.CONFIG
    assert "Session pooler" in result.stderr
    assert HUSH not in result.output


def test_without_a_feed_sync_and_preview_say_what_to_set() -> None:
    for result in (run("preview"), run("sync", DATABASE_URL="postgresql://h/d")):
        assert result.exit_code == ExitCode.CONFIG
        assert "API_BASE_URL" in result.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read"),
        (b"\xff", "is not UTF-8"),
        (b"a: b: c", "is not valid YAML"),
        (b"limits: {concurency: 4}", "did you mean limits.concurrency?"),
        (b"mapping: {preset: auctionapi}", "did you mean auctionsapi?"),
        (b"mapping: {columns: {id: null}}", "mapping.columns.id"),
    ],
)
def test_a_wrong_file_is_one_error_with_its_reason(
    tmp_path: Path, text: bytes | None, words: str
) -> None:
    file = tmp_path / "prod.yaml"
    if text is not None:
        file.write_bytes(text)
    result = run("preview", "--from-file", GOLDEN_FILE, "--config", file)
    assert result.exit_code == ExitCode.CONFIG
    assert words in result.stderr
    assert "Traceback" not in result.output


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


# What commands print


def test_config_schema_prints_the_schema() -> None:
    schema = json.loads(run("config", "schema").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert "limits" in json.dumps(schema)


def test_config_show_prints_what_counts_and_never_a_secret(tmp_path: Path) -> None:
    file = tmp_path / "prod.yaml"
    file.write_text(
        f"api: {{proxy: 'http://u:{HUSH}@proxy:3128', params: {{token: {HUSH}, country: kr}}}}\n"
        "limits: {concurrency: 4}"
    )
    result = run(
        *("config", "show", "--config", file, "--set", "database.writers=2"),
        API_KEY=HUSH,
        DATABASE_URL=f"postgresql://u:{HUSH}@h/d",
        RPS="5",
    )
    shown = json.loads(result.stdout)
    assert HUSH not in result.output
    secrets = (shown["api"]["auth"]["key"], shown["api"]["proxy"], shown["database"]["dsn"])
    assert secrets == ("***", "***", "***")
    assert shown["api"]["params"] == {"token": "***", "country": "kr"}
    assert (shown["limits"]["concurrency"], shown["limits"]["requests_per_second"]) == (4, 5.0)
    assert shown["database"]["writers"] == 2
    preset = load_preset(shown["mapping"]["preset"])
    assert shown["mapping"]["hash"] == {"algorithm": "xxh3_128", "fields": preset.hash_.fields}
    assert shown["mapping"]["columns"].keys() == preset.columns.keys()


def test_config_show_without_secrets_is_a_configuration_again() -> None:
    shown = run("config", "show", "--set", "limits.concurrency=3").stdout
    assert parse(shown, {}).limits.concurrency == 3


def test_preview_gives_the_rows_and_hashes_of_deployed_systems(tmp_path: Path) -> None:
    golden = json.loads(GOLDEN_FILE.read_text(encoding="utf-8"))
    file = tmp_path / "records.json"
    file.write_text(json.dumps([pair["record"] for pair in golden]), encoding="utf-8")
    result = run("preview", "--from-file", file, "--set", "mapping.hash.algorithm=md5")
    assert result.exit_code == 0
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(rows) == 120
    for row, pair in zip(rows, golden, strict=True):
        expected = {**pair["row"], "images": json.loads(pair["row"]["images"])}
        assert {name: row[name] for name in expected} == expected
    assert result.stderr.endswith("120 mapped, 0 rejected\n")


def test_preview_names_rejects_on_standard_error_with_their_reason(tmp_path: Path) -> None:
    file = tmp_path / "records.json"
    good = {"id": 1, "manufacturer": {"name": "Kia"}, "model": {"name": "K5"}}
    records = [{**good, "manufacturer": None}, good, 5, {**good, "vin": "a\0b"}, {**good, "id": 2}]
    file.write_text(json.dumps(records))
    result = run("preview", "--from-file", file, "--limit", "1")
    assert result.exit_code == 0
    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == ["1"]
    said = result.stderr.splitlines()
    assert [line.partition(":")[0] for line in said] == [
        "rejected record 0 (id 1, column make)",
        "rejected record 2 (no id)",
        "rejected record 3 (id 1, column vin)",
        "2 mapped, 3 rejected",
    ]
    assert all(line.partition(": ")[2] for line in said[:3])


@pytest.mark.parametrize("text", ["", "{}", "<html>", '{"data": []}', "5"])
def test_preview_refuses_a_file_that_is_no_array(tmp_path: Path, text: str) -> None:
    file = tmp_path / "records.json"
    file.write_text(text)
    result = run("preview", "--from-file", file)
    assert result.exit_code == ExitCode.CONFIG
    assert "is not a JSON array of records" in result.stderr


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
