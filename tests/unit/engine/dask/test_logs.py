"""Dask's lines in carsync's log: warnings, one line each, in its format."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest

from carsync import logging_setup
from carsync.engine.dask import logs
from carsync.engine.dask.logs import LogRules
from carsync.logging_setup import Format


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setenv("DASK_LOGGING__DISTRIBUTED", "warning")
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.raiseExceptions = True
    logging.captureWarnings(False)


@pytest.mark.parametrize("format_", ["text", "json"])
def test_a_foreign_warning_is_one_line_of_ours(
    format_: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", written := io.StringIO())
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    logging_setup.set_up(format_, logging.INFO)
    logs.take_over()
    assert LogRules.of_this_process() == LogRules(format_, logging.INFO)
    theirs = logging.getLogger("distributed.worker")
    theirs.info("Start worker at")
    try:
        raise ConnectionError("stream is closed")
    except ConnectionError:
        theirs.exception("Batched %s closed", "comm")
    (line,) = written.getvalue().splitlines()
    message = json.loads(line)["message"] if format_ == "json" else line
    assert message.endswith("Batched comm closed (ConnectionError: stream is closed)")
    assert "Traceback" not in line


def test_our_own_errors_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", written := io.StringIO())
    logging_setup.set_up("text", logging.INFO)
    logs.take_over()
    try:
        raise ValueError("no")
    except ValueError:
        logging.getLogger("carsync.engine").exception("a bug")
    assert "Traceback" in written.getvalue()
