"""The metrics file: valid for Prometheus, whole at any time, true across runs, never in the way."""

from __future__ import annotations

import logging
import os
import stat
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec.structs import replace

from carsync.config.parser import parse
from carsync.config.sections import Config
from carsync.errors import ConfigError
from carsync.model import Check
from carsync.reporting.notify.textfile_collector import EVERY_S, TextFile
from carsync.run.report import RunReport
from carsync.state import atomic_file
from carsync.state.checkpoint import CheckpointState, LastOfMode, save
from carsync.state.runs import Run
from tests.support import snapshots
from tests.support.fake_clock import FakeClock
from tests.support.prometheus import read
from tests.support.snapshots import NOW

CHECKS = (Check("duration", "≤ 25.0 min", "31 min", "fail"), Check("x", "off", "–", "n/a"))
STARTED = NOW - timedelta(seconds=72)


# The file


class Site:
    """A listener with a file and a checkpoint of its own, and a clock set by hand."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "carsync.prom"
        self.checkpoint = folder / "state.json"
        self.clock = FakeClock()
        self.config = parse(f"metrics: {{textfile: '{self.path}'}}", {})

    def listener(self, config: Config | None = None) -> TextFile:
        return TextFile(config or self.config, self.checkpoint, self.clock, lambda: NOW)

    def save(self, **changes: Any) -> CheckpointState:
        state = snapshots.checkpoint(**{"state": "complete", "exit_code": 0, **changes})
        save(self.checkpoint, state)
        return state

    def read(self) -> dict[str, float]:
        return read(self.path.read_bytes())


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def run(run_id: int = 43, mode: str = "full") -> Run:
    return cast(Run, SimpleNamespace(run_id=run_id, started_at=STARTED, mode=mode))


def report(exit_code: int = 0, **changes: Any) -> RunReport:
    usual = {
        "run_id": 43,
        "started_at": STARTED,
        "counts": replace(snapshots.COUNTS, inserted=7),
        "checks": CHECKS,
    }
    return snapshots.report(exit_code=exit_code, **{**usual, **changes})


def test_a_run_writes_at_its_first_figures_and_every_minute_until_its_end(site: Site) -> None:
    site.save()
    listener = site.listener()
    listener.pulse()
    listener.begun(run())
    assert not site.path.exists()
    listener.update(snapshots.snapshot(), "fetching")
    first = site.read()
    assert first["carsync_run_in_progress"] == 1
    assert first["carsync_run_id"] == 43
    listener.update(snapshots.snapshot(pages_staged=813), "fetching")
    assert site.read() == first
    site.clock.advance(EVERY_S)
    listener.pulse()  # a merge gives no figures, but goes on
    assert site.read()["carsync_run_pages_staged_total"] == 813
    listener.ended(report())
    assert site.read()["carsync_run_in_progress"] == 0
    assert {path.name for path in site.path.parent.iterdir()} == {"state.json", "carsync.prom"}


def test_what_earlier_runs_left_is_told_while_a_run_goes_on(site: Site) -> None:
    before = site.save(exit_code=4, state="failed")
    listener = site.listener()
    listener.begun(run())
    listener.update(snapshots.snapshot(), "fetching")
    found = site.read()
    assert before.last_success_at is not None
    assert found["carsync_last_success_timestamp_seconds"] == before.last_success_at.timestamp()
    assert found["carsync_last_run_exit_code"] == 4
    assert found["carsync_last_run_end_timestamp_seconds"] == before.updated_at.timestamp()
    assert found["carsync_last_merge_rows[inserted]"] == snapshots.COUNTS.inserted


def test_an_incremental_run_leaves_the_figures_of_the_full_one(site: Site) -> None:
    before = site.save(exit_code=6, state="held")
    site.config = parse(
        f"{{metrics: {{textfile: '{site.path}'}}, api: {{window: {{param: minutes}}}}}}", {}
    )
    listener = site.listener()
    listener.begun(run(mode="incremental"))
    listener.update(snapshots.snapshot(), "fetching")
    assert not [name for name in site.read() if "incremental" in name], "there was none before"
    listener.ended(report(0, mode="incremental"))
    found = site.read()
    assert before.last_success_at is not None
    assert found["carsync_last_run_exit_code"] == 6
    assert found["carsync_last_success_timestamp_seconds"] == before.last_success_at.timestamp()
    assert found["carsync_last_merge_rows[inserted]"] == snapshots.COUNTS.inserted
    assert found["carsync_last_run_exit_code[incremental]"] == 0
    assert found["carsync_last_success_timestamp_seconds[incremental]"] == NOW.timestamp()
    assert found["carsync_last_merge_rows[incremental][inserted]"] == 7


@pytest.mark.parametrize("window", ["param: minutes", "overlap: 15m"])
def test_the_incremental_run_before_is_told_while_there_is_a_window(
    site: Site, window: str
) -> None:
    text = f"{{metrics: {{textfile: '{site.path}'}}, api: {{window: {{{window}}}}}}}"
    site.config = parse(text, {})
    other = replace(snapshots.checkpoint().standing, mode="incremental", exit_code=3)
    at = NOW - timedelta(hours=1)
    site.save(other=other, incremental=LastOfMode(last_success_at=at))
    listener = site.listener()
    listener.begun(run())
    listener.update(snapshots.snapshot(), "fetching")
    told = {name: v for name, v in site.read().items() if "[incremental]" in name}
    assert bool(told) == (window == "param: minutes")
    if told:
        assert told["carsync_last_success_timestamp_seconds[incremental]"] == at.timestamp()
        assert told["carsync_last_run_exit_code[incremental]"] == 3


@pytest.mark.parametrize("begins", [True, False])
def test_a_run_that_fails_does_not_hide_the_last_success(site: Site, begins: bool) -> None:
    before = site.save()
    listener = site.listener()
    if begins:
        listener.begun(run())
        listener.update(snapshots.snapshot(), "fetching")
    listener.ended(report(3, state="failed", counts=None, checks=()))
    found = site.read()
    assert before.last_success_at is not None
    assert found["carsync_last_success_timestamp_seconds"] == before.last_success_at.timestamp()
    assert found["carsync_last_merge_rows[inserted]"] == snapshots.COUNTS.inserted
    assert found["carsync_last_run_exit_code"] == 3
    assert found["carsync_run_in_progress"] == 0


@pytest.mark.parametrize(
    ("exit_code", "is_success"), [(0, True), (7, True), (6, False), (5, False)]
)
def test_the_end_tells_of_the_merge_and_of_success(
    site: Site, exit_code: int, is_success: bool
) -> None:
    site.save(last_success_at=None, last_completed=None)
    listener = site.listener()
    listener.begun(run())
    listener.ended(report(exit_code))
    found = site.read()
    expected = NOW.timestamp() if is_success else 0
    assert found["carsync_last_success_timestamp_seconds"] == expected
    assert found["carsync_last_merge_rows[inserted]"] == 7
    assert found["carsync_acceptance_check_passed[duration]"] == 0
    assert "carsync_acceptance_check_passed[x]" not in found


def test_a_run_that_is_locked_out_leaves_the_other_s_file_alone(site: Site) -> None:
    site.path.write_bytes(b"theirs")
    site.listener().ended(report(75, run_id=None, counts=None))
    assert site.path.read_bytes() == b"theirs"


def test_a_bug_ends_the_run_in_the_file_too(site: Site) -> None:
    listener = site.listener()
    listener.begun(run())
    listener.update(snapshots.snapshot(), "fetching")
    with pytest.raises(ZeroDivisionError), listener:
        raise ZeroDivisionError
    assert site.read()["carsync_run_in_progress"] == 0
    assert site.read()["carsync_last_run_exit_code"] == 1


def test_a_damaged_checkpoint_hinders_nothing(site: Site) -> None:
    site.checkpoint.write_text("{}")
    listener = site.listener()
    listener.begun(run())
    listener.update(snapshots.snapshot(), "fetching")
    assert site.read()["carsync_last_success_timestamp_seconds"] == 0


def test_the_file_is_for_everybody_whatever_the_umask(site: Site) -> None:
    before = os.umask(0o077)
    try:
        site.listener().ended(report())
    finally:
        os.umask(before)
    assert stat.S_IMODE(site.path.stat().st_mode) == 0o644


def test_a_file_that_cannot_be_written_is_told_once_and_leaves_nothing(
    site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = site.listener()
    listener.begun(run())
    monkeypatch.setattr(
        Path, "replace", lambda self, to: (_ for _ in ()).throw(OSError(28, "full"))
    )
    for _ in range(3):
        listener.update(snapshots.snapshot(), "fetching")
        site.clock.advance(EVERY_S)
    listener.ended(report())
    assert [
        line for line in caplog.messages if "cannot be written: full" in line
    ] == caplog.messages
    assert len(caplog.messages) == 1
    assert list(site.path.parent.iterdir()) == []


@pytest.mark.parametrize("what", ["folder", "pipe", "link", "no folder"])
def test_what_is_no_file_is_left_alone(
    site: Site, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    other = site.path.with_name("other")
    other.write_text("precious")
    match what:
        case "folder":
            site.path.mkdir()
        case "pipe":
            os.mkfifo(site.path)
        case "link":
            site.path.symlink_to(other)
        case _:
            site.config = parse("metrics: {textfile: /nowhere/at/all.prom}", {})
    with caplog.at_level(logging.WARNING):
        site.listener().ended(report())
    assert "cannot be written" in caplog.text
    assert other.read_text() == "precious"
    assert not site.path.is_file() or what == "link"


def test_a_link_in_the_place_of_the_temporary_file_is_not_followed(site: Site) -> None:
    precious = site.path.with_name("precious")
    precious.write_text("precious")
    site.path.with_name(f".{site.path.name}.tmp").symlink_to(precious)
    atomic_file.replace(site.path, b"figures")
    assert site.path.read_text() == "figures"
    assert precious.read_text() == "precious"


def test_the_home_of_nobody_fails_no_run(site: Site) -> None:
    nobody = parse("metrics: {textfile: '~no-such-user/a.prom'}", {})
    listener = site.listener(nobody)
    listener.begun(run())
    listener.ended(report())


def test_a_name_that_node_exporter_does_not_read_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"must end in \.prom"):
        parse("metrics: {textfile: /tmp/carsync.txt}", {})
