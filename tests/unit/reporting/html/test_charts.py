"""Charts: ticks are round, nothing is lost in thinning, gaps stay gaps, words are escaped."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carsync.reporting.html import charts
from carsync.reporting.html.charts import Chart, Series


def chart(*series: Series, at: tuple[float, ...] = (), **more: object) -> Chart:
    moments = at or tuple(float(n) for n in range(len(series[0].values)))
    return Chart("k", "Title", "unit", moments, series, **more)  # type: ignore[arg-type]


def tree(svg: str) -> ElementTree.Element:
    """Read the drawing; anything that is not well formed raises."""
    return ElementTree.fromstring(svg)


def words(svg: str) -> list[str]:
    return [part.text or "" for part in tree(svg).iter("text")]


def routes(svg: str) -> list[str]:
    return re.findall(r'<path class="line[^"]*" d="([^"]*)"', svg)


@given(st.floats(1e-6, 1e15), st.booleans())
def test_ticks_are_few_round_even_and_reach_the_top(top: float, whole: bool) -> None:
    ticks = charts.number_ticks(top, whole=whole)
    assert ticks[0] == 0
    assert ticks[-1] >= top * (1 - 1e-9)
    assert 2 <= len(ticks) <= 5
    assert f"{ticks[1]:e}"[0] in "125"
    assert [tick / ticks[1] for tick in ticks] == pytest.approx(range(len(ticks)))
    assert not whole or all(tick == int(tick) for tick in ticks)


@given(st.floats(1, 1e8))
def test_moments_are_few_and_none_lies_beyond_the_end(end_s: float) -> None:
    ticks = charts.time_ticks(end_s)
    assert 1 <= len(ticks) <= 6
    assert ticks[-1] <= end_s
    written = [charts.clock(tick, end_s) for tick in ticks]
    assert len(set(written)) == len(written)
    assert max(map(len, written)) <= 8


def test_a_line_is_broken_where_nothing_was_measured_and_where_a_session_began() -> None:
    values = (1.0, 2.0, None, 3.0, 4.0, 5.0)
    assert len(routes(charts.line_chart(chart(Series("a", values))))) == 2
    broken = charts.line_chart(chart(Series("a", values), breaks_s=(4.0,)))
    assert len(routes(broken)) == 2  # 1-2, 4-5; 3 stands alone
    assert broken.count("<circle") == 1
    assert "resumed" in words(broken)


@pytest.mark.parametrize("values", [(7.0,), (0.0, 0.0), (None, None), ()])
def test_next_to_nothing_can_be_drawn(values: tuple[float | None, ...]) -> None:
    svg = charts.line_chart(chart(Series("a", values)))
    tree(svg)
    assert "nan" not in svg
    assert svg.count("<circle") == (1 if len(values) == 1 else 0)
    tree(charts.column_chart(chart(Series("a", values)), 1.0))


def test_names_of_lines_that_end_together_are_pushed_apart_within_the_drawing() -> None:
    series = [Series(f"p{n}", (0.0, 0.001 * n)) for n in range(4)]
    labels = re.findall(r'class="label s\d" [^>]*y="([\d.]+)"', charts.line_chart(chart(*series)))
    heights = sorted(map(float, labels))
    gaps = [b - a for a, b in pairwise(heights)]
    assert len(heights) == 4
    assert min(gaps) >= charts.LABEL_GAP_PX - 0.01
    assert heights[-1] <= charts.TOP_PX + charts.PLOT_PX + 4


def test_columns_stand_on_each_other_and_reach_their_sum() -> None:
    svg = charts.column_chart(chart(Series("a", (1.0,)), Series("b", (3.0,))), 1.0)
    rects = [
        tuple(float(rect.get(name, "")) for name in ("y", "height"))
        for rect in tree(svg).iter("rect")
    ]
    (a_y, a_height), (b_y, b_height) = rects
    assert a_y + a_height == pytest.approx(charts.PLOT_PX)
    assert b_y + b_height == pytest.approx(a_y)
    assert (b_height, b_y) == pytest.approx((3 * a_height, 0))


@given(
    st.lists(st.none() | st.floats(0, 1e6), min_size=1, max_size=300),
    st.integers(1, 50),
    st.lists(st.integers(1, 299), max_size=2),
)
def test_thinning_keeps_every_peak_and_mixes_no_sessions(
    values: list[float | None], most: int, breaks: list[int]
) -> None:
    whole = chart(Series("a", tuple(values)), breaks_s=tuple(float(b) for b in sorted(set(breaks))))
    few = charts.thinned(whole, most)
    known = [value for value in values if value is not None]
    kept = [value for value in few.series[0].values if value is not None]
    assert max(known, default=None) == max(kept, default=None)
    assert len(few.at_s) <= most + len(breaks)
    assert few.end_s == whole.end_s
    for at in breaks:
        if at < len(values) and len(few.at_s) < len(values):
            assert float(at) in few.at_s


def test_what_stands_in_a_name_is_text() -> None:
    svg = charts.line_chart(
        Chart(
            "k", "<b>", "</svg>", (0.0, 1.0), (Series("&<i>", (1.0, 2.0)), Series("b", (0.0, 1.0)))
        )
    )
    assert {part.tag for part in tree(svg).iter()} <= {
        *("svg", "title", "desc", "text", "line", "path"),
    }
    assert "&<i>" in words(svg)


def test_those_who_do_not_see_it_are_told_what_it_shows() -> None:
    svg = tree(charts.line_chart(chart(Series("p95", (1.0, 4.0, 2.0)))))
    assert svg.get("role") == "img"
    named = (svg.get("aria-labelledby") or "").split()
    assert named == [part.get("id") for part in svg if part.tag in {"title", "desc"}]
    assert "p95: from 1 to 2, lowest 1, highest 4" in (svg.findtext("desc") or "")
