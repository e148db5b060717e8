"""The map in `tests/README.md`: it names files that exist; each module has its test file."""

from __future__ import annotations

import re

from carsync import failpoints
from tests.support.folders import ROOT, TESTS

TEXT = (TESTS / "README.md").read_text()
NAMED = set(re.findall(r"`((?:unit|integration|e2e)/[\w/]+\.py)`", TEXT))


def test_every_file_that_the_map_names_exists() -> None:
    assert {name for name in NAMED if not (TESTS / name).exists()} == set()


def test_every_test_with_a_database_or_a_process_is_on_the_map() -> None:
    at_home_elsewhere = {
        "e2e/commands/test_status.py",
        "integration/cli/test_migrate.py",
        "integration/cli/test_simulate.py",
        "integration/demo/test_checker.py",
        "integration/demo/test_command.py",
        "integration/demo/test_postgres.py",
        "integration/demo/test_server.py",
        "integration/destination/test_migrations.py",
        "integration/packaging/test_packaging.py",
    }
    there = {
        path.relative_to(TESTS).as_posix()
        for folder in ("integration", "e2e")
        for path in (TESTS / folder).rglob("test_*.py")
    }
    assert there - NAMED == at_home_elsewhere


def test_the_number_of_failpoints_is_the_true_one() -> None:
    assert f"{len(failpoints.ALL)} named places" in TEXT


def test_each_module_has_a_test_file_of_its_name_or_a_reason() -> None:
    rows = re.findall(r"^\| (`[\w/]+\.py`(?:, `[\w/]+\.py`)*) \| `", TEXT, re.MULTILINE)
    excused = {name for row in rows for name in re.findall(r"`([\w/]+\.py)`", row)}
    nameless = set()
    for path in (ROOT / "carsync").rglob("*.py"):
        module = path.relative_to(ROOT / "carsync")
        test = module.with_name(f"test_{module.name}")
        has_test = any((TESTS / kind / test).exists() for kind in ("unit", "integration"))
        if not path.name.startswith("__") and not has_test:
            nameless.add(module.as_posix())
    assert nameless == excused
