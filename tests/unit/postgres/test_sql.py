"""Statements: every file is used, and a part that has several lines breaks none of them."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.folders import ROOT

STATEMENTS = {
    path.relative_to(ROOT / "sql").with_suffix("").as_posix(): path
    for path in sorted((ROOT / "sql").rglob("*.sql"))
    if path.parent.name != "migrations"
}
SOURCES = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "carsync").rglob("*.py"))


def test_every_statement_is_used() -> None:
    names = [(name, Path(name).name) for name in STATEMENTS]
    assert [n for n, last in names if f'"{n}"' not in SOURCES and f'"{last}"' not in SOURCES] == []


def test_no_comment_holds_a_part() -> None:
    """The lines after its first would be no comment any more."""
    texts = {name: path.read_text(encoding="utf-8") for name, path in STATEMENTS.items()}
    parts = {name: re.findall(r"--.*\{\w+\}.*", text) for name, text in texts.items()}
    assert {name: found for name, found in parts.items() if found} == {}
