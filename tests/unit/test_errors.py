"""Errors: each has the exit code of its culprit, and a child's are rebuilt in the parent."""

from __future__ import annotations

import pytest

from carsync import errors
from carsync.errors import CarsyncError, FailureKind, PageError, revive
from carsync.exit_codes import ExitCode

CLASSES = [
    found
    for found in vars(errors).values()
    if isinstance(found, type) and issubclass(found, CarsyncError)
]


@pytest.mark.parametrize("cls", [cls for cls in CLASSES if cls is not PageError])
def test_an_error_of_a_child_is_rebuilt_from_name_and_words(cls: type[CarsyncError]) -> None:
    error = revive(cls.__name__, "it failed", "so", "do this")
    assert type(error) is cls
    assert (error.problem, error.detail, error.hint) == ("it failed", "so", "do this")
    assert error.exit_code is cls.exit_code


@pytest.mark.parametrize("name", ["PageError", "ValueError", "ExitCode", "Iterator", "revive", ""])
def test_a_name_that_is_no_error_of_a_run_is_a_bug(name: str) -> None:
    error = revive(name, "it failed", "", "")
    assert type(error) is CarsyncError
    assert error.exit_code is ExitCode.BUG


def test_the_tree_in_the_docstring_names_every_class_and_its_exit_code() -> None:
    tree = {
        words[0]: words[1:]
        for line in (errors.__doc__ or "").splitlines()
        if (words := line.strip(" │├└─").split()) and words[0].endswith("Error")
    }
    assert set(tree) == {cls.__name__ for cls in CLASSES}
    for cls in CLASSES:
        if tree[cls.__name__][0] == "exit":
            assert cls.exit_code == int(tree[cls.__name__][1])


def test_an_error_reads_as_problem_detail_and_hint() -> None:
    assert str(CarsyncError("it failed")) == "it failed"
    error = PageError(FailureKind.SERVER, "it failed", status=500, detail="so", hint="do this")
    assert str(error) == "it failed\ndetail: so\nhint: do this"
