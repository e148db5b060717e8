"""The machine looked at: the state folder is written to, and left as it was."""

from __future__ import annotations

from pathlib import Path

from carsync.doctor import machine_facts


def test_the_state_folder_is_really_written_to_and_left_as_it_was(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    assert machine_facts.gather(state / "x.json", "").write_error is None
    assert machine_facts.gather(tmp_path / "not" / "yet" / "x.json", "").write_error is None
    assert list(tmp_path.rglob("*")) == [state]
    (tmp_path / "file").write_text("")
    facts = machine_facts.gather(tmp_path / "file" / "x.json", "")
    assert facts.write_error is not None
    assert "set checkpoint.path" in facts.write_error.hint
    (state / "x.json").write_text("{broken")
    assert machine_facts.gather(state / "x.json", "").read_error is not None
    assert facts.open_files is None or facts.open_files > 0
    assert facts.available_bytes is None or facts.available_bytes > 0
