"""A run's figures, samples and sessions as JSON: the names are the same in every command. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct, field
from msgspec.structs import asdict

from carsync.reporting.views.run_details import RunSession
from carsync.state.figures import Figures
from carsync.state.samples import FailureCount, Sample


class FiguresAnswer(Figures, frozen=True, kw_only=True):
    """The figures of one run, or of its last session."""

    pages_done: int
    pages_given_up: int = field(default=0, name="pages_given_up")
    pages_failed: int


class SampleAnswer(Sample, frozen=True, kw_only=True):
    """The figures of a run at one moment."""

    pages_done: int = field(name="pages_done")
    pages_staged: int
    pages_given_up: int = field(default=0, name="pages_given_up")
    pages_failed: int
    recent_rows_per_s: float = field(default=0.0, name="recent_rows_per_s")
    rows_per_s: float
    recent_latency_p50_s: float | None = field(default=None, name="recent_latency_p50_s")
    recent_latency_p95_s: float | None = field(default=None, name="recent_latency_p95_s")
    recent_latency_p99_s: float | None = field(default=None, name="recent_latency_p99_s")
    latency_p50_s: float | None
    latency_p95_s: float | None
    latency_p99_s: float | None


class SessionAnswer(RunSession, frozen=True, kw_only=True):
    """One process's work on a run; there is more than one where the run was resumed."""

    session: int
    pages_done: int = field(name="pages_done")
    pages_staged: int
    elapsed_s: float


class KeptFailures(Struct, frozen=True):
    """How many failed attempts are kept, of how many pages, and how many pages were given up."""

    failures: int
    pages: int
    pages_given_up: int


def tell_figures(figures: Figures) -> FiguresAnswer:
    """Return figures under the names that all commands use, and under the older ones."""
    known = asdict(figures)
    return FiguresAnswer(
        **known, pages_done=figures.pages_done, pages_failed=figures.pages_given_up
    )


def sample_fields(sample: Sample) -> dict[str, Any]:
    """Return the fields of a `SampleAnswer`, and those that the sample has beside them."""
    return {
        **asdict(sample),
        "pages_staged": sample.pages_done,
        "pages_failed": sample.pages_given_up,
        "rows_per_s": sample.recent_rows_per_s,
        "latency_p50_s": sample.recent_latency_p50_s,
        "latency_p95_s": sample.recent_latency_p95_s,
        "latency_p99_s": sample.recent_latency_p99_s,
    }


def tell_sessions(sessions: Sequence[RunSession]) -> list[SessionAnswer]:
    """Return the sessions of a run."""
    return [
        SessionAnswer(
            **asdict(each),
            session=each.number,
            pages_staged=each.pages_done,
            elapsed_s=each.worked_s,
        )
        for each in sessions
    ]


def tell_kept(kept: FailureCount) -> KeptFailures:
    """Return how many failed attempts are kept."""
    return KeptFailures(kept.failures, kept.pages, kept.given_up)
