"""`carsync config`: the schema, and the effective configuration without secrets."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema

from carsync.config.parser import parse
from carsync.config.presets.loader import load_preset
from tests.support.command_line import run
from tests.support.folders import ROOT

HUSH = "hush-7f3a"


def test_config_schema_prints_the_schema() -> None:
    schema = json.loads(run("config", "schema").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert "limits" in json.dumps(schema)


def test_the_example_is_printed_as_it_is() -> None:
    printed = run("config", "example").stdout
    assert printed == (ROOT / "config/carsync.example.yaml").read_text(encoding="utf-8")


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
    assert shown["mapping"]["hash"] == {"algorithm": "xxh3_128", "fields": None}
    assert shown["mapping"]["columns"].keys() == preset.columns.keys()


def test_config_show_without_secrets_is_a_configuration_again() -> None:
    shown = run("config", "show", "--set", "limits.concurrency=3").stdout
    assert parse(shown, {}).limits.concurrency == 3
