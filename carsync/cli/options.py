"""The options that many commands share, and the configuration they lead to."""

from __future__ import annotations

import functools
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from carsync.config.credentials import Variables
from carsync.config.dsn import place_of
from carsync.config.environment import supabase_hint
from carsync.config.keys import keys
from carsync.config.parser import parse
from carsync.config.sections import Config
from carsync.errors import ConfigError
from carsync.state.checkpoint import default_path

log = logging.getLogger(__name__)

_Command = Callable[..., Any]

limit_option = click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Show at most this many.",
)
"""Adds `--limit`, given to the command as `limit`: the most lines of a list to show."""

_UNIT_S = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>min|[smhd])", re.ASCII)


def read_duration(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> float | None:
    """Return the seconds of a number with its unit, as `26h`, `90m` or `2d`; 0 needs none."""
    if value is None or value.strip() == "0":
        return None if value is None else 0.0
    match = _DURATION.fullmatch(value.strip())
    if match is None:
        raise click.BadParameter(f"{value!r} is not a duration; write for example 26h, 90m or 2d")
    return float(match["number"]) * _UNIT_S[match["unit"]]


json_always_option = click.option(
    "--json", is_flag=True, expose_value=False, help="Print JSON (always the case; for scripts)."
)
"""Adds `--json` to a command that prints nothing else."""


class ConfigSource(Struct, frozen=True):
    """Where a configuration comes from: the file of `--config`, the overrides of `--set`."""

    path: Path | None = None
    overrides: tuple[str, ...] = ()

    def load(self) -> Config:
        """Read and check the configuration: options over environment over file over defaults.

        A credential from systemd acts as the variable of its name. Raises `ConfigError` with
        the key, its value and a hint.
        """
        path, text = self.path, ""
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
            log.warning("the variable %s is set and wins over the credential with this name", name)
        origin = str(path) if path else "the environment"
        return parse(text, variables, self.overrides, origin=origin)

    def load_with_database(self) -> Config:
        """Do as `load`; raise `ConfigError`, too, where `database.dsn` is not set."""
        return require_database(self.load())


def config_options(command: _Command) -> _Command:
    """Add `--config` and `--set`, given to the command together as `source`."""

    @functools.wraps(command)
    def with_source(
        *args: Any, config_path: Path | None, overrides: tuple[str, ...], **values: Any
    ) -> Any:
        return command(*args, source=ConfigSource(config_path, overrides), **values)

    file_option = click.option(
        "-c",
        "--config",
        "config_path",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="YAML file; without it, carsync uses the environment variables.",
    )
    set_option = click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="KEY=VALUE",
        shell_complete=lambda ctx, param, typed: [f"{k}=" for k in keys() if k.startswith(typed)],
        help="Override one key, e.g. --set limits.requests_per_second=5 (repeatable).",
    )
    return file_option(set_option(with_source))


def require_database(config: Config) -> Config:
    """Return `config`, or raise `ConfigError` saying where the connection string is found."""
    hint = supabase_hint(Variables(os.environ))
    if not config.database.dsn and hint:
        raise ConfigError("database.dsn is not set", hint=hint)
    config.require_dsn()
    return config


def checkpoint_path(config: Config) -> Path:
    """Return the path of this target's checkpoint.

    Raises `ConfigError` if that needs a DSN, or a home directory of which nobody knows.
    """
    if (path := config.checkpoint.path) is None:
        home = Path(os.path.expanduser("~"))  # noqa: PTH111 - it never raises
        path = str(default_path(os.environ, home, place_of(require_database(config))))
    found = Path(os.path.expanduser(path))  # noqa: PTH111 - it never raises
    if found.parts[0].startswith("~"):
        raise ConfigError(
            "this user has no home directory, and the checkpoint would lie there",
            detail=f"neither HOME nor the system's users say what {found.parts[0]} is",
            hint="set HOME, XDG_STATE_HOME or checkpoint.path to a place that this user may write",
        )
    return found


def find_checkpoint_path(config: Config) -> Path | None:
    """Do as `checkpoint_path`, but return None where that needs a DSN that is not set."""
    if config.checkpoint.path is None and not config.database.dsn:
        return None
    return checkpoint_path(config)
