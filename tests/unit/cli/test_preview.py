"""`carsync preview`: rows as JSON lines, rejects with their reasons."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from carsync.exit_codes import ExitCode
from tests.support.command_line import run
from tests.support.folders import GOLDEN_FILE


def test_preview_gives_the_rows_and_hashes_of_deployed_systems(tmp_path: Path) -> None:
    golden = json.loads(GOLDEN_FILE.read_text(encoding="utf-8"))
    file = tmp_path / "records.json"
    file.write_text(json.dumps([pair["record"] for pair in golden]), encoding="utf-8")
    result = run("preview", "--from-file", file, "--set", "mapping.hash.algorithm=md5")
    assert result.exit_code == 0
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(rows) == 120
    for row, pair in zip(rows, golden, strict=True):
        expected = {**pair["row"], "images": json.loads(pair["row"]["images"])}
        assert {name: row[name] for name in expected} == expected
    assert result.stderr.endswith("120 mapped, 0 rejected\n")


def test_preview_names_rejects_on_standard_error_with_their_reason(tmp_path: Path) -> None:
    file = tmp_path / "records.json"
    good = {"id": 1, "manufacturer": {"name": "Kia"}, "model": {"name": "K5"}}
    records = [{**good, "manufacturer": None}, good, 5, {**good, "vin": "a\0b"}, {**good, "id": 2}]
    file.write_text(json.dumps(records))
    result = run("preview", "--from-file", file)
    assert result.exit_code == 0
    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == ["1", "2"]
    said = result.stderr.splitlines()
    assert [line.partition(":")[0] for line in said] == [
        "rejected record 0 (id 1, column make)",
        "rejected record 2 (no id)",
        "rejected record 3 (id 1, column vin)",
        "2 mapped, 3 rejected",
    ]
    assert all(line.partition(": ")[2] for line in said[:3])
    limited = run("preview", "--from-file", file, "--limit", "1")
    assert [json.loads(line)["id"] for line in limited.stdout.splitlines()] == ["1"]
    rest = ["… and 2 more rejects (--limit)", "2 mapped (1 shown), 3 rejected"]
    assert limited.stderr.splitlines() == [said[0], *rest], "no hundred lines after one row"


def test_a_feed_cannot_move_the_cursor_nor_begin_a_line(tmp_path: Path) -> None:
    file = tmp_path / "records.json"
    make = "Kia\x1b[2J\n0 mapped, 0 rejected\x9b1A\x7f\u202e\r\U000e0001"
    good = {"id": 1, "manufacturer": {"name": make}, "model": {"name": "起亚"}}
    file.write_text(json.dumps([good, {"id": f"2{make}"}]))
    result = run("preview", "--from-file", file)
    (row,), (reject, counts) = result.stdout.splitlines(), result.stderr.splitlines()
    assert (row + reject + counts).isprintable()
    assert (json.loads(row)["make"], "起亚" in row) == (make, True)
    assert counts == "1 mapped, 1 rejected"


@pytest.mark.parametrize("text", ["", "{}", "<html>", '{"data": []}', "5"])
def test_preview_refuses_a_file_that_is_no_array(tmp_path: Path, text: str) -> None:
    file = tmp_path / "records.json"
    file.write_text(text)
    result = run("preview", "--from-file", file)
    assert result.exit_code == ExitCode.CONFIG
    assert "is not a JSON array of records" in result.stderr
