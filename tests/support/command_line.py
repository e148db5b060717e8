"""The command line in this process, for tests: run it, list its commands, make one fail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from carsync.cli.app import COMMANDS, app


def run(*args: str | Path, **environ: str) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args], env=environ, prog_name="carsync")


def commands() -> Iterator[tuple[str, click.Command]]:
    """Give every command and sub-command with its full name."""
    group = app
    context = click.Context(group)
    for name in COMMANDS:
        command = group.get_command(context, name)
        assert command is not None
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {sub}", each) for sub, each in command.commands.items())


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr("carsync.cli.config.json_schema", fail)
