"""Findings shown: as text of 80 columns, and as data."""

from __future__ import annotations

import json

from carsync.doctor import render
from carsync.doctor.findings import Findings, Group
from carsync.errors import ConfigError, DatabaseError
from carsync.exit_codes import ExitCode


def groups() -> list[Group]:
    found = Findings(ExitCode.DATABASE)
    found.ok("version", "PostgreSQL 16")
    found.warn("clock", "w" * 30 + " " + "x" * 60, "mend " * 20)
    found.failed("grants", DatabaseError("no", hint="grant"))
    found.failed("mode", ConfigError("odd", hint="other"))
    found.skip(["a", "b"], "of that")
    return [Group("database", tuple(found.all))]


def test_the_report_fits_80_columns_and_says_what_and_how() -> None:
    text = render.render(groups(), ExitCode.DATABASE, color=False)
    assert max(map(len, text.splitlines())) <= render.WIDTH
    assert "a, b: skipped, because of that" in text
    assert "→ grant" in text
    assert "✗ grants" in text
    assert text.endswith("2 problems, 1 warning, 2 skipped (exit 4)")
    colored = render.render(groups(), ExitCode.DATABASE, color=True)
    assert "\x1b[31m✗\x1b[0m" in colored


def test_the_data_holds_every_check() -> None:
    data = json.loads(json.dumps(render.as_data(groups(), ExitCode.DATABASE)))
    assert data["exit_code"] == 4
    assert data["problems"] == 2
    assert data["groups"][0]["checks"][2] == {
        "name": "grants",
        "level": "problem",
        "seen": "no",
        "fix": "grant",
    }
