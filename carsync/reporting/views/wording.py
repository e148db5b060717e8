"""The figures of a run in words, the same in all views. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec.structs import asdict

from carsync import formatting
from carsync.destination.column_values import ColumnValues
from carsync.model import MergeCounts, RunMode
from carsync.state.figures import Figures, KeptFigures, Latency, Pause, Slowed

_PAUSES: dict[Pause, str] = {
    "rate_limited": "429",
    "limit": "limit reached",
    "breaker": "breaker open",
}
MODES: dict[RunMode, str] = {
    "full": "full run",
    "incremental": "incremental run",
    "refresh": "refresh",
}
TOTAL_UNKNOWN = "total not known yet"


def mode(of: RunMode) -> str:
    """Name the mode of a run, after its number; a full run needs no word.

    >>> mode("incremental"), mode("full")
    (' · incremental', '')
    """
    return "" if of == "full" else f" · {of}"


def window(since: datetime | None, overlap_s: float | None) -> str:
    """Say which changes an incremental run asks for; empty for another run.

    >>> window(datetime.fromisoformat("2026-11-29T11:27:00+00:00"), 900)
    'changes since 2026-11-29 11:27:00 UTC, 15 min overlap included'
    """
    if since is None:
        return ""
    text = f"changes since {formatting.moment(since)}"
    return f"{text}, {formatting.duration(overlap_s)} overlap included" if overlap_s else text


def pages(done: int, planned: int | None) -> str:
    """Write how many pages are done, and of how many.

    >>> pages(812, 2000), pages(3, None)
    ('812 of 2,000 (40.6 %)', '3, total not known yet')
    """
    if planned is None:
        return f"{done:,}, {TOTAL_UNKNOWN}"
    return f"{done:,} of {planned:,} ({formatting.share(done, planned)})"


def lists(done: int, planned: int) -> str:
    """Write how many lists of the feed are done; empty where it has none.

    >>> lists(12, 200), lists(0, 0)
    ('12 of 200 lists', '')
    """
    return formatting.part(done, planned, "list") if planned else ""


def given_up(pages: int) -> str:
    """Write how many pages were given up.

    >>> given_up(1), given_up(1234)
    ('given up 1 page', 'given up 1,234 pages')
    """
    return f"given up {formatting.plural(pages, 'page')}"


def rows(figures: KeptFigures) -> str:
    """Write how many rows are staged, and how many records were rejected, if any."""
    rejects = f" · {figures.rejects:,} rejected" if figures.rejects else ""
    return f"{figures.rows_staged:,} staged{rejects}"


def counts(merged: MergeCounts) -> str:
    """Write what a merge did to cars; empty where it changed none."""
    done = {name: n for name, n in asdict(merged).items() if n and name != "seen"}
    return " · ".join(f"{n:,} {name}" for name, n in done.items())


def column_values(column: ColumnValues) -> list[str]:
    """Write how many values of a column could not be read, and how many cars have none any more.

    >>> column_values(ColumnValues("price", 2, "7", "'x' is not a number", 1, "8", "500"))
    ["2 unreadable values, car 7: 'x' is not a number", 'emptied in 1 car, car 8 had 500']
    """
    words = []
    if column.unread:
        values = formatting.plural(column.unread, "unreadable value")
        words.append(f"{values}, car {column.unread_id}: {column.unread_why}")
    if column.emptied:
        cars = formatting.plural(column.emptied, "car")
        words.append(f"emptied in {cars}, car {column.emptied_id} had {column.emptied_from}")
    return words


def approval(approval: Mapping[str, Any]) -> str:
    """Write who approved a run, when, and what became of the cars that it held.

    >>> approval({"at": "2026-11-29 03:42", "by": "ops", "deactivated": 1, "left_out": 2})
    '2026-11-29 03:42 by ops: 1 car deactivated, 2 left out'
    """
    gone, left_out = approval["deactivated"], approval["left_out"]
    words = f": {formatting.plural(gone, 'car')} deactivated, {left_out:,} left out"
    return f"{approval['at']} by {approval['by']}" + words * bool(gone or left_out)


def rates(pages_per_s: float, rows_per_s: float) -> str:
    """Write how fast pages and rows are staged.

    >>> rates(20.04, 2001.3)
    '20.0 pages/s · 2,001 rows/s'
    """
    return f"{formatting.rate(pages_per_s)} pages/s · {formatting.rate(rows_per_s)} rows/s"


def latency(taken: Latency | None) -> str:
    """Write mean and percentiles of answer times; a dash where none was measured.

    >>> latency(Latency(mean_s=0.41, p50_s=0.4, p95_s=0.512, p99_s=0.64))
    'mean 410 ms · p50 400 ms · p95 512 ms · p99 640 ms'
    """
    if taken is None:
        return "–"
    return " · ".join(
        f"{name.removesuffix('_s')} {formatting.latency(seconds)}"
        for name, seconds in asdict(taken).items()
    )


def traffic(figures: Figures, joint: str = ", ") -> str:
    """Write how much the API sent, compressed and unpacked."""
    received = f"{formatting.size(figures.wire_bytes)} received"
    return f"{received}{joint}{formatting.size(figures.body_bytes)} unpacked"


def errors(figures: KeptFigures, *, with_retries: bool = False) -> str:
    """Write the failed attempts by class and the breaker's openings, `with_retries` those too."""
    parts = [formatting.errors(figures.errors)]
    if with_retries and figures.retries:
        parts.append(f"{figures.retries:,} retried")
    if figures.breaker_openings:
        parts.append(f"breaker opened {formatting.plural(figures.breaker_openings, 'time')}")
    return " · ".join(parts)


