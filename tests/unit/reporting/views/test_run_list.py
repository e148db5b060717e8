"""The list of past runs: legible at 80 and 200 columns, whatever is known of them."""

from __future__ import annotations

import pytest

from carsync.reporting.views.run_list import render_list
from tests.support import snapshots
from tests.support.past_runs import a_past
from tests.support.snapshots import NOW

ESC = "\x1b"


RUNS = [
    a_past("running", run_id=1043, counts=None, finished_at=None, exit_code=None),
    a_past("held", report=snapshots.report(), run_id=1042, exit_code=6),
    a_past("interrupted", run_id=1041, counts=None, exit_code=143),
    a_past("abandoned", run_id=998, counts=None, exit_code=None),
    a_past("partial", run_id=997, replay_of=996),
]


@pytest.mark.parametrize("width", [80, 200])
def test_the_list_fits_and_every_number_is_under_its_name(width: int) -> None:
    text = render_list(RUNS, NOW, width)
    head, *lines = text.splitlines()
    assert len(lines) == len(RUNS)
    assert max(map(len, [head, *lines])) <= width
    for name, number in (("updated", "1,999"), ("gone", "40"), ("held", "0"), ("exit", "6")):
        end = head.index(name) + len(name)
        assert lines[1][:end].endswith(number), name
        assert lines[1][end : end + 1] in {"", " "}
    assert "running" in lines[0]
    assert "1m 43s" in lines[0]
    assert lines[3].split()[-1] == "–"
    assert "replay" in lines[4]
    assert ("pages/s" in head, "rejected" in head) == (width == 200,) * 2
    assert ("2026-01-02 03:03" in text) is (width == 200)
    assert "01-02 03:03" in text


def test_without_replays_the_list_has_room_for_what_was_seen_at_80_columns() -> None:
    head = render_list(RUNS[:4], NOW, 80).splitlines()[0]
    assert "seen" in head
    assert "kind" not in head


def test_colours_change_no_place() -> None:
    plain = str(render_list(RUNS, NOW, 80))
    colored = str(render_list(RUNS, NOW, 80, color=True))
    assert ESC not in plain
    for code in ("\x1b[32m", "\x1b[33m", "\x1b[1m", "\x1b[0m"):
        assert code in colored
        colored = colored.replace(code, "")
    assert colored == plain
