"""How views are laid out: nothing lost, nothing too wide."""

from __future__ import annotations

import re
from typing import get_args

import pytest
from msgspec.structs import fields

from carsync.formatting import display_line
from carsync.model import EndState, MergeCounts, RunState
from carsync.reporting.views.layout import (
    TONES,
    bar,
    column_width,
    counts_grid,
    side_by_side,
    title,
    wrap,
)
from tests.support.snapshots import COUNTS


def test_the_grid_holds_every_count_once() -> None:
    counts = MergeCounts(*range(1, 1 + len(fields(MergeCounts))))
    words = " ".join(counts_grid(counts)).split()
    shown = dict(zip(words[::2], map(int, words[1::2]), strict=True))
    assert shown == {
        f.name: getattr(counts, f.name) for f in fields(MergeCounts) if f.name != "deleted"
    }, "no run that reads the feed deletes"


def test_a_bar_is_full_only_where_all_is_done() -> None:
    assert bar(1_999_999, 2_000_000, 10) == "█" * 9 + "░"
    assert bar(5, 4, 4) == "████"
    assert bar(0, 0, 3) == "░░░"


@pytest.mark.parametrize("width", [30, 60, 80])
def test_a_grid_that_does_not_fit_stands_in_one_column(width: int) -> None:
    lines = counts_grid(COUNTS, width)
    assert len(lines) == (5 if width >= 58 else 10)
    assert max(map(len, lines)) <= width


def test_a_sentence_is_broken_below_its_own_beginning() -> None:
    assert wrap("next", "run `carsync sync` again", width=20) == [
        "next: run `carsync",
        "      sync` again",
    ]
    assert wrap("why", "") == ["why: "]


@pytest.mark.parametrize("state", [*TONES, None])
def test_a_title_ends_with_the_state_and_fills_its_width(state: RunState | None) -> None:
    plain = title("run 42", state, False, 40)
    assert plain.endswith(f" {state or 'no run yet'}")
    assert len(plain) == 40
    colored = display_line(title("run 42", state, True, 40))
    assert re.sub(r"\x1b\[\d+m", "", colored) == plain


def test_a_name_that_is_too_long_keeps_a_blank_before_the_state() -> None:
    assert title("x" * 50, "held", False, 40) == "x" * 50 + " held"


def test_blocks_stand_beside_each_other_whatever_their_heights() -> None:
    column = column_width(3, 62)
    lines = side_by_side([["one", "two", "three"], [], ["four"]], column)
    assert (column, lines) == (18, [f"{'one':<44}four", "two", "three"])
    assert max(map(len, side_by_side([["x" * column]] * 3, column))) == 62


def test_every_state_has_its_tone() -> None:
    assert set(TONES) == {"running", "merging", "abandoned", *get_args(EndState)}