def further(notes: Sequence[str], problem: str, detail: str) -> list[str]:
    """Return the notes that problem and detail do not say already.

    >>> further(["a total moved", "1 page is missing"], "cars are held", "a total moved; so be it")
    ['1 page is missing']
    """
    return [note for note in notes if note not in problem and note not in detail]


def slope(mb_per_min: float) -> str:
    """Write how fast the memory of all processes grows.

    >>> slope(0.4), slope(-12)
    ('+0.4 MB/min', '-12.0 MB/min')
    """
    return f"{mb_per_min:+.1f} MB/min"


def slowed(slowed: Slowed | None) -> str:
    """Say at which rate the API is asked since it refused requests; empty at the whole rate.

    >>> slowed(Slowed(by="HTTP 503", rate=4.91, lowest=2.5))
    'slowed to 4.91 requests/s (HTTP 503)'
    """
    if slowed is None or slowed.is_over:
        return ""
    return f"slowed to {slowed.rate:.3g} requests/s ({slowed.by})"


def progress(figures: Figures) -> str:
    """Write the figures on one line; what is not known yet is left out."""
    done, planned = figures.pages_done, figures.pages_planned
    of_planned = "" if planned is None else f"/{planned} ({formatting.share(done, planned)})"
    parts = [f"pages {done}{of_planned}"]
    if words := lists(figures.lists_done, figures.lists_planned):
        parts.append(words)
    parts.append(rates(figures.pages_per_s, figures.rows_per_s))
    if figures.latency_p95_s is not None:
        parts.append(f"p95 {formatting.latency(figures.latency_p95_s)}")
    parts += [f"queue {figures.queue_depth}", f"errors {formatting.errors(figures.errors)}"]
    if figures.pages_given_up:
        parts.append(given_up(figures.pages_given_up))
    if figures.pause:
        parts.append(f"paused ({_PAUSES[figures.pause]}) {formatting.duration(figures.paused_s)}")
    if words := slowed(figures.slowed):
        parts.append(words)
    if figures.eta_s is not None:
        parts.append(f"eta {formatting.duration(figures.eta_s)}")
    return " · ".join(parts)
