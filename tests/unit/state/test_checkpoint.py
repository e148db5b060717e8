"""The checkpoint file: whole or not at all, and never believed when it is damaged."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import resource
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from carsync.config.dsn import target_name
from carsync.errors import CheckpointError, LockedError
from carsync.exit_codes import ExitCode
from carsync.state.checkpoint import (
    MAX_FAILED_PAGES,
    MAX_PROBLEM_CHARS,
    CheckpointState,
    default_path,
    failed_excerpt,
    load,
    save,
)
from carsync.state.file_lock import FileLock, is_held
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
    assert "`carsync sync`: it writes a new one and resumes" in caught.value.hint
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
    with pytest.raises(CheckpointError, match="unknown shape"):
        load(path)


# Faults of the disk


@pytest.mark.parametrize("call", ["fsync", "fchmod"])
@pytest.mark.parametrize(
    ("code", "hint"),
    [(errno.ENOSPC, "free space"), (errno.EROFS, "read-only"), (errno.EIO, "check the disk")],
)
def test_a_failed_save_keeps_the_old_file_and_leaves_no_other(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int, hint: str
) -> None:
    save(path, snapshots.checkpoint())

    def refuse(*args: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(CheckpointError, match="cannot write the checkpoint") as caught:
        save(path, snapshots.checkpoint(pages_done=2000))
    monkeypatch.undo()
    assert hint in caught.value.hint
    assert load(path) == snapshots.checkpoint()
    assert files_beside(path) == [path.name]


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


def test_a_real_limit_on_file_sizes_is_reported_and_harmless(path: Path) -> None:
    save(path, snapshots.checkpoint())
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, before[1]))
    try:
        with pytest.raises(CheckpointError, match="file too large") as caught:
            save(path, snapshots.checkpoint(pages_done=2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "ulimit" in caught.value.hint
    assert load(path) == snapshots.checkpoint()
    assert files_beside(path) == [path.name]


@contextlib.contextmanager
def without_privileges() -> Iterator[None]:
    """Be nobody for a moment where the tests run as root, for whom nothing is forbidden."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_folder_that_may_not_be_written_is_named_with_a_way_out(path: Path) -> None:
    folder = path.parent / "locked"
    folder.mkdir()
    folder.chmod(0o500)
    target = folder / path.name
    with without_privileges():
        with pytest.raises(CheckpointError, match="permission denied") as saving:
            save(target, snapshots.checkpoint())
        with pytest.raises(CheckpointError, match="permission denied") as locking:
            FileLock(target).acquire()
    folder.chmod(0o700)
    for caught in (saving, locking):
        assert "checkpoint.path" in caught.value.hint
    assert list(folder.iterdir()) == []


def test_a_file_that_may_not_be_read_is_no_missing_file(path: Path) -> None:
    save(path, snapshots.checkpoint())
    path.chmod(0o000)
    with without_privileges(), pytest.raises(CheckpointError, match="permission denied"):
        load(path)


def test_a_path_through_a_file_is_refused(path: Path) -> None:
    path.write_text("a file")
    for action in (
        lambda p: save(p, snapshots.checkpoint()),
        load,
        lambda p: FileLock(p).acquire(),
    ):
        with pytest.raises(CheckpointError, match=r"not a directory|file exists") as caught:
            action(path / "below.json")
        assert "no folder" in caught.value.hint


