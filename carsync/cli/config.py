"""`carsync config`: an example, the JSON Schema and the effective configuration."""

from __future__ import annotations

import json
from importlib.resources import files

import click
import msgspec

from carsync.cli import console
from carsync.cli.options import ConfigSource, config_options, json_always_option
from carsync.config.keys import json_schema, shown


@click.group()
def config() -> None:
    """Print an example file, the JSON Schema of the file, or the effective configuration."""


@config.command()
def example() -> None:
    """Print a configuration file with every key, its default and its explanation.

    \b
    Example:
      carsync config example > prod.yaml
    """
    file = files("carsync.config_files").joinpath("carsync.example.yaml")
    console.show_file(file.read_bytes())


@config.command()
@json_always_option
def schema() -> None:
    """Print the JSON Schema of the configuration file.

    Editors with a YAML language server can complete and check the file with this schema.

    \b
    Example:
      carsync config schema > carsync.schema.json
    """
    console.show_json(json.dumps(json_schema(), indent=2))


@config.command()
@config_options
@json_always_option
def show(source: ConfigSource) -> None:
    """Print the effective configuration as JSON: file, environment and options together.

    `mapping` includes the rules of the preset. Secrets are shown as `***`.

    \b
    Examples:
      carsync config show --config prod.yaml
      RPS=5 carsync config show --set limits.burst=3 | jq .limits
    """
    # msgspec hands every `Secret` to the hook, and a `Secret`'s `str` is `***`.
    effective = msgspec.to_builtins(source.load(), enc_hook=str)
    params = effective["api"]["params"]
    effective["api"]["params"] = {
        name: "***" if shown(f"api.params.{name}", value) == "***" else value
        for name, value in params.items()
    }
    console.show_json(json.dumps(effective, indent=2))
