"""The metrics file: valid for Prometheus, whole at any time, true across runs, never in the way."""

from __future__ import annotations

import logging
import os
import re
import shutil
import stat
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client.parser import text_string_to_metric_families

from carsync import __version__
from carsync.cli.reference.documents import alert_rules
from carsync.config.parser import parse
from carsync.config.sections import Config
from carsync.errors import ConfigError
from carsync.model import Check
from carsync.reporting.notify.prometheus import METRICS, Standing, expose
from carsync.reporting.notify.textfile_collector import EVERY_S, TextFile
from carsync.run.report import RunReport
from carsync.state import atomic_file
from carsync.state.checkpoint import CheckpointState, save
from carsync.state.runs import Run
from tests.support import snapshots
from tests.support.fake_clock import FakeClock
from tests.support.folders import ROOT
from tests.support.snapshots import NOW

RULES = ROOT / "config/prometheus/carsync.rules.yaml"
SERIES = {"source": "external", "target": "public.cars"}
CHECKS = (Check("duration", "≤ 25.0 min", "31 min", "fail"), Check("x", "off", "–", "n/a"))
STARTED = NOW - timedelta(seconds=72)


def standing(**changes: Any) -> Standing:
    usual = Standing(
        source="external",
        target="public.cars",
        version=__version__,
        written_at=NOW,
        in_progress=True,
        run_id=42,
        started_at=STARTED,
        figures=snapshots.snapshot(),
        exit_code=0,
        ended_at=NOW,
        last_success_at=NOW,
        merged=snapshots.LAST,
    )
    return replace(usual, **changes)


def read(text: bytes) -> dict[str, float]:
    """Read with Prometheus' own parser: `name` or `name[value of its label]` → value."""
    found = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            own = {name: v for name, v in sample.labels.items() if name not in SERIES}
            assert {**own, **SERIES} == sample.labels
            found[sample.name + "".join(f"[{value}]" for value in own.values())] = sample.value
    return found


# The format


def test_the_figures_of_a_run_read_back() -> None:
    found = read(expose(standing()))
    assert found["carsync_run_pages_staged_total"] == 812
    assert found["carsync_run_failed_attempts_total[rate_limited]"] == 2
    assert found["carsync_run_failed_attempts_total[timeout]"] == 0
    assert found["carsync_run_response_seconds[0.95]"] == 0.512
    assert found["carsync_run_response_seconds_count"] == 812
    assert found["carsync_run_response_seconds_sum"] == pytest.approx(812 * 0.41)
    assert found["carsync_last_merge_rows[inserted]"] == 2000
    assert found["carsync_acceptance_check_passed[duration]"] == 1
    assert found["carsync_run_resident_memory_bytes"] == 312e6
    assert found["carsync_last_success_timestamp_seconds"] == NOW.timestamp()
    assert found[f"carsync_build_info[{__version__}]"] == 1


def test_what_is_not_known_is_left_out_and_no_success_is_zero() -> None:
    found = read(
        expose(
            standing(
                run_id=None,
                started_at=None,
                figures=None,
                exit_code=None,
                ended_at=None,
                last_success_at=None,
                merged=None,
            )
        )
    )
    assert set(found) == {
        f"carsync_build_info[{__version__}]",
        "carsync_metrics_written_timestamp_seconds",
        "carsync_last_success_timestamp_seconds",
        "carsync_run_in_progress",
    }
    assert found["carsync_last_success_timestamp_seconds"] == 0


def test_every_metric_has_a_value_and_a_name_by_the_conventions() -> None:
    found = {name.partition("[")[0] for name in read(expose(standing()))}
    for metric in METRICS:
        base = {metric.name, f"{metric.name}_sum"}
        assert base & found, metric.name
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert re.fullmatch(r"carsync_[a-z_]+[a-z]", metric.name)
        assert metric.help.endswith(".")
        assert "timestamp" not in metric.name or metric.name.endswith("_timestamp_seconds")


def promtool(*args: str | Path, text: bytes = b"") -> str:
    """Run Prometheus' own tool; what it has to say must be nothing bad."""
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("promtool (Debian package prometheus) is not installed")
    ended = subprocess.run(
        [tool, *map(str, args)], input=text, capture_output=True, timeout=60, check=False
    )
    said = (ended.stdout + ended.stderr).decode()
    assert ended.returncode == 0, said
    return said


