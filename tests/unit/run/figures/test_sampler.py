"""The sampler: bounded whatever the length of a run, and harmless whatever the database does."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from carsync.engine.messages import PageFailed
from carsync.errors import DatabaseError, DatabaseUnavailableError, FailureKind
from carsync.postgres.wait import Connection
from carsync.run.figures import sampler as sampler_module
from carsync.run.figures.sampler import (
    KEPT_FOR_GIVEN_UP,
    MAX_FAILURES,
    MAX_TRIES,
    SampleBuffer,
    Sampler,
)
from carsync.state import samples
from carsync.state.samples import Failure, Sample
from tests.support import snapshots
from tests.support.snapshots import NOW

ESC = "\x1b[2J"


def failed(page: int, problem: str = "answered 500") -> PageFailed:
    """Give a failed attempt."""
    return PageFailed(page, 1, FailureKind.SERVER, problem, "", 500, None, 0.2)


class Store:
    """Takes the place of the database: the connection is idle, and writing raises `error`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, session: int = 1, kept: int = 0) -> None:
        self.error: Exception | None = None
        self.is_idle = True
        self.tries = 0
        self.samples: dict[int, Sample] = {}
        self.failures: dict[int, Failure] = {}
        monkeypatch.setattr(sampler_module, "is_idle", lambda conn: self.is_idle)
        monkeypatch.setattr(samples, "open_session", lambda conn, run_id: (session, kept))
        monkeypatch.setattr(samples, "store", self.store)

    def store(
        self,
        conn: Connection,
        run_id: int,
        session: int,
        samples: Sequence[Sample],
        failures: Sequence[Failure],
        *,
        first_sample: int,
        first_failure: int,
    ) -> None:
        """Behave as the table would."""
        self.tries += 1
        if self.error is not None:
            raise self.error
        if samples and not first_sample:
            self.samples.clear()
        for position, sample in enumerate(samples, first_sample):
            assert self.samples.setdefault(position, sample) is sample
        for position, failure in enumerate(failures, first_failure):
            assert self.failures.setdefault(position, failure) is failure


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    """A database that takes everything."""
    return Store(monkeypatch)


CONN: Any = object()


def sampling(series: SampleBuffer | None = None) -> Sampler:
    """Give a sampler of run 7."""
    sampler = Sampler(now=lambda: NOW, series=series)
    run: Any = type("R", (), {"run_id": 7})
    sampler.begun(run)
    return sampler


def look(sampler: Sampler, second: float, phase: str = "fetching", **changes: Any) -> None:
    """Tell the sampler the figures of a second."""
    sampler.update(snapshots.snapshot(elapsed_s=second, **changes), phase)


@given(st.lists(st.floats(0.01, 40.0), min_size=1, max_size=400), st.integers(4, 20))
def test_a_series_is_bounded_in_order_and_keeps_its_first_and_last(
    steps: list[float], limit: int
) -> None:
    sampler = sampling(series := SampleBuffer(limit=limit))
    second, taken = 0.0, []
    for step in steps:
        second += step
        if series.is_due(second):
            taken.append(second)
        look(sampler, second)
    seconds = [sample.elapsed_s for sample in series.samples]
    assert len(seconds) <= limit
    assert (seconds[0], seconds[-1]) == (taken[0], taken[-1])
    assert seconds == sorted(seconds)


def test_hours_are_told_by_600_samples_at_even_distances(store: Store) -> None:
    sampler = sampling()
    snapshot = snapshots.snapshot()
    for second in range(20_000):
        sampler.update(replace(snapshot, elapsed_s=second), "fetching")
    sampler.write(CONN)
    seconds = [sample.elapsed_s for _, sample in sorted(store.samples.items())]
    distances = [b - a for a, b in pairwise(seconds)]
    assert 300 <= len(seconds) <= 600
    assert set(distances) == {64}


def test_a_phase_shows_however_short_it_is() -> None:
    sampler = sampling(series := SampleBuffer())
    for moment, phase in enumerate(["fetching", "fetching", "deciding", "merging", "ended"]):
        look(sampler, moment / 10, phase)
    phases = [sample.phase for sample in series.samples]
    assert phases == ["fetching", "deciding", "merging", "ended"]


def test_what_is_stored_is_what_was_seen_also_after_thinning_out(store: Store) -> None:
    sampler = sampling(series := SampleBuffer(limit=10))
    for second in range(100):
        look(sampler, second, rss_by_process={"parent": 5, "writer-1": 7, "writer-2": 8})
        if second % 7 == 0:
            sampler.write(CONN)
    sampler.write(CONN)
    assert [store.samples[n] for n in range(len(store.samples))] == series.samples
    assert store.samples[0].rss_by_kind == {"parent": 5, "writer": 15}
    tries = store.tries
    sampler.write(CONN)
    assert store.tries == tries, "nothing is new, nothing is written"


def test_failures_are_bounded_and_the_last_places_are_kept_for_pages_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Store(monkeypatch, session=2, kept=100)
    sampler = sampling()
    look(sampler, 0)
    sampler.write(CONN)
    for page in range(MAX_FAILURES):
        sampler.attempt_failed(failed(page), given_up=False)
    sampler.write(CONN)
    assert len(store.failures) == MAX_FAILURES - KEPT_FOR_GIVEN_UP - 100
    for page in range(MAX_FAILURES):
        sampler.attempt_failed(failed(page), given_up=True)
    sampler.write(CONN)
    assert len(store.failures) == MAX_FAILURES - 100
    assert store.failures[MAX_FAILURES - 101].given_up


def test_a_problem_is_kept_short_and_without_what_a_terminal_or_jsonb_would_choke_on(
    store: Store,
) -> None:
    sampler = sampling()
    sampler.attempt_failed(failed(1, f"{ESC}\x00\ud800" + "x" * 1000), given_up=False)
    sampler.write(CONN)
    problem = store.failures[0].problem
    assert problem.isprintable()
    assert len(problem) == 300


def test_what_could_not_be_written_is_written_next_time(store: Store) -> None:
    sampler = sampling()
    look(sampler, 0)
    sampler.attempt_failed(failed(1), given_up=False)
    store.error = DatabaseError("no")
    sampler.write(CONN)
    store.error = None
    sampler.write(CONN)
    assert (len(store.samples), len(store.failures)) == (1, 1)


@pytest.mark.parametrize("error", [DatabaseError("disk full"), OSError("odd"), ZeroDivisionError()])
def test_a_database_that_refuses_is_let_alone_after_a_few_tries(
    store: Store, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    sampler = sampling()
    store.error = error
    with caplog.at_level(logging.WARNING):
        for second in range(10):
            look(sampler, second)
            sampler.write(CONN)
    assert store.tries == MAX_TRIES
    assert len(caplog.records) == MAX_TRIES


def test_a_connection_that_is_gone_or_busy_is_left_to_whoever_needs_it(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    sampler = sampling()
    look(sampler, 0)
    store.is_idle = False
    sampler.write(CONN)
    assert store.tries == 0
    store.is_idle, store.error = True, DatabaseUnavailableError("gone")
    for _ in range(5):
        sampler.write(CONN)
    assert caplog.text == ""


def test_nothing_is_written_of_a_run_that_has_no_id(store: Store) -> None:
    sampler = Sampler(now=lambda: NOW)
    look(sampler, 0)
    sampler.write(CONN)
    assert store.tries == 0
