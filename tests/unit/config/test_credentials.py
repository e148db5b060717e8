"""Credentials that systemd hands over: variables, below those of the environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from carsync.config.credentials import MAX_BYTES, Variables
from carsync.config.environment import supabase_hint
from carsync.config.parser import parse
from carsync.errors import ConfigError
from carsync.redaction import Secret

HUSH = "hush-7f3a"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def variables(folder: Path, **environ: str) -> Variables:
    return Variables({"CREDENTIALS_DIRECTORY": str(folder), **environ})


@pytest.mark.parametrize("name", ["API_KEY", "carsync_API_KEY"])
@pytest.mark.parametrize("text", [HUSH, f"{HUSH}\n", f"{HUSH}\r\n"])
def test_a_credential_acts_as_the_variable_of_its_name(folder: Path, name: str, text: str) -> None:
    (folder / name).write_bytes(text.encode())
    config = parse("", variables(folder))
    assert config.api.auth.key is not None
    assert config.api.auth.key.reveal() == HUSH


@pytest.mark.parametrize(
    "name", ["username", "password", "client_id", "client_secret", "refresh_token"]
)
def test_a_credential_gives_each_secret_of_the_keys(folder: Path, name: str) -> None:
    (folder / f"carsync_API_{name.upper()}").write_text(f"{HUSH}\n")
    found = getattr(parse("", variables(folder)).api.auth, name)
    assert (found.reveal() if isinstance(found, Secret) else found) == HUSH


def test_a_credential_fills_a_reference_of_the_file(folder: Path) -> None:
    (folder / "NORTH_KEY").write_text(f"{HUSH}\n")
    config = parse("api: {auth: {key: '${NORTH_KEY}'}}", variables(folder))
    assert config.api.auth.key is not None
    assert config.api.auth.key.reveal() == HUSH
    with pytest.raises(ConfigError, match="SOUTH_KEY is not set"):
        parse("api: {auth: {key: '${SOUTH_KEY}'}}", variables(folder))


def test_supabase_is_derived_from_credentials_too(folder: Path) -> None:
    (folder / "SUPABASE_DB_PASSWORD").write_text("p/w\n")
    environ = variables(folder, SUPABASE_URL="https://abcd.supabase.co")
    dsn = parse("", environ).require_dsn().reveal()
    assert dsn.startswith("postgresql://postgres:p%2Fw@db.abcd.supabase.co:5432/")
    (folder / "SUPABASE_SERVICE_ROLE_KEY").write_text(HUSH)
    assert "REST gateway" in supabase_hint(environ)


def test_the_environment_wins_unless_it_is_empty(folder: Path) -> None:
    (folder / "RPS").write_text("3")
    assert variables(folder, RPS="5")["RPS"] == "5"
    assert variables(folder, RPS="")["RPS"] == "3"
    assert variables(folder, RPS="5").shadowed() == ["RPS"]
    assert variables(folder, RPS="").shadowed() == []


def test_an_empty_credential_is_none(folder: Path) -> None:
    (folder / "API_KEY").write_text("\n")
    assert "API_KEY" not in variables(folder)
    assert variables(folder, API_KEY="")["API_KEY"] == ""


def test_it_is_a_mapping_of_both(folder: Path) -> None:
    (folder / "carsync_API_KEY").write_text(HUSH)
    (folder / "no-name.pem").write_bytes(b"\xff")
    both = variables(folder, RPS="5")
    assert list(both) == ["CREDENTIALS_DIRECTORY", "RPS", "API_KEY"]
    assert len(both) == 3
    assert both.get("no-name.pem") is None
    assert both.get("../API_KEY") is None


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (HUSH.encode() + b"\xff", "is not UTF-8 text"),
        (HUSH.encode() + b"\0", "contains a NUL"),
        (HUSH.encode() * MAX_BYTES, "is too large"),
    ],
)
def test_a_credential_that_is_no_text_is_a_fault_of_the_configuration(
    folder: Path, raw: bytes, what: str
) -> None:
    (folder / "API_KEY").write_bytes(raw)
    with pytest.raises(ConfigError) as caught:
        parse("", variables(folder))
    assert what in caught.value.problem
    assert "LoadCredential=" in caught.value.hint
    assert HUSH not in f"{caught.value.problem}{caught.value.detail}{caught.value.hint}"
    assert parse("", variables(folder, API_KEY="given")).api.auth.key is not None


def test_a_credential_that_cannot_be_read_says_why(folder: Path) -> None:
    (folder / "API_KEY").mkdir()
    with pytest.raises(ConfigError, match="the credential API_KEY cannot be read") as caught:
        parse("", variables(folder))
    assert caught.value.detail == "Is a directory"


@pytest.mark.parametrize("place", ["", "relative", "/nowhere/at/all"])
def test_without_a_folder_the_environment_is_all_there_is(place: str) -> None:
    only = Variables({"CREDENTIALS_DIRECTORY": place, "RPS": "5"})
    assert (only["RPS"], only.get("API_KEY"), only.shadowed()) == ("5", None, [])
    assert Variables(os.environ).get("PATH") == os.environ["PATH"]
