"""The metrics in Prometheus' text format: valid, complete, and named by the conventions."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from carsync import __version__
from carsync.cli.reference.documents import alert_rules
from carsync.reporting.notify.prometheus import METRICS, ModeStanding, Standing, expose
from carsync.state.figures import Slowed
from tests.support import snapshots
from tests.support.folders import ROOT
from tests.support.prometheus import read
from tests.support.snapshots import NOW

RULES = ROOT / "config/prometheus/carsync.rules.yaml"


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
        figures=snapshots.snapshot(
            slowed=Slowed(by="X-RateLimit", rate=2.5, lowest=1.5), **snapshots.COST
        ),
        full=ModeStanding(exit_code=0, ended_at=NOW, last_success_at=NOW, merged=snapshots.LAST),
    )
    return replace(usual, **changes)


def test_the_figures_of_a_run_read_back() -> None:
    found = read(expose(standing()))
    assert found["carsync_run_pages_staged_total"] == 812
    assert found["carsync_run_failed_attempts_total[rate_limited]"] == 2
    assert found["carsync_run_slowed_requests_per_second"] == 2.5
    assert found["carsync_run_failed_attempts_total[timeout]"] == 0
    assert found["carsync_run_requests_total[by_id]"] == 30
    assert found["carsync_requests_today[reserved]"] == 5
    assert found["carsync_budget_left_requests"] == 63
    assert found["carsync_api_quota_limit_requests[X-RateLimit]"] == 100
    assert found["carsync_run_response_seconds[0.95]"] == 0.512
    assert found["carsync_run_response_seconds_count"] == 812
    assert found["carsync_run_response_seconds_sum"] == pytest.approx(812 * 0.41)
    assert found["carsync_last_merge_rows[inserted]"] == 2000
    assert found["carsync_acceptance_check_passed[duration]"] == 1
    assert found["carsync_run_resident_memory_bytes"] == 312e6
    assert found["carsync_last_success_timestamp_seconds"] == NOW.timestamp()
    assert found[f"carsync_build_info[{__version__}]"] == 1


def test_what_is_not_known_is_left_out_and_no_success_is_zero() -> None:
    found = read(expose(standing(run_id=None, started_at=None, figures=None, full=ModeStanding())))
    assert set(found) == {
        f"carsync_build_info[{__version__}]",
        "carsync_metrics_written_timestamp_seconds",
        "carsync_last_success_timestamp_seconds",
        "carsync_run_in_progress",
    }
    assert found["carsync_last_success_timestamp_seconds"] == 0


def test_each_mode_has_its_own_success_and_end() -> None:
    merged = replace(snapshots.LAST, counts=replace(snapshots.COUNTS, inserted=3))
    hour_ago = NOW - timedelta(hours=1)
    delta = ModeStanding(exit_code=3, ended_at=NOW, last_success_at=hour_ago, merged=merged)
    found = read(expose(standing(incremental=delta)))
    name = "carsync_last_success_timestamp_seconds"
    assert (found[name], found[f"{name}[incremental]"]) == (NOW.timestamp(), hour_ago.timestamp())
    assert found["carsync_last_run_exit_code"] == 0
    assert found["carsync_last_run_exit_code[incremental]"] == 3
    assert found["carsync_last_merge_rows[inserted]"] == 2000
    assert found["carsync_last_merge_rows[incremental][inserted]"] == 3


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
    assert "8 rules found" in promtool("check", "rules", RULES)
    series = 'source="external",target="public.cars"'
    labels = f'{series},mode="full"'
    delta = f'{series},mode="incremental"'
    sick = {
        f"carsync_last_success_timestamp_seconds{{{labels}}}": "-90000x40",
        f"carsync_last_run_exit_code{{{labels}}}": "4x40",
        f"carsync_last_success_timestamp_seconds{{{delta}}}": "-90000x40",
        'carsync_last_run_exit_code{source="b",target="t",mode="full"}': "6x40",
        f'carsync_acceptance_check_passed{{check="duration",{labels}}}': "0x40",
        f"carsync_run_in_progress{{{series}}}": "1x40",
        f"carsync_metrics_written_timestamp_seconds{{{series}}}": "0x40",
        f'carsync_last_merge_rows{{outcome="rejected",{labels}}}': "2x40",
        f'carsync_last_merge_rows{{outcome="seen",{labels}}}': "100x40",
    }
    well = {
        f"carsync_last_success_timestamp_seconds{{{labels}}}": "0+300x40",
        f"carsync_last_success_timestamp_seconds{{{delta}}}": "-3600+300x40",
        f"carsync_last_run_exit_code{{{labels}}}": "7x40",
        f'carsync_acceptance_check_passed{{check="duration",{labels}}}': "1x40",
        f"carsync_run_in_progress{{{series}}}": "1x40",
        f"carsync_run_duration_seconds{{{series}}}": "600x40",
        f"carsync_metrics_written_timestamp_seconds{{{series}}}": "0+300x40",
        f'carsync_last_merge_rows{{outcome="rejected",{labels}}}': "0x40",
        f'carsync_last_merge_rows{{outcome="seen",{labels}}}': "100x40",
    }
    all_of_them = {rule["alert"] for rule in alert_rules()}
    lines = [f"rule_files: [{RULES}]", "evaluation_interval: 5m", "tests:"]
    for given, firing in (
        (sick, all_of_them - {"CarsyncMissing"}),
        (well, set()),
        ({"up": "1x40"}, {"CarsyncMissing"}),
    ):
        lines += ["  - interval: 5m", "    input_series:"]
        lines += [f"      - {{series: '{name}', values: '{v}'}}" for name, v in given.items()]
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
