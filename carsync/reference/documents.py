"""All files of the reference, by their names under docs/."""

from __future__ import annotations

from importlib.resources import files

from carsync.cli.app import app
from carsync.reference.commandtree import entries
from carsync.reference.configtable import parts
from carsync.reference.manpage import man_page
from carsync.reference.pages import commands_page, configuration_page, exit_codes_page


def documents() -> dict[str, str]:
    """Return each file's name under docs/ and its text, worked out from the code."""
    example = files("carsync.config_files").joinpath("carsync.example.yaml")
    tree = list(entries(app, "carsync"))
    return {
        "carsync.1": man_page(tree),
        "reference/commands.md": commands_page(tree),
        "reference/configuration.md": configuration_page(parts(example.read_text("utf-8"))),
        "reference/exit-codes.md": exit_codes_page(),
    }
