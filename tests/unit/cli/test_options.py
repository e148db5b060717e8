"""The options that commands share: what is missing or wrong is named with what to set."""

from __future__ import annotations

from pathlib import Path

import pytest

from carsync.exit_codes import ExitCode
from tests.support.command_line import run
from tests.support.folders import GOLDEN_FILE

HUSH = "hush-7f3a"


@pytest.mark.parametrize("command", ["sync", "status", "migrate"])
def test_without_a_database_the_error_says_what_to_set(command: str) -> None:
    result = run(command)
    assert result.exit_code == ExitCode.CONFIG
    assert result.stderr.startswith("carsync: database.dsn is not set\nhint: set DATABASE_URL=")
    assert result.stdout == ""


def test_a_user_without_a_home_directory_is_told_what_to_set() -> None:
    """No HOME, and no line for this user in the system's users."""
    for command in ("sync", "status", "check"):
        variables = {"DATABASE_URL": "postgresql://h/d", "API_BASE_URL": "http://h"}
        variables |= {"STATE_DIRECTORY": "", "XDG_STATE_HOME": ""}
        result = run(command, **variables, HOME="~nobody-is-this")
        assert result.exit_code == ExitCode.CONFIG
        assert "no home directory" in result.output
        assert "XDG_STATE_HOME" in result.output


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
