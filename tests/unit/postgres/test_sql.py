"""Statements: every file is used, and a part that has several lines breaks none of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.folders import ROOT

STATEMENTS = {
    path.relative_to(ROOT / "sql").with_suffix("").as_posix(): path
    for path in sorted((ROOT / "sql").rglob("*.sql"))
    if path.parent.name != "migrations"
}
SOURCES = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "carsync").rglob("*.py"))


@pytest.mark.parametrize("name", STATEMENTS)
def test_every_statement_is_used(name: str) -> None:
    assert f'"{name}"' in SOURCES or f'"{Path(name).name}"' in SOURCES


@pytest.mark.parametrize("path", STATEMENTS.values(), ids=STATEMENTS)
def test_no_comment_holds_a_part(path: Path) -> None:
    """The lines after its first would be no comment any more."""
    for comment in re.findall(r"--.*", path.read_text(encoding="utf-8")):
        assert re.search(r"\{\w+\}", comment) is None, comment
