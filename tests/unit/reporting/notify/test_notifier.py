"""Notices of a run's end: sent once it is over, noted beside the checkpoint, never in the way."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from carsync.config.parser import parse
from carsync.errors import NoticeError
from carsync.reporting.notify import webhook
from carsync.reporting.notify.notifier import (
    Notifier,
    SentNotice,
    here_and_now,
    read_sent_notice,
    write_sent_notice,
)
from carsync.run.signals import StopSignal
from carsync.state.checkpoint import save
from tests.support import snapshots
from tests.support.snapshots import NOW

FILE = "notify: {url: 'https://hook.example.com/secret', format: json}"


class Hook:
    """Takes the place of the web hook: keeps what it is sent, or raises `error`."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.should_end: Any = None
        self.error: Exception | None = None

    def deliver(self, notify: object, body: bytes, should_end: Any) -> None:
        self.should_end = should_end
        if self.error is not None:
            raise self.error
        self.bodies.append(json.loads(body))


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Hook:
    hook = Hook()
    monkeypatch.setattr(webhook, "deliver", hook.deliver)
    return hook


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "public.cars.json"


def notifier(path: Path, file: str = FILE, stop: StopSignal | None = None) -> Notifier:
    return Notifier(parse(file, {}), path, stop or StopSignal())


def failed(**changes: Any) -> Any:
    usual = {"state": "failed", "exit_code": 3, "problem": "the API failed", "counts": None}
    return snapshots.report(**{**usual, **changes})


def test_a_failure_is_sent_and_noted(hook: Hook, path: Path) -> None:
    notifier(path).ended(failed())
    (body,) = hook.bodies
    assert (body["event"], body["problem"], body["run_id"]) == ("failed", "the API failed", 42)
    sent = read_sent_notice(path)
    assert sent is not None
    assert sent.exit_code == 3
    assert sent.at.isoformat().replace("+00:00", "Z") == body["sent_at"]


def test_the_checkpoint_counts_as_the_run_found_it(hook: Hook, path: Path) -> None:
    save(path, snapshots.checkpoint(state="failed", exit_code=3))
    before = notifier(path)
    save(path, snapshots.checkpoint(state="complete", exit_code=0))
    before.ended(snapshots.report())
    assert [body["event"] for body in hook.bodies] == ["recovered"]


@pytest.mark.parametrize(
    ("file", "changes"),
    [("{}", {}), (FILE, {"exit_code": 75}), (FILE, {"exit_code": 0}), (FILE, {"dry_run": True})],
)
def test_where_there_is_nothing_to_say_nothing_is_sent_or_noted(
    hook: Hook, path: Path, file: str, changes: dict[str, Any]
) -> None:
    notifier(path, file).ended(failed(**changes))
    assert hook.bodies == []
    assert read_sent_notice(path) is None


def test_a_bug_is_told_by_its_kind(hook: Hook, path: Path) -> None:
    notifier(path).failed(KeyError("a secret"))
    (body,) = hook.bodies
    assert (body["exit_code"], body["problem"]) == (1, "a bug in carsync: KeyError")
    assert (body["source"], body["target"]) == ("external", "public.cars")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NoticeError("the web hook answered HTTP 404", detail="no_service"), "(no_service)"),
        (ZeroDivisionError("https://hook.example.com/secret"), "a bug: ZeroDivisionError"),
        (OSError("https://hook.example.com/secret"), "a bug: OSError"),
    ],
)
def test_a_hook_that_fails_fails_nothing_and_its_address_is_not_logged(
    hook: Hook, path: Path, error: Exception, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    hook.error = error
    with caplog.at_level(logging.WARNING):
        notifier(path).ended(failed())
    assert words in caplog.text
    assert "secret" not in caplog.text
    assert read_sent_notice(path) is None


def test_only_a_further_signal_ends_the_sending(hook: Hook, path: Path) -> None:
    stop = StopSignal()
    stop.times = 1
    notifier(path, stop=stop).ended(failed())
    assert hook.should_end() is False
    stop.times = 2
    assert hook.should_end() is True


def test_a_note_that_cannot_be_written_or_read_is_none(tmp_path: Path) -> None:
    elsewhere = tmp_path / "no" / "folder" / "x.json"
    write_sent_notice(elsewhere, SentNotice(3, NOW))
    assert read_sent_notice(elsewhere) is None
    path = tmp_path / "x.json"
    write_sent_notice(path, SentNotice(3, NOW))
    assert read_sent_notice(path) == SentNotice(3, NOW)
    path.with_name("x.json.notice").write_text("{")
    assert read_sent_notice(path) is None


def test_now_is_told_by_the_checkpoint_s_clock() -> None:
    now, host = here_and_now(None)
    assert now.tzinfo is not None
    assert host
    assert here_and_now(snapshots.checkpoint())[1] == host
