"""The machine judged: its state folder, limits and memory."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from carsync.doctor import machine_checks
from carsync.doctor.machine_checks import MachineFacts
from carsync.errors import CheckpointError
from tests.support.findings import bad
from tests.support.findings import keyed_config as config

FACTS = MachineFacts(
    versions="carsync 1",
    checkpoint="/s/x.json",
    folder="/s",
    write_error=None,
    lock_error=None,
    read_error=None,
    is_locked=False,
    free_bytes=10**9,
    free_files=10**6,
    shm_free_bytes=10**7,
    shm_writable=True,
    open_files=1024,
    available_bytes=10**10,
    cores=2,
)


def test_a_machine_with_room_for_a_run_is_fine() -> None:
    assert bad(machine_checks.judge(config(), FACTS)) == {}


@pytest.mark.parametrize(
    ("facts", "name", "level"),
    [
        ({"write_error": CheckpointError("no", hint="mend")}, "checkpoint", "problem"),
        ({"lock_error": CheckpointError("no", hint="mend")}, "checkpoint", "problem"),
        ({"read_error": CheckpointError("broken")}, "checkpoint", "warning"),
        ({"free_bytes": 1000}, "checkpoint", "warning"),
        ({"free_files": 0}, "checkpoint", "warning"),
        ({"checkpoint": None}, "checkpoint", "skipped"),
        ({"is_locked": True}, "other run", "warning"),
        ({"shm_free_bytes": 4096}, "shared memory", "problem"),
        ({"shm_free_bytes": 0}, "shared memory", "problem"),
        ({"shm_writable": False}, "shared memory", "problem"),
        ({"shm_free_bytes": None, "shm_writable": None}, "shared memory", "problem"),
        ({"open_files": 100}, "open files", "problem"),
        ({"available_bytes": 10**8}, "memory", "warning"),
    ],
)
def test_a_machine_without_room_is_named(facts: dict[str, Any], name: str, level: str) -> None:
    found = bad(machine_checks.judge(config(), replace(FACTS, **facts)))
    assert list(found) == [name]
    assert found[name].startswith(level)
