"""The map in `tests/README.md`: it names files that exist, and no fault test is missing on it."""

from __future__ import annotations

import re

from carsync import failpoints
from tests.support.folders import TESTS

TEXT = (TESTS / "README.md").read_text()
NAMED = set(re.findall(r"`((?:unit|integration|e2e)/[\w/]+\.py)`", TEXT))


def test_every_file_that_the_map_names_exists() -> None:
    assert {name for name in NAMED if not (TESTS / name).exists()} == set()


def test_every_test_with_a_database_or_a_process_is_on_the_map() -> None:
    at_home_elsewhere = {"e2e/commands/test_status.py", "integration/demo/test_postgres.py"}
    at_home_elsewhere |= {
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
