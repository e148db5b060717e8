"""The log: a line a message whatever the feed wrote, JSON for machines, a journal's priorities."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from carsync import logging_setup
from carsync.errors import FailureKind
from carsync.exit_codes import ExitCode
from carsync.logging_setup import JournalFormatter, JsonFormatter, TextFormatter
from carsync.redaction import Secret

HOSTILE = 'Kia\n{"level":"info"}\r\u2028\x85\x1b[2J\x00"\ud800\x7f'


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give the process its log and hooks back."""
    for owner in (sys, threading):
        monkeypatch.setattr(owner, "excepthook", owner.excepthook)
    monkeypatch.setattr(logging, "raiseExceptions", logging.raiseExceptions)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    root.handlers.clear()
    yield
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    logging_setup.bind(run_id=None, phase=None)


def record(message: str, *args: Any, level: int = logging.INFO, **extra: Any) -> logging.LogRecord:
    logger = logging.getLogger("carsync.test")
    exc_info = extra.pop("exc_info", None)
    return logger.makeRecord(logger.name, level, "f", 1, message, args, exc_info, extra=extra)


def as_json(*args: Any, **extra: Any) -> dict[str, Any]:
    line = JsonFormatter().format(record(*args, **extra))
    assert line.isascii()
    assert line.isprintable()
    assert len(line.splitlines()) == 1
    data: dict[str, Any] = json.loads(line)
    return data


def test_a_json_line_says_when_what_and_who() -> None:
    line = record("page %d", 7, level=logging.WARNING, page=7)
    line.created = 1_800_000_000.25
    assert json.loads(JsonFormatter().format(line)) == {
        "timestamp": "2027-01-15T08:00:00.250Z",
        "level": "warning",
        "logger": "carsync.test",
        "message": "page 7",
        "process": "parent",
        "page": 7,
    }


def test_what_is_bound_stands_in_every_line_until_it_is_taken_out() -> None:
    logging_setup.bind(run_id=42, phase="fetching")
    assert as_json("a")["run_id"] == 42
    logging_setup.bind(phase=None)
    assert as_json("b") | {"timestamp": ""} == as_json("b", run_id=42) | {"timestamp": ""}
    assert "phase" not in as_json("b")


def test_a_hostile_text_is_one_json_line_and_stays_what_it_is() -> None:
    found = as_json("%s", HOSTILE, problem=HOSTILE, nested={"a": [HOSTILE]})
    assert found["message"] == found["problem"] == found["nested"]["a"][0] == HOSTILE


def test_no_kind_of_value_fails_and_no_secret_is_told() -> None:
    found = as_json(
        "key %s",
        Secret("hush"),
        key=Secret("hush"),
        keys=[Secret("hush")],
        code=ExitCode.API,
        kind=FailureKind.TIMEOUT,
        odd=object,
        rate=float("nan"),
    )
    assert "hush" not in json.dumps(found)
    assert (found["message"], found["key"], found["keys"]) == ("key ***", "***", ["***"])
    assert (found["code"], found["kind"], found["rate"]) == (3, "timeout", None)


def test_an_exception_comes_with_type_and_traceback() -> None:
    try:
        raise ZeroDivisionError("no")
    except ZeroDivisionError:
        found = as_json("a bug", exc_info=sys.exc_info())
    assert found["exception"] == "ZeroDivisionError"
    assert "test_logging_setup.py" in found["traceback"]


def test_a_hostile_text_is_one_line_for_people_too() -> None:
    line = TextFormatter("%(levelname)s %(message)s").format(record("%s", HOSTILE))
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line
    assert line.startswith("INFO Kia ")


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.CRITICAL, 3), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (10, 7)],
)
def test_a_line_for_the_journal_begins_with_its_priority(level: int, priority: int) -> None:
    assert JournalFormatter().format(record("down", level=level)) == f"<{priority}>down"


def test_every_line_of_a_traceback_has_its_priority() -> None:
    try:
        raise ZeroDivisionError("no")
    except ZeroDivisionError:
        text = JournalFormatter().format(record("bug", level=40, exc_info=sys.exc_info()))
    assert all(line.startswith("<3>") for line in text.splitlines())


def test_only_a_standard_error_that_is_the_journal_gets_priorities() -> None:
    """JOURNAL_STREAM is inherited by processes whose output goes elsewhere."""
    reader, writer = os.pipe()
    try:
        status = os.fstat(writer)
        for stream, first in (
            (f"{status.st_dev}:{status.st_ino}", b"<3>carsync: database.dsn is not set"),
            (f"{status.st_dev}:{status.st_ino + 1}", b"carsync: database.dsn is not set"),
        ):
            subprocess.run(
                [sys.executable, "-m", "carsync", "sync"],
                env={**bare(), "JOURNAL_STREAM": stream},
                stderr=writer,
                timeout=60,
            )
            assert os.read(reader, 65536).splitlines()[0] == first
    finally:
        os.close(reader)
        os.close(writer)


def bare() -> dict[str, str]:
    return {name: v for name, v in os.environ.items() if name in {"PATH", "HOME"}}


def test_as_json_all_that_goes_wrong_is_a_json_line(capfd: pytest.CaptureFixture[str]) -> None:
    logging_setup.set_up("json", logging.INFO)
    assert logging_setup.is_json()
    logging_setup.bind(run_id=3)
    logging.getLogger("a").info("%d", "not a number")  # a mistake in the call: dropped
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()
    sys.excepthook(OSError, OSError("gone"), None)
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [line["exception"] for line in lines] == ["ZeroDivisionError", "OSError"]
    assert all(line["run_id"] == 3 for line in lines)
    assert [line["level"] for line in lines] == ["critical"] * 2


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (["sync"], "database.dsn is not set"),
        (["synk"], "synk"),
        (["--nope"], "--nope"),
    ],
)
def test_an_error_is_one_json_line(args: list[str], problem: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "carsync", *args],
        env={**bare(), logging_setup.VARIABLE: "json"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    (line,) = ended.stderr.splitlines()
    found = json.loads(line)
    assert (found["event"], found["level"]) == ("error", "error")
    assert problem in found["problem"]
    assert found["exit_code"] == ended.returncode == 2
    assert args != ["sync"] or "DATABASE_URL" in found["hint"]
