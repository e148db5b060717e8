"""The options that many commands share, and the configuration they lead to."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from carsync.config.credentials import Variables
from carsync.config.dsn import target_name
from carsync.config.environment import supabase_hint
from carsync.config.keys import keys
from carsync.config.parser import parse
from carsync.config.sections import Config
from carsync.errors import ConfigError
from carsync.state.checkpoint import default_path

log = logging.getLogger(__name__)

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _complete_key(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    return [f"{key}=" for key in keys() if key.startswith(incomplete)]


def config_options(command: _Command) -> _Command:
    """Add `--config` and `--set`, given to the command as `config_path` and `overrides`."""
    command = click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="KEY=VALUE",
        shell_complete=_complete_key,
        help="Override one key, e.g. --set limits.requests_per_second=5 (repeatable).",
    )(command)
    return click.option(
        "-c",
        "--config",
        "config_path",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="YAML file; without one the environment variables decide.",
    )(command)


def limit_option(command: _Command) -> _Command:
    """Add `--limit`, given to the command as `limit`: the most lines of a list to show."""
    return click.option(
        "--limit",
        type=click.IntRange(min=1),
        default=20,
        show_default=True,
        help="Show at most so many.",
    )(command)


def load_config(path: Path | None, overrides: tuple[str, ...] = ()) -> Config:
    """Read and check the configuration: options over environment over file over defaults.

    A credential from systemd acts as the variable of its name. Raises `ConfigError` with
    the key, its value and a hint.
    """
    text = ""
    if path is not None:
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as exc:
            raise ConfigError(
                f"the configuration file {path} cannot be read",
                detail=exc.strerror or "",
                hint="check the path given to --config",
            ) from None
        except UnicodeDecodeError:
            raise ConfigError(f"the configuration file {path} is not UTF-8 text") from None
    variables = Variables(os.environ)
    for name in variables.shadowed():
        log.warning("the variable %s is set and wins over the credential of that name", name)
    return parse(text, variables, overrides, origin=str(path) if path else "the environment")


def require_database(config: Config) -> Config:
    """Return `config`, or raise `ConfigError` saying where the connection string is found."""
    hint = supabase_hint(Variables(os.environ))
    if not config.database.dsn and hint:
        raise ConfigError("database.dsn is not set", hint=hint)
    config.require_dsn()
    return config


def checkpoint_path(config: Config) -> Path:
    """Return the path of this target's checkpoint; raise `ConfigError` if that needs a DSN."""
    if config.checkpoint.path is not None:
        return Path(config.checkpoint.path).expanduser()
    dsn = require_database(config).require_dsn()
    name = target_name(dsn.reveal(), config.database.schema, config.database.table)
    return default_path(os.environ, Path.home(), name)
