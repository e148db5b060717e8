"""The demo's output: chapters, marks, and a count of the checks."""

from __future__ import annotations

import pytest

from carsync.demo.checker import CheckResult
from carsync.demo.console import WIDTH, Console, extract


def test_checks_are_marked_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(color=False, encoding="utf-8")
    console.judge([CheckResult(True, "ids", "all"), CheckResult(False, "rows", "one differs")])
    assert (console.passed, console.failed) == (1, 1)
    assert capsys.readouterr().out == "\n  ✓ ids     all\n  ✗ rows    one differs\n"


def test_an_output_without_the_marks_gets_words(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(color=False, encoding="ascii")
    console.chapter("1. A first sync", "All cars are new.")
    console.judge([CheckResult(True, "ids", "x"), CheckResult(False, "rows", "y")])
    shown = capsys.readouterr().out
    shown.encode("ascii")
    assert shown.startswith(f"\n{'-- 1. A first sync '.ljust(WIDTH, '-')}\nAll cars are new.\n")
    assert "  ok ids" in shown
    assert "  FAILED rows" in shown


def test_a_command_is_shown_as_it_is_typed(capsys: pytest.CaptureFixture[str]) -> None:
    Console(color=False, encoding="utf-8").command("carsync sync")
    assert capsys.readouterr().out.splitlines()[1] == "$ carsync sync"


def test_an_extract_leaves_out_what_is_the_same_every_time() -> None:
    summary = "run 2\n\n  time  1 s\n  rows  9\n\nacceptance ok\n\nnext: look at the report"
    assert extract(summary) == "run 2\n\n  time  1 s\n\nnext: look at the report"