def test_promtool_has_nothing_to_say_of_the_metrics() -> None:
    assert promtool("check", "metrics", text=expose(standing())) == ""


def test_the_alert_rules_fire_where_they_should(tmp_path: Path) -> None:
    """`promtool test rules`: a series for each rule that must fire, and healthy ones for none."""
    assert "7 rules found" in promtool("check", "rules", RULES)
    labels = 'source="external",target="public.cars"'
    sick = {
        f"carsync_last_success_timestamp_seconds{{{labels}}}": "-90000x40",
        f"carsync_last_run_exit_code{{{labels}}}": "4x40",
        'carsync_last_run_exit_code{source="b",target="t"}': "6x40",
        f'carsync_acceptance_check_passed{{check="duration",{labels}}}': "0x40",
        f"carsync_run_in_progress{{{labels}}}": "1x40",
        f"carsync_metrics_written_timestamp_seconds{{{labels}}}": "0x40",
        f'carsync_last_merge_rows{{outcome="rejected",{labels}}}': "2x40",
        f'carsync_last_merge_rows{{outcome="seen",{labels}}}': "100x40",
    }
    well = {
        f"carsync_last_success_timestamp_seconds{{{labels}}}": "0+300x40",
        f"carsync_last_run_exit_code{{{labels}}}": "7x40",
        f'carsync_acceptance_check_passed{{check="duration",{labels}}}': "1x40",
        f"carsync_run_in_progress{{{labels}}}": "1x40",
        f"carsync_run_duration_seconds{{{labels}}}": "600x40",
        f"carsync_metrics_written_timestamp_seconds{{{labels}}}": "0+300x40",
        f'carsync_last_merge_rows{{outcome="rejected",{labels}}}': "0x40",
        f'carsync_last_merge_rows{{outcome="seen",{labels}}}': "100x40",
    }
    all_of_them = {rule["alert"] for rule in alert_rules()}
    lines = [f"rule_files: [{RULES}]", "evaluation_interval: 5m", "tests:"]
    for series, firing in (
        (sick, all_of_them - {"CarsyncMissing"}),
        (well, set()),
        ({"up": "1x40"}, {"CarsyncMissing"}),
    ):
        lines += ["  - interval: 5m", "    input_series:"]
        lines += [f"      - {{series: '{name}', values: '{v}'}}" for name, v in series.items()]
        lines += ["    promql_expr_test:", "      - eval_time: 3h"]
        lines += ['        expr: count by (alertname) (ALERTS{alertstate="firing"})']
        lines += ["        exp_samples:"] if firing else ["        exp_samples: []"]
        lines += [
            f"          - {{labels: '{{alertname=\"{a}\"}}', value: 1}}" for a in sorted(firing)
        ]
    (tmp_path / "test.yaml").write_text("\n".join(lines))
    promtool("test", "rules", tmp_path / "test.yaml")


def test_the_rules_ask_for_metrics_that_there_are() -> None:
    known = {metric.name for metric in METRICS}
    for rule in alert_rules():
        assert set(re.findall(r"carsync_\w+", rule["expr"])) <= known, rule["alert"]


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


def run(run_id: int = 43) -> Run:
    return cast(Run, SimpleNamespace(run_id=run_id, started_at=STARTED))


def report(exit_code: int = 0, **changes: Any) -> RunReport:
    usual: dict[str, Any] = {
        "run_id": 43,
        "state": "complete",
        "exit_code": exit_code,
        "source": "external",
        "target": "public.cars",
        "started_at": STARTED,
        "finished_at": NOW,
        "duration_s": 72.4,
        "figures": snapshots.snapshot(),
        "counts": replace(snapshots.COUNTS, inserted=7),
        "checks": CHECKS,
    }
    return RunReport(**{**usual, **changes})


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
    with pytest.raises(OSError):
        atomic_file.replace(site.path, b"figures")
    assert precious.read_text() == "precious"


def test_the_home_of_nobody_fails_no_run(site: Site) -> None:
    nobody = parse("metrics: {textfile: '~no-such-user/a.prom'}", {})
    listener = site.listener(nobody)
    listener.begun(run())
    listener.ended(report())


def test_a_name_that_node_exporter_does_not_read_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"must end in \.prom"):
        parse("metrics: {textfile: /tmp/carsync.txt}", {})
