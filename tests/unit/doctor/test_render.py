"""Findings shown: as text of 80 columns, and as data."""

from __future__ import annotations

import msgspec

from carsync.doctor import render
from carsync.doctor.findings import Finding, Group, Level
from carsync.exit_codes import ExitCode
from tests.support.findings import problem_groups


def test_the_report_fits_80_columns_and_says_what_and_how() -> None:
    text = render.render(problem_groups(), ExitCode.DATABASE, color=False)
    assert max(map(len, text.splitlines())) <= render.WIDTH
    assert "a, b: skipped, because of that" in text
    assert "→ grant" in text
    assert "✗ grants" in text
    assert text.endswith("2 problems, 1 warning, 2 skipped (exit 4)")
    colored = render.render(problem_groups(), ExitCode.DATABASE, color=True)
    assert "\x1b[31m✗\x1b[0m" in colored


def test_the_data_holds_every_check() -> None:
    data = msgspec.to_builtins(render.answer(problem_groups(), ExitCode.DATABASE))
    assert data["exit_code"] == 4
    assert data["problems"] == 2
    assert data["groups"][0]["checks"][2] == {
        "name": "grants",
        "level": "problem",
        "seen": "no",
        "fix": "grant",
    }


def test_only_what_is_wrong_is_shown_where_that_is_asked_for() -> None:
    text = render.render(problem_groups(), ExitCode.DATABASE, color=False, only_wrong=True)
    assert "✗ grants" in text
    assert not {"✓", "·"} & set(text)
    assert text.endswith("2 problems, 1 warning, 2 skipped (exit 4)"), "the counts are of all"
    data = render.answer(problem_groups(), ExitCode.DATABASE, only_wrong=True)
    levels = [check.level for group in data.groups for check in group.checks]
    assert sorted(levels) == ["problem", "problem", "warning"]
    assert (data.problems, data.warnings, data.skipped) == (2, 1, 2)
    fine = [Group("feed", (Finding(Level.OK, "answer", "HTTP 200"),))]
    said = render.render(fine, ExitCode.OK, color=False, only_wrong=True)
    assert said == "no problem (exit 0)"
