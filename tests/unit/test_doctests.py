"""The examples in docstrings are true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from types import ModuleType

import pytest

import carsync

MODULES = [
    importlib.import_module(module.name)
    for module in pkgutil.walk_packages(carsync.__path__, "carsync.")
    if not module.name.endswith("__main__") and not module.name.startswith("carsync.demo")
]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_the_examples_hold(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0


def test_there_are_examples() -> None:
    examples = [test for module in MODULES for test in doctest.DocTestFinder().find(module)]
    assert sum(len(test.examples) for test in examples) > 20
