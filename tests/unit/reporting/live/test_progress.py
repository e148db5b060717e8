"""Who shows the progress of a run: the live view only on a terminal that can redraw."""

from __future__ import annotations

import io

import pytest

from carsync.reporting.live.json_log import EventLog
from carsync.reporting.live.live_progress import LiveProgress
from carsync.reporting.live.plain_progress import PlainProgress
from carsync.reporting.live.progress import choose_progress
from tests.support import snapshots
from tests.support.terminal import Terminal


@pytest.mark.parametrize(
    ("stream", "environ", "expected"),
    [
        (Terminal(), {"TERM": "xterm-256color"}, LiveProgress),
        (Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}, LiveProgress),
        (Terminal(), {"TERM": "dumb"}, PlainProgress),
        (Terminal(), {}, PlainProgress),
        (io.StringIO(), {"TERM": "xterm"}, PlainProgress),
        (Terminal(), {"TERM": "xterm", "CI": "true"}, PlainProgress),
        (Terminal(), {"TERM": "xterm", "CI": "false"}, LiveProgress),
    ],
)
def test_only_a_terminal_that_can_redraw_gets_the_view(
    stream: io.StringIO, environ: dict[str, str], expected: type
) -> None:
    assert type(choose_progress(stream, environ)) is expected


def test_plain_lines_may_be_asked_for_on_a_terminal() -> None:
    assert type(choose_progress(Terminal(), {"TERM": "xterm"}, plain=True)) is PlainProgress


def test_json_lines_are_asked_for_and_never_drawn_over() -> None:
    assert type(choose_progress(Terminal(), {"TERM": "xterm"}, as_json=True)) is EventLog


def test_no_color_leaves_no_colour_in_the_view(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Terminal()
    with choose_progress(stream, {"TERM": "xterm-256color", "NO_COLOR": "1"}) as progress:
        progress.update(snapshots.snapshot(pages_given_up=1), "fetching")
    assert "fetching" in stream.getvalue()
    assert "\x1b[32m" not in stream.getvalue()
    assert "\x1b[31m" not in stream.getvalue()
