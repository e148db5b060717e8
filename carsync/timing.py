"""The deadlines of a run, in one place: a test shortens them without knowing who keeps them.

    CARSYNC_TIMING='worker_boot_s=6,overdue_s=2'

Production leaves the variable unset; a run says when it is set. Child processes inherit it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from msgspec import Struct
from msgspec.structs import fields, replace

VARIABLE = "CARSYNC_TIMING"


class Timing(Struct, frozen=True):
    """Seconds, all of them on the monotonic clock; tuples hold one figure for each attempt."""

    worker_boot_s: float = 60.0
    """A worker process must report within this long that it works."""
    fetcher_silence_s: float = 20.0
    """A fetcher without a heartbeat for this long is taken for hanging."""
    writer_silence_s: float = 90.0
    """The same for a writer, which is silent inside one transaction."""
    overdue_s: float = 15.0
    """A thread this far past the end of its step hangs (so a stopped manager shows)."""
    no_workers_s: float = 120.0
    """A cluster without one worker that fits for this long has failed."""
    idle_s: float = 5.0
    """A cluster's worker keeps no connection to the database for a run that has had no lease for
    this long; the next lease opens another."""
    exit_code_s: float = 1.0
    """Wait this long for the exit code after a worker's pipe closed."""
    drain_s: float = 120.0
    """The workers may take this long to finish what they have in hand."""
    restart_back_off_s: tuple[float, ...] = (0.0, 1.0, 2.0, 5.0, 10.0)
    """Waits before the workers are started anew; as many restarts are allowed."""
    probe_patience_s: float = 120.0
    """Requests by id go on for this long without one usable answer."""
    api_silence_s: float = 1800.0
    """The API may ask to wait for this long, without giving a page in between."""

    first_ping_s: float = 2.0
    """The distance of the first two pings of the database; it doubles up to `ping_s`."""
    ping_s: float = 10.0
    ping_answer_s: float = 30.0
    """A ping must be answered within this long."""

    statement_silence_s: float = 60.0
    """A statement whose server says nothing for this long, and is not at work on it, has failed."""
    look_s: float = 15.0
    """After this long a second session looks at what a silent statement's server process does."""
    look_again_s: float = 5.0
    """The distance of further looks."""
    cancel_s: float = 10.0
    """A cancelled statement must end within this long."""

    outcome_s: float = 30.0
    """The outcome of a merge is asked for this long after its connection broke."""
    merge_back_off_s: tuple[float, ...] = (0.5, 2.0, 5.0)
    """Waits, up to twice as long by chance, before a merge that lost a conflict is repeated."""

    follow_outage_s: float = 600.0
    """`carsync changes --follow` waits this long for a database that is away."""


def current() -> Timing:
    """Return the deadlines that hold in this process."""
    return _current


@contextmanager
def shortened(**changes: Any) -> Iterator[None]:
    """Let other deadlines hold in this process until the block ends."""
    global _current
    before = _current
    _current = replace(before, **changes)
    try:
        yield
    finally:
        _current = before


def is_changed() -> bool:
    """Say whether other deadlines than production's hold."""
    return _current != Timing()


def parse(text: str) -> Timing:
    """Read the variable's text; raise `ValueError` for a name or a figure that is none.

    >>> parse("ping_s=0.5,merge_back_off_s=0.1:0.1").merge_back_off_s
    (0.1, 0.1)
    """
    known = {field.name: field.type for field in fields(Timing)}
    changes: dict[str, Any] = {}
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        if name not in known:
            raise ValueError(f"{VARIABLE}: {name!r} is no deadline")
        is_series = str(known[name]).startswith("tuple")
        figures = tuple(float(figure) for figure in value.split(":"))
        changes[name] = figures if is_series else figures[0]
    return Timing(**changes)


_current = parse(os.environ.get(VARIABLE, ""))
