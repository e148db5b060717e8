"""The report's facts from a real database, of runs with every fate; and the file it becomes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from carsync.cli.app import app
from carsync.errors import ConfigError
from carsync.model import Row
from carsync.postgres.wait import Connection
from carsync.reporting.html.data import ReportData, gather
from carsync.reporting.html.page import changed, only_hash, render
from carsync.reporting.html.templates import read_template
from carsync.state import changes, runs, samples, target_lock
from carsync.state.samples import Failure, Sample
from tests.conftest import ask
from tests.support.merge_rig import SOURCE, TARGET, Rig, cars, page, reject

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SUMMARY = {"problem": "the API failed", "detail": "HTTP 500", "hint": "wait", "notes": ["drift"]}


def told(conn: Connection, run_id: int) -> tuple[ReportData, str]:
    """Gather a run and render its page, which must work whatever the run's fate."""
    data = gather(conn, TARGET, run_id, NOW)
    html = render(data, read_template("report.html"), read_template("report.css"))
    assert html.endswith("</html>\n")
    return data, html


def priced(prices: dict[str, float | None], version: str) -> list[Row]:
    return [
        (id_, "Kia", 2019, price, True, None, "[]", f"{id_}:{version}:{price}")
        for id_, price in prices.items()
    ]


def sample(session: int, second: int, **errors: int) -> Sample:
    at = NOW + timedelta(hours=session, seconds=second)
    return Sample(
        session=session,
        at=at,
        elapsed_s=float(second),
        phase="fetching",
        pages_planned=100,
        pages_done=10 * second,
        pages_given_up=0,
        rows_staged=1000 * second,
        rejects=0,
        pages_per_s=20.0,
        recent_rows_per_s=2000.0,
        recent_latency_p50_s=0.1,
        recent_latency_p95_s=0.2,
        recent_latency_p99_s=0.3,
        queue_depth=1,
        rss_bytes=200_000_000,
        rss_by_kind={"parent": 200_000_000},
        wire_bytes=5,
        attempts=9,
        retries=1,
        errors=errors,
        breaker_openings=0,
    )


def test_prices_columns_and_examples_are_those_of_the_run(conn: Connection) -> None:
    rig = Rig(conn)
    before: dict[str, float | None] = {
        "a": 100.0,
        "b": 200.0,
        "c": 0.0,
        "d": 300.0,
        "e": 400.0,
        "gone": 5.0,
    }
    rig.sync(priced(before, "1"))
    after: dict[str, float | None] = {
        "a": 150.5,
        "b": 100.0,
        "c": 900.0,
        "d": 300.0,
        "e": None,
        "new": 7.0,
    }
    rig.sync(priced(after, "2"))
    ask(conn, "UPDATE cars SET title = 'Rio' WHERE id IN ('a', 'new')")
    summary = gather(conn, TARGET, rig.run.run_id, NOW).changes
    assert summary.counts == {"inserted": 1, "updated": 5, "deactivated": 1}
    (prices,) = summary.prices
    assert [(m.id, m.title, m.old, m.new) for m in prices.up] == [("a", "Rio", 100.0, 150.5)]
    assert [(m.id, m.old, m.new) for m in prices.down] == [("b", 200.0, 100.0)]
    assert prices.up[0].ratio == pytest.approx(0.505)
    assert summary.columns == (("price", 4),)
    assert [(car.id, car.title) for car in summary.examples["inserted"]] == [("new", "Rio")]
    assert [car.id for car in summary.examples["deactivated"]] == ["gone"]
    updated = {car.id: car for car in summary.examples["updated"]}
    assert changed(updated["a"]) == [("price", "100.0", "150.5")]
    assert changed(updated["e"]) == [("price", "400.0", "–")]
    assert only_hash(updated["d"])


def test_examples_stay_few_and_the_largest_moves_come_first(conn: Connection) -> None:
    rig = Rig(conn)
    rig.sync(priced({str(n): 1000.0 for n in range(60)}, "1"))
    rig.sync(priced({str(n): 1000.0 + n - 30 for n in range(60)}, "2"))
    summary = gather(conn, TARGET, rig.run.run_id, NOW).changes
    assert summary.counts == {"updated": 60}
    assert len(summary.examples["updated"]) == changes.EXAMPLES
    (prices,) = summary.prices
    assert [move.id for move in prices.up] == [str(n) for n in range(59, 49, -1)]
    assert [move.id for move in prices.down] == [str(n) for n in range(10)]


