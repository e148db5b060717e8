"""A mapping of a managed column is refused by each command before it asks for anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import Result

from carsync.columns import MANAGED
from carsync.exit_codes import ExitCode
from tests.support.command_line import run
from tests.support.fake_api import ScriptedApi


def run_with(command: str, name: str, base_url: str, folder: Path) -> Result:
    return run(
        command,
        *("--set", f"mapping.columns.{name}={{path: active, type: boolean}}"),
        API_BASE_URL=base_url,
        API_KEY="k",
        DATABASE_URL="postgresql://nobody@127.0.0.1:1/none",
        STATE_DIRECTORY=str(folder),
    )


@pytest.mark.parametrize("command", ["sync", "preview", "migrate"])
@pytest.mark.parametrize("name", MANAGED)
def test_a_mapped_managed_column_ends_the_command_before_any_request(
    command: str, name: str, tmp_path: Path
) -> None:
    with ScriptedApi() as api:
        done = run_with(command, name, api.base_url, tmp_path)
    assert done.exit_code == ExitCode.CONFIG, done.output
    assert f"mapping.columns.{name}: this column cannot be mapped" in done.output
    assert api.arrivals == []


@pytest.mark.parametrize("name", MANAGED)
def test_the_doctor_names_a_mapped_managed_column(name: str, tmp_path: Path) -> None:
    done = run_with("check", name, "http://127.0.0.1:1", tmp_path)
    assert done.exit_code == ExitCode.CONFIG, done.output
    words = " ".join(done.output.split())
    assert f"✗ mapping mapping.columns.{name}: this column cannot be mapped" in words
