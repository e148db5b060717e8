"""Keys: each once, explained in the example, described by the schema."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from carsync.config.keys import json_schema, keys
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
