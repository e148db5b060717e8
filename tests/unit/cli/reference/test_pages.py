"""The reference's pages name all there is, and show it as Markdown."""

from __future__ import annotations

import re

from carsync.cli.app import COMMANDS
from carsync.cli.reference.commandtree import Block, Entry
from carsync.cli.reference.documents import documents
from carsync.cli.reference.pages import commands_page, metrics_page
from carsync.config.keys import keys
from carsync.exit_codes import ExitCode
from carsync.reporting.notify.prometheus import METRICS
from tests.support.folders import ROOT

MADE = documents(ROOT / "docs")


def test_every_command_has_its_chapter() -> None:
    for name in COMMANDS:
        assert f"\n## carsync {name}\n" in MADE["reference/commands.md"]
        assert f'\n.SS "carsync {name} ' in MADE["carsync.1"]


def test_every_key_has_its_row_with_an_explanation() -> None:
    page = MADE["reference/configuration.md"]
    for key in keys():
        section, _, name = key.rpartition(".")
        rows = page.split(f"\n## {section}\n")[1].split("\n## ")[0].splitlines()
        (row,) = [row for row in rows if row.startswith(f"| `{name}` ")]
        assert len(row.split(" | ")) == 4
        assert re.search(r"\w", row.split(" | ")[3]), f"{key} is not explained"


def test_every_exit_code_is_there() -> None:
    for code in ExitCode:
        assert f"\n| {code.value} | `{code.name}` | " in MADE["reference/exit-codes.md"]
        assert f"\n\\fB{code.value}\\fR\n" in MADE["carsync.1"]


def test_every_metric_is_there() -> None:
    assert all(f"`{metric.name}`" in MADE["reference/metrics.md"] for metric in METRICS)


def test_a_command_is_shown_with_its_examples_and_options() -> None:
    example = Block("Example:", ("carsync x | wc",))
    entry = Entry("carsync x", "[OPTIONS]", (Block("Do it."), example), (("--a|b", "One."),))
    page = commands_page([entry])
    assert "- [`carsync x`](#carsync-x)" in page
    assert "\n\nDo it.\n\nExample:\n\n```sh\ncarsync x | wc\n```\n" in page
    assert "\n| `--a\\|b` | One. |\n" in page, "a bar would end the cell"


def test_of_the_page_of_metrics_only_the_tables_are_made() -> None:
    old = "# A\n\n<!-- made 1 -->\n| stale |\n<!-- end -->\n\nB\n\n<!-- made 2 -->\n<!-- end -->\n"
    rule = {"alert": "Late", "expr": "a >\n  1", "for": "5m", "labels": {"severity": "page"}}
    page = metrics_page(old, [rule])
    assert "| stale |" not in page
    assert page.startswith("# A\n\n<!-- made 1 -->\n\n| metric | type |")
    assert "|\n\n<!-- end -->\n\nB\n" in page
    assert page.endswith("| `Late` | `a > 1` for 5m | page |\n\n<!-- end -->\n")
