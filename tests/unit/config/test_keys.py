"""Keys: each once, explained in the example, described by the schema."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from carsync.config.keys import (
    SECRET_KEYS,
    choices,
    holds_secret,
    json_schema,
    keys,
    nearest,
    shown,
    type_of,
)
from carsync.config.parser import parse
from tests.support.configs import ENVIRONMENT, refused
from tests.support.folders import ROOT

FILES = ROOT / "config"


EXAMPLE = FILES / "carsync.example.yaml"


PROD = FILES / "prod.yaml"


def leaves(node: Any, prefix: str = "") -> dict[str, Any]:
    """Give the dotted keys of a file and their values; `params` and `columns` are values."""
    found: dict[str, Any] = {}
    for name, child in node.items():
        if isinstance(child, dict) and child:
            found |= leaves(child, f"{prefix}{name}.")
        else:
            found[prefix + name] = child
    return found


def test_the_example_lists_every_key_once_in_order() -> None:
    assert list(leaves(yaml.safe_load(EXAMPLE.read_text("utf-8")))) == keys()


def test_the_example_explains_every_key() -> None:
    lines = EXAMPLE.read_text("utf-8").splitlines()
    for key in keys():
        name = re.escape(key.rpartition(".")[2])
        written = [line for line in lines if re.match(rf"\s+{name}: ", line)]
        assert written, key
        assert all(re.search(r"\S\s+# \S", line) for line in written), key


def test_the_example_holds_the_defaults() -> None:
    example = parse(EXAMPLE.read_text("utf-8"), {"API_BASE_URL": "https://h"})
    assert example == parse("", {"API_BASE_URL": "https://h"})


@pytest.mark.parametrize("file", [EXAMPLE, PROD], ids=lambda path: path.name)
def test_the_files_are_valid_by_the_schema(file: Path) -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert [
        error.message for error in validator.iter_errors(yaml.safe_load(file.read_text()))
    ] == []


@pytest.mark.parametrize(
    "text",
    [
        "limits: {concurency: 4}",
        "limits: {concurrency: four}",
        "limits: {concurrency: 0}",
        "database: {load_method: fast}",
        "mapping: {columns: {vin: {type: txt}}}",
        "api: {auth: {key: 5}}",
    ],
)
def test_the_schema_refuses_what_carsync_refuses(text: str) -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    assert not validator.is_valid(yaml.safe_load(text))
    assert refused(text)


def test_the_production_file_runs_with_only_environment_variables_set() -> None:
    text = PROD.read_text("utf-8")
    assert parse(text, ENVIRONMENT) == parse("", ENVIRONMENT)
    tuned = parse(text, {**ENVIRONMENT, "RPS": "5", "CONCURRENCY": "2", "PARALLEL_BATCHES": "1"})
    assert (tuned.limits.requests_per_second, tuned.limits.concurrency) == (5.0, 2)
    assert tuned.database.writers == 1


def test_every_secret_is_a_key_and_every_secret_of_the_sections_is_in_the_list() -> None:
    secrets = {key for key in keys() if "carsync.redaction." in str(type_of(key))}
    assert secrets == set(SECRET_KEYS)
    for key in SECRET_KEYS:
        assert holds_secret(key)
        assert holds_secret(key.partition(".")[0])
    assert not holds_secret("limits.concurrency")


@pytest.mark.parametrize(
    ("path", "value", "meant", "text"),
    [
        ("limits.concurrency", "four", None, "'four'"),
        ("limits.concurrency", "x" * 100, None, "'" + "x" * 76 + "…"),
        ("api.auth.key", "hush", None, "***"),
        ("api.auth", {"key": "hush"}, None, "***"),
        ("api.auth.ky", "hush", "api.auth.key", "***"),
        ("feed.password", "hush", None, "***"),
        ("api.path", "https://u:hush@h/", None, "***"),
        ("database.schema", "host=h password=hush", None, "***"),
        ("api.auth.key", None, None, "None"),
        ("api.auth.key", True, None, "True"),
    ],
)
def test_what_could_be_a_secret_is_not_shown(
    path: str, value: object, meant: str | None, text: str
) -> None:
    assert shown(path, value, meant) == text


def test_a_key_is_looked_for_in_its_own_section_first() -> None:
    assert nearest("burts", "limits.", ["burst"]) == "limits.burst"
    assert nearest("page_size", "api.", ["path"]) == "api.pagination.page_size"
    assert nearest("nothing_like_it", "", ["api"]) is None


def test_keys_with_few_choices_name_them() -> None:
    assert choices("api.auth.type")[:3] == ["header", "bearer", "basic"]
    assert choices("notify.events[1]")[0] == "failed"
    assert choices("api.path") == []
