"""`carsync check`: where the configuration comes from, and who may read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from carsync.cli import check
from carsync.config.parser import parse
from carsync.doctor.config_checks import Origin


def test_a_file_with_the_key_in_it_is_for_its_owner_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RPS", "5")
    file = tmp_path / "x.yaml"
    file.write_text("api: {auth: {key: hush-1}}")
    for mode, exposed in ((0o644, True), (0o600, False)):
        file.chmod(mode)
        origin = check._origin(parse(file.read_text(), {}), file)
        assert origin == Origin(str(file), ("RPS",), exposed)
    file.write_text("api: {auth: {key: '${API_KEY}'}}")
    file.chmod(0o644)
    assert not check._origin(parse(file.read_text(), {"API_KEY": "hush-1"}), file).exposed
