"""The choice how a run's progress is shown: JSON lines, a live view, or plain lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO

from carsync.reporting.live.json_log import EventLog
from carsync.reporting.live.live_progress import LiveProgress
from carsync.reporting.live.plain_progress import PlainProgress
from carsync.reporting.live.terminal import can_redraw
from carsync.run.listener import RunListener


def choose_progress(
    stream: TextIO, environ: Mapping[str, str], *, as_json: bool = False, plain: bool = False
) -> RunListener:
    """Return JSON lines if asked for, the live view where `stream` can redraw, else plain lines.

    `NO_COLOR` (no-color.org) leaves the live view without colours.
    """
    if as_json:
        return EventLog()
    if plain or not can_redraw(stream, environ):
        return PlainProgress()
    return LiveProgress(stream, no_color=bool(environ.get("NO_COLOR")))
