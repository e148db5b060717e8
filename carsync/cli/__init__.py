"""The command line. Child processes import this module again, so it imports nothing heavy."""

from __future__ import annotations

import importlib


def main() -> None:
    """Run the `carsync` command."""
    importlib.import_module("carsync.cli.app").run()
