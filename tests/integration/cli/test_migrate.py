"""`carsync migrate`: says what it did, and does nothing the second time."""

from __future__ import annotations

import json

from tests.support.command_line import run


def test_the_tables_are_made_once_and_each_step_is_told(empty_dsn: str) -> None:
    done = run("migrate", "--json", DATABASE_URL=empty_dsn)
    assert done.exit_code == 0
    steps = json.loads(done.stdout)
    assert steps[0] == "created schema carsync, closed to PUBLIC"
    assert any("public.cars" in step for step in steps)
    again = run("migrate", DATABASE_URL=empty_dsn)
    assert again.stdout == "Nothing to do: the schema is up to date.\n"
    assert json.loads(run("migrate", "--json", DATABASE_URL=empty_dsn).stdout) == []


def test_a_step_is_a_line_for_people(empty_dsn: str) -> None:
    lines = run("migrate", DATABASE_URL=empty_dsn).stdout.splitlines()
    assert len(lines) > 1
    assert lines[0] == "created schema carsync, closed to PUBLIC"
