"""Failpoints: each is in the code once, and without the variable none does anything."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from carsync import failpoints

PACKAGE = Path(failpoints.__file__).parent


def _reached() -> list[str]:
    """Return the name of every failpoint that the code comes by."""
    return [
        node.args[0].value
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func) == "failpoints.reach"
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    ]


def _run(spec: str | None, *names: str) -> subprocess.CompletedProcess[str]:
    """Come by `names` in a process of its own, `spec` being the variable's value."""
    calls = "; ".join(f"failpoints.reach({name!r}); print({name!r}, flush=True)" for name in names)
    return subprocess.run(
        [sys.executable, "-c", f"from carsync import failpoints; {calls}"],
        env={} if spec is None else {failpoints.VARIABLE: spec},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_every_failpoint_is_in_the_code_once() -> None:
    assert sorted(_reached()) == sorted(failpoints.ALL)
    assert len(failpoints.ALL) >= 25


def test_without_the_variable_nothing_happens() -> None:
    ended = _run(None, *failpoints.ALL)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.split() == list(failpoints.ALL)


def test_it_acts_at_the_nth_time_and_once_for_all_processes(tmp_path: Path) -> None:
    spec = f"merge.begun:2=die@{tmp_path / 'mark'}"
    names = ("merge.begun", "stage.begun", "merge.begun", "merge.begun")
    first = _run(spec, *names)
    assert (first.returncode, first.stdout.split()) == (-9, ["merge.begun", "stage.begun"])
    assert _run(spec, *names).returncode == 0


def test_raise_is_an_error_that_nobody_expects() -> None:
    ended = _run("merge.begun=raise", "merge.begun")
    assert "FailpointError: failpoint merge.begun" in ended.stderr


@pytest.mark.parametrize("spec", ["merge.begin=die", "merge.begun", "merge.begun=pause", "x=die"])
def test_a_spec_that_would_never_act_is_refused(spec: str) -> None:
    ended = _run(spec, "merge.begun")
    assert ended.returncode == 1
    assert "is no failpoint" in ended.stderr