def test_a_table_of_another_shape_has_a_report(conn: Connection) -> None:
    rig = Rig(conn)
    rig.sync(cars(range(3)))
    ask(conn, "ALTER TABLE cars DROP COLUMN title, DROP COLUMN current_bid")
    data, _ = told(conn, rig.run.run_id)
    assert [car.title for car in data.changes.examples["inserted"]] == [None] * 3


def test_a_run_that_merged_nothing(conn: Connection) -> None:
    rig = Rig(conn)
    rig.sync(cars(range(3)))
    rig.begin()
    data, html = told(conn, rig.run.run_id)
    assert (data.state, data.exit_code, data.changes.kept) == ("interrupted", None, "not merged")
    assert "its process ended unexpectedly" in html.lower()
    runs.finish_run(conn, rig.run, "failed", 3, SUMMARY)
    data, html = told(conn, rig.run.run_id)
    assert (data.state, data.exit_code) == ("failed", 3)
    for word in ("the API failed", "HTTP 500", "drift", "this run merged nothing"):
        assert word in html
    runs.abandon_runs(conn, TARGET, SOURCE)
    told(conn, rig.run.run_id)


def test_a_run_that_goes_on(conn: Connection) -> None:
    rig = Rig(conn)
    rig.begin()
    target_lock.acquire(conn, TARGET)
    data, html = told(conn, rig.run.run_id)
    assert data.state == "running"
    assert "No samples were kept" in html


def test_a_run_whose_changes_are_forgotten_or_were_not_recorded(conn: Connection) -> None:
    rig = Rig(conn)
    rig.sync(cars(range(3)))
    ask(conn, "DELETE FROM carsync.changes")
    ask(conn, "UPDATE carsync.runs SET changes_origin = 'pruned'")
    assert told(conn, rig.run.run_id)[0].changes.kept == "forgotten"
    ask(conn, "UPDATE carsync.runs SET changes_origin = NULL")
    assert told(conn, rig.run.run_id)[0].changes.kept == "not recorded"
    rig.sync(cars(range(3)))
    data, html = told(conn, rig.run.run_id)
    assert data.changes.kept == "nothing"
    assert "no car had to be changed" in html


def test_relatives_and_an_approval_are_told(conn: Connection) -> None:
    rig = Rig(conn)
    rig.sync(cars(range(9)))
    first = rig.run.run_id
    rig.sync(cars(range(9), "b"))
    ask(conn, "UPDATE carsync.runs SET reverts = %s WHERE run_id = %s", first, rig.run.run_id)
    assert f"Run {rig.run.run_id} took back what it did." in told(conn, first)[1]
    data, html = told(conn, rig.run.run_id)
    assert data.kind == "revert"
    assert f"takes back what run {first} did" in html
    ask(
        conn,
        "UPDATE carsync.runs SET reverts = NULL, replay_of = %s, summary = "
        """'{"approval": {"at": "today", "by": "<me>", "deactivated": 5, "left_out": 1}}' """
        "WHERE run_id = %s",
        first,
        rig.run.run_id,
    )
    data, html = told(conn, rig.run.run_id)
    assert data.kind == "replay"
    assert "approved at today by &lt;me&gt;: 5 cars deactivated, 1 left out" in html


def test_an_incremental_run_says_since_when_it_asked(conn: Connection) -> None:
    rig = Rig(conn)
    rig.sync(cars(range(9)))
    ask(
        conn,
        "UPDATE carsync.runs SET mode = 'incremental', window_from = '2026-01-02 03:00+00' "
        "WHERE run_id = %s",
        rig.run.run_id,
    )
    data, html = told(conn, rig.run.run_id)
    assert (data.kind, data.mode) == ("incremental", "incremental")
    assert f"Incremental run {rig.run.run_id}" in html
    assert "It asked for changes since 2026-01-02 03:00:00 UTC." in html