def test_devices_pipes_and_folders_are_left_alone(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for special in (pipe, tmp_path, Path("/dev/null")):
        with pytest.raises(CheckpointError, match="not a regular file"):
            save(special, snapshots.checkpoint())
        with pytest.raises(CheckpointError, match="not a regular file"):
            load(special)
    assert pipe.is_fifo()
    assert Path("/dev/null").is_char_device()


# Names and places


def test_the_name_of_a_target_tells_databases_apart_and_ignores_the_password() -> None:
    name = target_name("postgresql://carsync:one@db.example.com:5432/shop", "public", "cars")
    same = target_name("postgresql://carsync:t%2Fwo@db.example.com:5432/shop", "public", "cars")
    assert same == name
    others = {
        target_name(dsn, "public", "cars")
        for dsn in (
            "postgresql://carsync@db.example.com:5432/other",
            "postgresql://carsync@db2.example.com:5432/shop",
            "postgresql://carsync@db.example.com:6432/shop",
            "postgresql://postgres.project2@db.example.com:5432/shop",
        )
    }
    assert len(others | {name}) == 5


@pytest.mark.parametrize(
    "dsn",
    [
        "host=/run/pg port=5432 dbname=shop user=carsync password='a b'",
        "host = /run/pg port = 5432 dbname = shop user = carsync",
        "postgresql://carsync@/shop?host=/run/pg&port=5432",
    ],
)
def test_keyword_strings_and_urls_of_one_database_give_one_name(dsn: str) -> None:
    expected = "public.cars-" + xxhash.xxh3_64_hexdigest(b"carsync\n/run/pg\n5432\nshop")[:8]
    assert target_name(dsn, "public", "cars") == expected


def test_an_unreadable_dsn_still_gives_a_name() -> None:
    assert target_name("host='unclosed", "public", "cars").startswith("public.cars-")


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
    failed = {page: f"problem of {page} " + "x" * 1000 for page in range(500, 0, -1)}
    excerpt = failed_excerpt(failed)
    assert list(excerpt) == [str(page) for page in range(1, MAX_FAILED_PAGES + 1)]
    assert {len(problem) for problem in excerpt.values()} == {MAX_PROBLEM_CHARS}
    assert failed_excerpt({1: ""}) == {"1": ""}


# The lock


def test_a_second_run_is_refused_and_told_who_holds_the_lock(path: Path) -> None:
    with FileLock(path):
        with pytest.raises(LockedError) as caught:
            FileLock(path).acquire()
        assert f"process {os.getpid()} " in caught.value.detail
        assert caught.value.exit_code == ExitCode.LOCKED
    with FileLock(path):
        assert is_held(path)


def test_is_held_tells_a_living_holder_and_makes_no_file(path: Path) -> None:
    assert not is_held(path)
    assert files_beside(path) == []
    lock = FileLock(path)
    lock.acquire()
    assert is_held(path)
    lock.release()
    assert not is_held(path)
    lock.release()


def test_a_refused_attempt_neither_frees_the_lock_nor_forgets_its_holder(path: Path) -> None:
    with FileLock(path):
        for _ in range(2):
            with pytest.raises(LockedError, match=str(os.getpid())):
                FileLock(path).acquire()
        assert is_held(path)


def test_a_status_that_looks_does_not_turn_a_starting_run_away(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FileLock(path):
        pass
    looking = os.open(path.with_name(f"{path.name}.lock"), os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    monkeypatch.setattr(time, "sleep", lambda _s: os.close(looking))
    with FileLock(path):
        assert is_held(path)


def test_the_lock_survives_replacing_the_checkpoint(path: Path) -> None:
    with FileLock(path):
        save(path, snapshots.checkpoint())
        with pytest.raises(LockedError):
            FileLock(path).acquire()


def test_a_lock_whose_file_was_deleted_or_replaced_is_taken_anew(path: Path) -> None:
    lock_file = path.with_name(f"{path.name}.lock")
    with FileLock(path) as lock:
        lock_file.unlink()
        assert not is_held(path)
        lock.keep()
        assert is_held(path)
        lock_file.unlink()
        lock_file.touch()
        lock.keep()
        assert is_held(path)
        with pytest.raises(LockedError, match=str(os.getpid())):
            FileLock(path).acquire()
    assert not is_held(path)


def test_a_lock_that_another_start_took_meanwhile_is_taken_anew_when_it_ends(path: Path) -> None:
    descriptors = len(list(Path("/dev/fd").iterdir()))
    with FileLock(path) as lock:
        path.with_name(f"{path.name}.lock").unlink()
        with FileLock(path):
            lock.keep()
        assert not is_held(path)
        lock.keep()
        assert is_held(path)
    assert len(list(Path("/dev/fd").iterdir())) == descriptors


def test_a_lock_in_its_place_or_not_held_is_left_alone(path: Path) -> None:
    lock = FileLock(path)
    lock.keep()
    assert files_beside(path) == []
    with lock:
        before = lock.path.stat()
        lock.keep()
        assert os.path.samestat(before, lock.path.stat())


def test_times_keep_their_zone_and_fraction(path: Path) -> None:
    at = snapshots.NOW + timedelta(microseconds=123_456)
    state: CheckpointState = snapshots.checkpoint(updated_at=at)
    save(path, state)
    loaded = load(path)
    assert loaded is not None
    assert loaded.updated_at == at
    assert loaded.updated_at.tzinfo is not None
