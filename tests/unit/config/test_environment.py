"""The environment variables that always work, Supabase's among them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from carsync.config.environment import VARIABLES, supabase_hint
from carsync.config.keys import keys
from carsync.config.parser import parse
from carsync.config.sections import Config
from tests.support.configs import HUSH, assert_silent, refused


def value(config: Config, path: str) -> Any:
    """Return what `config` holds at a dotted key."""
    found: Any = msgspec.to_builtins(config, enc_hook=lambda secret: secret.reveal())
    for name in path.split("."):
        found = found[name]
    return found


@pytest.mark.parametrize(
    ("name", "text", "read"),
    [
        ("API_BASE_URL", "https://feed.example.com", "https://feed.example.com"),
        ("API_KEY", "12345", "12345"),
        ("API_USERNAME", "me@example.com", "me@example.com"),
        ("API_PASSWORD", "12345", "12345"),
        ("API_CLIENT_ID", "12345", "12345"),
        ("API_CLIENT_SECRET", "12345", "12345"),
        ("API_REFRESH_TOKEN", "12345", "12345"),
        ("CONCURRENCY", "3", 3),
        ("RPS", "0", 0.0),
        ("PAGE_SIZE", "250", 250),
        ("BATCH_SIZE", "1000", 1000),
        ("PARALLEL_BATCHES", "2", 2),
        ("DATABASE_URL", "postgresql://h/d", "postgresql://h/d"),
        ("CARSYNC_NOTIFY_URL", "https://hooks.example.com/x", "https://hooks.example.com/x"),
        ("CARSYNC_PING_URL", "https://hc.example.com/x", "https://hc.example.com/x"),
    ],
)
def test_each_variable_sets_its_key(name: str, text: str, read: object) -> None:
    assert value(parse("", {name: text}), VARIABLES[name]) == read
    assert value(parse("", {name: ""}), VARIABLES[name]) == value(Config(), VARIABLES[name])


def test_the_parameters_above_name_every_variable() -> None:
    mark = test_each_variable_sets_its_key.pytestmark[0]  # type: ignore[attr-defined]
    assert {name for name, _, _ in mark.args[1]} == set(VARIABLES)
    assert set(VARIABLES.values()) <= set(keys())


PROJECT = {"SUPABASE_URL": "https://abcd.supabase.co", "SUPABASE_DB_PASSWORD": "p/w@1"}


def dsn(environ: dict[str, str]) -> str | None:
    found = parse("", environ).database.dsn
    return found.reveal() if found else None


def test_supabase_variables_give_the_connection_string() -> None:
    derived = "postgresql://postgres:p%2Fw%401@db.abcd.supabase.co:5432/postgres?sslmode=require"
    assert dsn(PROJECT) == derived
    assert dsn({**PROJECT, "SUPABASE_DB_URL": "postgresql://pooler/d"}) == "postgresql://pooler/d"
    assert dsn({**PROJECT, "DATABASE_URL": "postgresql://h/d"}) == "postgresql://h/d"


@pytest.mark.parametrize("url", ["https://example.com", "https://[", "abcd", "https://supabase.co"])
def test_a_url_that_is_no_supabase_project_is_refused_without_its_password(url: str) -> None:
    error = refused("", {"SUPABASE_URL": url, "SUPABASE_DB_PASSWORD": HUSH})
    assert error.problem.startswith("SUPABASE_URL")
    assert "DATABASE_URL" in error.hint
    assert_silent(error)


def test_part_of_supabase_alone_says_what_is_missing() -> None:
    key = {"SUPABASE_URL": PROJECT["SUPABASE_URL"], "SUPABASE_SERVICE_ROLE_KEY": HUSH}
    assert dsn(key) is None
    assert "Session pooler" in supabase_hint(key)
    assert HUSH not in supabase_hint(key)
    assert "SUPABASE_DB_PASSWORD" in supabase_hint({"SUPABASE_URL": PROJECT["SUPABASE_URL"]})
    assert supabase_hint({}) == ""
