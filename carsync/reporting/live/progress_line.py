"""The figures of a run on one line; no rich, so that a run under systemd loads none of it."""

from __future__ import annotations

from carsync import formatting
from carsync.run.metrics import Snapshot


def progress_line(snapshot: Snapshot) -> str:
    """Write the figures of `snapshot` on one line; what is not known yet is left out."""
    parts = [_pages(snapshot)]
    parts.append(f"{formatting.rate(snapshot.pages_per_s)} pages/s")
    parts.append(f"{formatting.rate(snapshot.rows_per_s)} rows/s")
    if snapshot.latency_p95_s is not None:
        parts.append(f"p95 {formatting.latency(snapshot.latency_p95_s)}")
    parts.append(f"queue {snapshot.queue_depth}")
    parts.append(f"errors {formatting.errors(snapshot.errors)}")
    if snapshot.pages_failed:
        parts.append(f"given up {formatting.plural(snapshot.pages_failed, 'page')}")
    if snapshot.pause:
        why = "429" if snapshot.pause == "rate_limited" else "breaker open"
        parts.append(f"paused ({why}) {formatting.duration(snapshot.paused_s)}")
    if snapshot.eta_s is not None:
        parts.append(f"eta {formatting.duration(snapshot.eta_s)}")
    return " · ".join(parts)


def _pages(snapshot: Snapshot) -> str:
    done, planned = snapshot.pages_resumed + snapshot.pages_staged, snapshot.pages_planned
    if planned is None:
        return f"pages {done}"
    return f"pages {done}/{planned} ({formatting.share(done, planned)})"
