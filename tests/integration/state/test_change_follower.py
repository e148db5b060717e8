"""`carsync changes` as a process: followed to its end, through a restart, until it is stopped."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from tests.support.json_answers import assert_documented
from tests.support.merge_rig import Rig, cars
from tests.support.site import CARSYNC


def run(dsn: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `carsync changes` to its end."""
    environ = {**os.environ, "DATABASE_URL": dsn}
    command = [*CARSYNC, "changes", *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=30)


def lines(dsn: str, *arguments: str) -> list[dict[str, Any]]:
    """Return what `carsync changes --json` prints, an object for each line."""
    ended = run(dsn, "--json", *arguments)
    assert (ended.returncode, ended.stderr) == (0, "")
    return [json.loads(line) for line in ended.stdout.splitlines()]


def test_the_command_prints_every_change_behind_a_cursor_once(rig: Rig, dsn: str) -> None:
    rig.sync(cars(range(3)))
    (head,) = lines(dsn, "--head")
    rig.sync([*cars(range(2), "b")])
    found = lines(dsn, "--rows")
    for line in (*found, head):
        assert_documented(line)
    assert [(line["run"], line["id"], line["action"]) for line in found] == [
        (1, "0", "inserted"),
        (1, "1", "inserted"),
        (1, "2", "inserted"),
        (2, "0", "updated"),
        (2, "1", "updated"),
        (2, "2", "deactivated"),
    ]
    assert found[0]["before"] is found[0]["after"] is None
    assert (found[5]["before"]["is_active"], found[5]["after"]) == (True, {"is_active": False})
    assert (found[0]["row"]["price"], found[0]["row"]["data_hash"]) == (12500.5, "0:b")
    assert [line["id"] for line in lines(dsn, "--since", head["cursor"])] == ["0", "1", "2"]
    assert lines(dsn, "--since", found[-1]["cursor"]) == lines(dsn, "--since", "now") == []
    assert [line["id"] for line in lines(dsn, "--limit", "1", "--since", found[3]["cursor"])] == [
        "1"
    ]
