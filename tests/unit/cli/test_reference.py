"""The reference under docs/ is what the code gives, and names all there is."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from carsync import failpoints
from carsync.cli.app import COMMANDS
from carsync.cli.reference.documents import documents
from carsync.config.environment import FURTHER_VARIABLES, VARIABLES
from carsync.config.keys import keys
from carsync.exit_codes import ExitCode
from carsync.reporting.notify.prometheus import METRICS
from tests.support.folders import ROOT

DOCS = ROOT / "docs"
MADE = documents(DOCS)
AGAIN = "run `.venv/bin/python -m carsync.cli.reference` and commit what it writes"


@pytest.mark.parametrize("name", list(MADE))
def test_the_committed_file_is_what_the_code_gives(name: str) -> None:
    path = DOCS / name
    assert path.exists(), AGAIN
    assert path.read_text(encoding="utf-8") == MADE[name], f"{path} is stale: {AGAIN}"


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


def test_every_variable_that_the_code_reads_is_explained() -> None:
    read = re.compile(r"""environ(?:\.get\(|\[)"(\w+)\"""")
    found = {
        name
        for file in (ROOT / "carsync").rglob("*.py")
        if file.parent.name != "demo"
        for name in read.findall(file.read_text(encoding="utf-8"))
    }
    assert {"NO_COLOR", "STATE_DIRECTORY"} <= found
    assert found <= {*VARIABLES, *FURTHER_VARIABLES}, "explain it in carsync/variables.py"
    page = MADE["reference/configuration.md"]
    assert all(f"| `{name}` | " in page for name in (*VARIABLES, *FURTHER_VARIABLES))
    assert failpoints.VARIABLE not in "".join(MADE.values())


def test_links_within_the_reference_lead_somewhere() -> None:
    for name, text in MADE.items():
        headings = {_anchor(line) for line in text.splitlines() if line.startswith("#")}
        for target in re.findall(r"\]\(([^)]+)\)", text):
            if target.startswith("#"):
                assert target[1:] in headings, f"{name}: {target}"
            elif "://" not in target:
                assert (DOCS / name).parent.joinpath(target).is_file(), f"{name}: {target}"


def _anchor(heading: str) -> str:
    words = heading.lstrip("#").strip().lower()
    return re.sub(r"[^\w -]", "", words).replace(" ", "-")


def test_the_manual_page_is_ascii_in_short_lines_and_has_no_stray_command() -> None:
    lines = MADE["carsync.1"].splitlines()
    assert MADE["carsync.1"].isascii()
    macros = {line.split()[0] for line in lines if line.startswith(".")}
    known = {".TH", ".SH", ".SS", ".PP", ".TP", ".RS", ".RE", ".nf", ".fi", ".br"}
    assert macros <= {*known, '.\\"'}
    assert not any(line.startswith("'") for line in lines)


@pytest.mark.skipif(shutil.which("groff") is None, reason="no groff")
def test_the_manual_page_renders_without_a_warning() -> None:
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-rLL=80n"],
        input=MADE["carsync.1"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    struck_twice = re.compile(".\b")  # how groff prints bold
    assert "EXIT STATUS" in struck_twice.sub("", done.stdout)
