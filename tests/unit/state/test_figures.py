"""The figures of a run: one record, whose names as JSON are those that every reader knows."""

from __future__ import annotations

from typing import Any

import msgspec

from carsync.state.checkpoint import CheckpointState
from carsync.state.figures import KeptFigures, Latency
from carsync.state.samples import Sample
from tests.support import snapshots
from tests.support.snapshots import NOW


def as_json(record: msgspec.Struct) -> dict[str, Any]:
    """Return a record as the JSON object that others read."""
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(record))
    return found


def test_pages_of_an_earlier_session_count_as_done() -> None:
    figures = snapshots.snapshot(pages_resumed=500, pages_staged=312)
    assert figures.pages_done == 812
    assert "pages_done" not in as_json(figures)


def test_there_is_no_latency_before_the_first_answer() -> None:
    assert snapshots.snapshot().latency == Latency(
        mean_s=0.41, p50_s=0.401, p95_s=0.512, p99_s=0.64
    )
    for name in ("latency_mean_s", "latency_p50_s", "latency_p95_s", "latency_p99_s"):
        assert snapshots.snapshot(**{name: None}).latency is None


def test_what_is_kept_reaches_samples_and_checkpoint_under_one_name() -> None:
    figures = snapshots.snapshot(pages_given_up=7, recent_rows_per_s=5.0, queue_depth=9)
    kept = figures.kept()
    assert set(kept) == set(KeptFigures.__struct_fields__)
    sample = Sample(session=1, at=NOW, phase="x", pages_done=1, rss_by_kind={}, **kept)
    checkpoint = msgspec.structs.replace(snapshots.checkpoint(), **kept)
    for name in kept:
        assert getattr(sample, name) == getattr(checkpoint, name) == getattr(figures, name)


def test_each_record_has_the_json_names_that_its_readers_know() -> None:
    figures = snapshots.snapshot(pages_given_up=7, recent_rows_per_s=5.0)
    kept = figures.kept()
    sample = Sample(session=1, at=NOW, phase="x", pages_done=812, rss_by_kind={}, **kept)
    assert as_json(figures).items() >= {"pages_failed": 7, "recent_rows_per_s": 5.0}.items()
    told = as_json(sample)
    assert (told["pages_failed"], told["pages_staged"], told["rows_per_s"]) == (7, 812, 5.0)
    assert set(told) == {
        *("session", "at", "elapsed_s", "phase", "pages_planned", "pages_staged", "pages_failed"),
        *("rows_staged", "rejects", "pages_per_s", "rows_per_s"),
        *("latency_p50_s", "latency_p95_s", "latency_p99_s"),
        *("queue_depth", "rss_bytes", "rss_by_kind", "wire_bytes", "attempts", "retries"),
        *("errors", "breaker_openings"),
    }
    state = as_json(msgspec.structs.replace(snapshots.checkpoint(), pages_given_up=7))
    assert (state["pages_failed_count"], state["pages_done"]) == (7, 812)
    assert list(state["pages_failed"]) == ["17"]
    assert isinstance(msgspec.convert(state, CheckpointState), CheckpointState)