def test_sessions_follow_each_other_in_time_and_their_errors_add_up(conn: Connection) -> None:
    run = Rig(conn).begin()
    failed = Failure(1, NOW, 7, 1, "timeout", None, "too <slow>", 1.0, True)
    for session, errors in ((1, {"timeout": 2}), (2, {"timeout": 1, "auth": 1})):
        taken = [sample(session, 1), sample(session, 5, **errors)]
        samples.store(conn, run.run_id, session, taken, [failed], first_sample=0, first_failure=0)
    data, html = told(conn, run.run_id)
    assert [(point.session, point.at_s) for point in data.points] == [
        *((1, 1.0), (1, 5.0), (2, 6.0), (2, 10.0)),
    ]
    assert data.errors == {"timeout": 3, "auth": 1}
    assert [(page.page, page.failures, page.given_up) for page in data.failed_pages] == [
        (7, 2, True)
    ]
    assert "too &lt;slow&gt;" in html
    assert "resumed" in html
    assert "Sessions" in html


def test_rejects_are_told_by_reason_with_examples(conn: Connection) -> None:
    rig = Rig(conn)
    rig.begin()
    refused = [reject(n, str(n)) for n in range(10, 30)]
    rig.stage(page(1, cars(range(3)), refused))
    rig.merge_staged(1)
    data, _ = told(conn, rig.run.run_id)
    assert [(each.reason, each.count) for each in data.reject_reasons] == [("no make", 20)]
    assert 0 < len(data.reject_examples) <= 5


# The file


@pytest.fixture
def run_report(
    conn: Connection, dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Any]:
    """Give a function that runs `carsync report 1 …` in a folder of its own."""
    Rig(conn).sync(cars(range(3)))
    monkeypatch.setenv("DATABASE_URL", dsn)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path, run_id: int = 1) -> Result:
        words = ["report", str(run_id), *map(str, arguments)]
        return CliRunner().invoke(app, words, prog_name="carsync")

    yield run
    left = [path.name for path in tmp_path.iterdir() if path.name.endswith(".tmp")]
    assert left == []


def test_the_file_has_a_name_of_its_own_and_an_older_report_is_replaced(
    run_report: Any, tmp_path: Path
) -> None:
    assert run_report().exit_code == 0
    file = tmp_path / "carsync-run-1.html"
    first = file.stat().st_ino
    os.link(file, tmp_path / "kept.html")
    done = run_report()
    assert (done.exit_code, done.stdout) == (0, "")
    assert file.stat().st_ino != first  # another file in its place, never one half written
    (tmp_path / "link.html").symlink_to(file)
    assert run_report("-o", "link.html").exit_code == 0
    assert (tmp_path / "link.html").is_symlink()


def test_no_other_file_is_replaced_unasked(run_report: Any, tmp_path: Path) -> None:
    file = tmp_path / "thesis.html"
    file.write_text("<!doctype html><p>ten years of work</p>")
    refused = run_report("-o", file)
    assert refused.exit_code == 2
    assert "is not a report of carsync" in refused.stderr
    assert "hint: name another file with -o, or replace this one with --force" in refused.stderr
    assert "ten years" in file.read_text()
    assert run_report("-o", file, "--force").exit_code == 0
    assert "ten years" not in file.read_text()


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("no/such/r.html", "hint: create it with `mkdir -p '"),
        (".", "the path is not a file"),
        ("/dev/null", "the path is not a file"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_before_anything_is_read(
    run_report: Any, monkeypatch: pytest.MonkeyPatch, place: str, said: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:9/nothing")
    refused = run_report("-o", place)
    assert refused.exit_code == 2
    assert said in refused.stderr


def test_a_disk_that_refuses_leaves_nothing_behind(
    run_report: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    refused = run_report("-o", "r.html")
    assert refused.exit_code == 2
    assert "cannot write the report: no space left on device" in refused.stderr
    assert not (tmp_path / "r.html").exists()


def test_json_holds_what_the_page_tells(run_report: Any) -> None:
    data = json.loads(run_report("--json").stdout)
    assert (data["run_id"], data["changes"]["counts"]) == (1, {"inserted": 3})
    assert run_report("--json", "-o", "x").exit_code == 2


def test_no_such_run(run_report: Any, conn: Connection) -> None:
    missing = run_report(run_id=99)
    assert missing.exit_code == 2
    assert "there is no run 99" in missing.stderr
    assert "hint: " in missing.stderr
    with pytest.raises(ConfigError):
        gather(conn, TARGET, 99, NOW)
