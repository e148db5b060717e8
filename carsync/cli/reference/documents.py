"""All files of the reference, by their names under docs/."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from carsync.cli.app import app
from carsync.cli.reference.commandtree import entries
from carsync.cli.reference.configtable import parts
from carsync.cli.reference.jsonpage import json_page
from carsync.cli.reference.manpage import man_page
from carsync.cli.reference.pages import (
    commands_page,
    configuration_page,
    exit_codes_page,
    metrics_page,
)

METRICS_PAGE = "reference/metrics.md"


def documents(folder: Path) -> dict[str, str]:
    """Return each file's name under docs/ and its text, made from the code.

    Of the page of metrics in `folder` only the tables are made; without that page it is
    left out.
    """
    example = files("carsync.config_files").joinpath("carsync.example.yaml")
    tree = list(entries(app, "carsync"))
    made = {
        "carsync.1": man_page(tree),
        "reference/commands.md": commands_page(tree),
        "reference/configuration.md": configuration_page(parts(example.read_text("utf-8"))),
        "reference/exit-codes.md": exit_codes_page(),
        "reference/json.md": json_page(),
    }
    page = folder / METRICS_PAGE
    if page.exists():
        made[METRICS_PAGE] = metrics_page(page.read_text("utf-8"), alert_rules())
    return made


def alert_rules() -> list[dict[str, Any]]:
    """Return the alert rules that are shipped with carsync."""
    shipped = files("carsync.config_files.prometheus").joinpath("carsync.rules.yaml")
    (group,) = yaml.safe_load(shipped.read_text("utf-8"))["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules
