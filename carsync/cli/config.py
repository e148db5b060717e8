"""`carsync config`: the JSON Schema and the effective configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import msgspec

from carsync.cli.loading import config_options, load_config
from carsync.config import Secret
from carsync.configfile import json_schema


@click.group()
def config() -> None:
    """Show the JSON Schema of the file, or the effective configuration."""


@config.command()
def schema() -> None:
    """Print the JSON Schema of the configuration file.

    \b
    Editors with a YAML language server use it for completion:
      carsync config schema > carsync.schema.json
    """
    click.echo(json.dumps(json_schema(), indent=2))


@config.command()
@config_options
def show(config_path: Path | None, overrides: tuple[str, ...]) -> None:
    """Print the effective configuration as JSON: file, environment and options together.

    Secrets are shown as `***`.
    """
    effective = msgspec.to_builtins(load_config(config_path, overrides), enc_hook=_mask)
    click.echo(json.dumps(_mask_all(effective, load_config(config_path, overrides)), indent=2))


def _mask(value: Any) -> Any:
    raise TypeError(f"cannot show {type(value).__name__}")


def _mask_all(tree: Any, node: Any) -> Any:
    """Replace every `Secret` of the configuration by `***`."""
    if isinstance(node, Secret):
        return "***"
    if isinstance(node, msgspec.Struct):
        return {
            f.encode_name: _mask_all(tree[f.encode_name], getattr(node, f.name))
            for f in msgspec.structs.fields(type(node))
        }
    return tree
