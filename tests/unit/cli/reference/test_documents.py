"""The reference under docs/ is what the code gives, and names all there is."""

from __future__ import annotations

import re

import pytest

from carsync import failpoints
from carsync.cli.reference.documents import documents
from carsync.config.environment import FURTHER_VARIABLES, VARIABLES
from tests.support.folders import ROOT

DOCS = ROOT / "docs"
MADE = documents(DOCS)
AGAIN = "run `.venv/bin/python -m carsync.cli.reference` and commit what it writes"


@pytest.mark.parametrize("name", list(MADE))
def test_the_committed_file_is_what_the_code_gives(name: str) -> None:
    path = DOCS / name
    assert path.exists(), AGAIN
    assert path.read_text(encoding="utf-8") == MADE[name], f"{path} is stale: {AGAIN}"


def test_every_variable_that_the_code_reads_is_explained() -> None:
    read = re.compile(r"""environ(?:\.get\(|\[)"(\w+)\"""")
    found = {
        name
        for file in (ROOT / "carsync").rglob("*.py")
        if file.parent.name != "demo"
        for name in read.findall(file.read_text(encoding="utf-8"))
    }
    assert {"NO_COLOR", "STATE_DIRECTORY"} <= found
    assert found <= {*VARIABLES, *FURTHER_VARIABLES}, "explain it in carsync/config/environment.py"
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
