"""`carsync help`: what `--help` shows."""

from __future__ import annotations

from tests.support.command_line import run


def test_help_is_a_command_too() -> None:
    for words in ("", "sync", "simulate", "rejects replay"):
        assert run("help", *words.split()).stdout == run(*words.split(), "--help").stdout
