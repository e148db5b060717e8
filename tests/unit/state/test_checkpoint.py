"""The checkpoint file: whole or not at all, and never believed when it is damaged."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from carsync.errors import CheckpointError
from carsync.exit_codes import ExitCode
from carsync.state.checkpoint import (
    MAX_FAILED_PAGES,
    MAX_PROBLEM_CHARS,
    CheckpointState,
    default_path,
    failed_excerpt,
    load,
    load_or_none,
    save,
)
from tests.support import snapshots
from tests.support.folders import ROOT


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "public.cars.json"


def files_beside(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.parent.iterdir())


# What is saved is what is loaded


def test_a_saved_state_is_loaded_unchanged(path: Path) -> None:
    save(path, snapshots.checkpoint())
    assert load(path) == snapshots.checkpoint()


def test_a_second_save_replaces_the_first_and_leaves_nothing_beside_it(path: Path) -> None:
    save(path, snapshots.checkpoint())
    save(path, snapshots.checkpoint(pages_done=813))
    loaded = load(path)
    assert loaded is not None
    assert loaded.pages_done == 813
    assert files_beside(path) == [path.name]


def test_a_file_of_the_carsync_before_is_read_whole() -> None:
    state = load(ROOT / "tests/data/older/checkpoint.json")
    assert state == snapshots.checkpoint(boot_id="4f1c", updated_uptime_s=1000.5)


def test_no_file_is_no_checkpoint(path: Path) -> None:
    assert load(path) is None
    assert load(path.parent / "no" / "such" / "folder.json") is None


def test_a_file_that_cannot_be_read_is_none_where_somebody_learns_why(path: Path) -> None:
    heard: list[CheckpointError] = []
    assert load_or_none(path, "", heard.append) is None
    save(path, snapshots.checkpoint())
    assert load_or_none(path, "", heard.append) == snapshots.checkpoint()
    assert heard == []
    path.write_text("{")
    assert load_or_none(path, "") is None
    assert load_or_none(path, "", heard.append) is None
    assert [error.problem for error in heard] == ["the checkpoint is truncated"]


def test_missing_folders_are_made_for_the_owner_only(path: Path) -> None:
    nested = path.parent / "state" / "carsync" / path.name
    save(nested, snapshots.checkpoint())
    assert load(nested) == snapshots.checkpoint()
    assert nested.parent.stat().st_mode & 0o777 == 0o700


def test_only_the_owner_may_read_it_also_over_the_leftover_of_a_killed_save(path: Path) -> None:
    leftover = path.with_name(f".{path.name}.tmp")
    leftover.write_bytes(b"x" * 100_000)
    leftover.chmod(0o666)
    save(path, snapshots.checkpoint())
    assert path.stat().st_mode & 0o777 == 0o600
    assert load(path) == snapshots.checkpoint()
    assert files_beside(path) == [path.name]


def test_it_is_a_legible_json_document_with_the_documented_checksum(path: Path) -> None:
    save(path, snapshots.checkpoint())
    text = path.read_text()
    document = json.loads(text)
    assert list(document) == ["version", "checksum", "body"]
    assert document["body"]["started_at"] == "2026-01-02T03:04:09Z"
    assert document["checksum"] == seal(document["version"], document["body"])
    assert text.endswith("}\n")
    assert "\n" in text.strip()


def seal(version: int, body: dict[str, Any]) -> str:
    canonical = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    return xxhash.xxh3_128_hexdigest(f"{version}\n{canonical}".encode())


# A damaged file is never believed


def test_a_file_cut_at_any_byte_is_refused(path: Path) -> None:
    save(path, snapshots.checkpoint())
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"is (truncated|empty|damaged)"):
            load(path)


def test_a_file_with_any_single_bit_flipped_is_refused(path: Path) -> None:
    save(path, snapshots.checkpoint(pages_failed={}, last_completed=None))
    with path.open("r+b", buffering=0) as file:
        for position, byte in enumerate(path.read_bytes()):
            for bit in range(8):
                os.pwrite(file.fileno(), bytes([byte ^ 1 << bit]), position)
                with pytest.raises(CheckpointError, match=r"is (truncated|damaged)"):
                    load(path)
            os.pwrite(file.fileno(), bytes([byte]), position)
    assert load(path) is not None


@given(data=st.binary(max_size=200))
def test_no_bytes_at_all_raise_anything_else(
    data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "arbitrary.json"
    path.write_bytes(data + b"}\n")
    with pytest.raises(CheckpointError):
        load(path)


def test_deep_nesting_is_refused(path: Path) -> None:
    nested = "[" * 100_000 + "]" * 100_000
    path.write_text(f'{{"version":1,"checksum":"","body":{{"a":{nested}}}}}\n')
    with pytest.raises(CheckpointError, match="is damaged"):
        load(path)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "is empty"),
        (b"\0" * 4096, "is empty"),
        (b'{"version": 1', "is truncated"),
        (b"<html></html>\n", "is truncated"),
        (b'{"state": "running"}\n', "is damaged"),
    ],
)
def test_the_message_says_what_is_wrong_and_what_to_do(
    path: Path, data: bytes, problem: str
) -> None:
    path.write_bytes(data)
    with pytest.raises(CheckpointError) as caught:
        load(path)
    assert problem in caught.value.problem
    assert str(path) in caught.value.detail
    assert "`carsync sync`: it writes a new checkpoint and resumes" in caught.value.hint
    assert caught.value.exit_code == ExitCode.CONFIG


def test_an_edited_file_is_refused_and_a_reformatted_one_is_not(path: Path) -> None:
    save(path, snapshots.checkpoint())
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document, ensure_ascii=False) + "\n")
    assert load(path) == snapshots.checkpoint()
    document["body"]["pages_done"] = 2000
    path.write_text(json.dumps(document, ensure_ascii=False) + "\n")
    with pytest.raises(CheckpointError, match="is damaged") as caught:
        load(path)
    assert "checksum" in caught.value.detail


def test_a_newer_version_is_named_and_not_called_damaged(path: Path) -> None:
    body = {"written_by": "a later carsync"}
    document = {"version": 7, "checksum": seal(7, body), "body": body}
    path.write_text(json.dumps(document) + "\n")
    with pytest.raises(CheckpointError, match="newer carsync") as caught:
        load(path)
    assert "version 7" in caught.value.detail


def test_a_body_of_another_shape_is_refused(path: Path) -> None:
    body = {"run_id": "forty-two"}
    document = {"version": 1, "checksum": seal(1, body), "body": body}
    path.write_text(json.dumps(document) + "\n")
    with pytest.raises(CheckpointError, match="unknown contents"):
        load(path)


def test_the_data_reach_the_disk_before_the_name_and_the_name_before_the_return(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    replace, fsync = Path.replace, os.fsync

    def note_fsync(descriptor: int) -> None:
        is_folder = Path(f"/proc/self/fd/{descriptor}").is_dir()
        steps.append("flush folder" if is_folder else "flush file")
        fsync(descriptor)

    def note_replace(self: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "replace", note_replace)
    save(path, snapshots.checkpoint())
    assert steps == ["flush file", "rename", "flush folder"]


# Names and places


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "/home/op/.local/state/carsync/t.json"),
        ({"XDG_STATE_HOME": "/xdg"}, "/xdg/carsync/t.json"),
        ({"XDG_STATE_HOME": "relative"}, "/home/op/.local/state/carsync/t.json"),
        (
            {"STATE_DIRECTORY": "/var/lib/carsync", "XDG_STATE_HOME": "/x"},
            "/var/lib/carsync/t.json",
        ),
        ({"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}, "/var/lib/a/t.json"),
        ({"STATE_DIRECTORY": ""}, "/home/op/.local/state/carsync/t.json"),
    ],
)
def test_the_default_place(environ: dict[str, str], expected: str) -> None:
    assert default_path(environ, Path("/home/op"), "t") == Path(expected)


@pytest.mark.parametrize("target", ["../../etc/passwd", "a/b\0c\n", "..", "", "Größe", 'x"; rm'])
def test_no_target_leads_out_of_the_folder(target: str) -> None:
    path = default_path({"STATE_DIRECTORY": "/s"}, Path("/h"), target)
    assert path.parent == Path("/s")
    assert path.name.isascii()
    assert not path.name.startswith(".")


def test_failed_pages_are_capped_in_number_and_length() -> None:
    failed = {page: f"problem of {page} " + "x" * 1000 for page in range(1, 501)}
    excerpt = failed_excerpt(failed)
    assert list(excerpt) == [str(page) for page in range(1, MAX_FAILED_PAGES + 1)]
    assert {len(problem) for problem in excerpt.values()} == {MAX_PROBLEM_CHARS}
    assert failed_excerpt({1: ""}) == {"1": ""}


def test_times_keep_their_zone_and_fraction(path: Path) -> None:
    at = snapshots.NOW + timedelta(microseconds=123_456)
    state: CheckpointState = snapshots.checkpoint(updated_at=at)
    save(path, state)
    loaded = load(path)
    assert loaded is not None
    assert loaded.updated_at == at
    assert loaded.updated_at.tzinfo is not None


def test_the_file_of_another_place_is_no_checkpoint(path: Path) -> None:
    save(path, snapshots.checkpoint(place="public.cars-1a2b3c4d"))
    assert load(path, "public.cars-1a2b3c4d") is not None
    assert load(path) is not None, "whoever has no DSN cannot tell"
    with pytest.raises(CheckpointError) as caught:
        load(path, "public.cars-ffffffff")
    assert "that of another source, table or database" in caught.value.problem
    assert "checkpoint.path" in caught.value.hint
    assert load_or_none(path, "public.cars-ffffffff") is None
    save(path, snapshots.checkpoint(place=""))
    assert load(path, "public.cars-ffffffff") is not None, "written before places had names"
