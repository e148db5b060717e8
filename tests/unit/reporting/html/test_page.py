"""The report's page: complete whatever is known, alone in the world, and deaf to the feed."""

from __future__ import annotations

from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest
from msgspec.structs import replace

from carsync.deactivation.approval import HeldCar
from carsync.model import Check
from carsync.reporting.html import page, time_series
from carsync.reporting.html.data import Point, RejectExample, ReportData
from carsync.reporting.html.templates import read_template
from carsync.reporting.views.run_details import RunSession
from carsync.run.figures.metrics import Metrics
from carsync.state.changes import ChangedCar, ChangesKept, ChangeSummary, PriceMove, PriceMoves
from carsync.state.rejects import ReasonCount
from carsync.state.samples import FailedPage
from tests.support.snapshots import COST, snapshot

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HOSTILE = (
    """</title></style><script>alert(1)</script><img src=x onerror='a'>"&{{ 7 * 7 }}\u202e\x1b[2J"""
)


def data(**more: Any) -> ReportData:
    facts: dict[str, Any] = {
        "run_id": 17,
        "kind": "sync",
        "source": "external",
        "target": "public.cars",
        "state": "complete",
        "exit_code": 0,
        "outcome": "complete (exit 0)",
        "next_step": "nothing to do",
        "started_at": AT,
        "merged_at": AT,
        "finished_at": AT,
        "duration_s": 61.0,
        "version": "1.2.3",
        "hash_scheme": "xxh3_128:v1",
        "fingerprints": {"api": "3f9a", "mapping": "77b0"},
        "made_at": AT,
        "made_by": "1.2.3",
        **dict.fromkeys(("problem", "detail", "hint"), ""),
        **dict.fromkeys(("figures", "counts")),
        **dict.fromkeys(("notes", "related", "checks", "points", "sessions"), ()),
        **dict.fromkeys(("failed_pages", "reject_reasons", "reject_examples"), ()),
        "changes": ChangeSummary("not merged"),
        "errors": {},
        "failed_pages_total": 0,
    }
    return ReportData(**{**facts, **more})


def point(at_s: float, session: int = 1, **errors: int) -> Point:
    return Point(
        at_s=at_s,
        session=session,
        at=AT,
        phase="fetching",
        pages_done=1,
        pages_per_s=20.0,
        recent_rows_per_s=2000.0,
        recent_latency_p50_s=0.1,
        recent_latency_p95_s=0.2,
        queue_depth=3,
        rss_bytes=200_000_000,
        rss_by_kind={},
        errors=errors,
    )


def session(number: int, pages: int, **errors: int) -> RunSession:
    return RunSession(
        number=number,
        started_at=AT,
        seen_until=AT,
        worked_s=2.0,
        phase="ended",
        pages_done=pages,
        rows_staged=100 * pages,
        errors=errors,
        samples=2,
    )


def full(word: str = "Kia Rio") -> ReportData:
    """A report with something in every part, `word` wherever a text comes from outside."""
    car = ChangedCar(word, word, {word: word, "price": None}, {word: word, "price": "5"})
    return data(
        state="held",
        problem=word,
        detail=word,
        hint=word,
        notes=(word,),
        related=(word,),
        fingerprints={word: word},
        figures=Metrics(lambda: 0.0).snapshot(20, 5),
        counts={"inserted": 1, "updated": 1, "held": 12345, "rejected": 3},
        checks=(Check("duration", "≤ 25.0 min", "30.2 min", "fail"),),
        changes=ChangeSummary(
            "kept",
            {"inserted": 4321, "updated": 1},
            ((word, 1),),
            {"inserted": (car,), "updated": (car,)},
            (PriceMoves(word, (PriceMove(word, word, 100.0, 150.0),), ()),),
        ),
        points=(point(1.0), point(2.0, timeout=3), point(3.0, 2), point(4.0, 2, odd=1)),
        sessions=(session(1, 5, timeout=3), session(2, 9)),
        errors={"timeout": 3, word: 1},
        failed_pages=(FailedPage(7, 3, {word: 3}, 3, word, None, word, True, AT),),
        failed_pages_total=40,
        reject_reasons=(ReasonCount(word, word, 3),),
        reject_examples=(RejectExample(1, 2, word, word, word, word),),
    )


def shown_page(of: ReportData) -> str:
    return page.render(of, read_template("report.html"), read_template("report.css"))


class Reader(HTMLParser):
    """Collects what a browser would: elements with their attributes, and the text shown."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.shown = ""
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside != "style":
            self.shown += data


def shown(of: ReportData) -> str:
    return " ".join(Reader(shown_page(of)).shown.split())


def test_the_key_figures_tell_what_requests_have_cost() -> None:
    shown = page.tiles(data(figures=snapshot(**COST)))
    assert ("Cost", "845 requests", "814 pages, 30 by id, 1 token") in shown
    assert ("API tells", "50 left", "of 100, X-RateLimit") in shown
    assert [figure for name, figure, _ in shown if name == "Budget left"] == ["63"]


def test_words_from_outside_are_text_wherever_they_stand() -> None:
    html = shown_page(full(HOSTILE))
    reader = Reader(html)
    tags = {tag for tag, _ in reader.elements}
    assert not tags & {"script", "img", "iframe", "object", "link", "base", "form"}
    assert tags == {tag for tag, _ in Reader(shown_page(full())).elements}
    assert not [name for _, names in reader.elements for name in names if name.startswith("on")]
    assert "{{ 7 * 7 }}" in reader.shown
    assert reader.shown.count("<script>alert(1)</script>") > 20
    assert not set("\u202e\x1b") & set(html)


def test_the_page_needs_nothing_else() -> None:
    html = shown_page(full())
    reader = Reader(html)
    assert "url(" not in html
    assert "@import" not in html
    links = [
        value or ""
        for _, names in reader.elements
        for name, value in names.items()
        if name in {"src", "href", "xlink:href", "srcset", "action", "data"}
    ]
    assert links
    assert all(link.startswith("#") for link in links)
    ids = [names["id"] for _, names in reader.elements if names.get("id")]
    assert len(set(ids)) == len(ids)
    assert {link[1:] for link in links} <= set(ids)


def test_every_part_tells_what_is_known() -> None:
    text = shown(full())
    for told in (
        *("Run 17", "held", "external → public.cars", "complete (exit 0)", "nothing to do"),
        *(
            "12,345",
            "absent, left active",
            "New: 1 of 4,321",
            "100 → 150",
            "+50.0 %",
            "price: – → 5",
        ),
        *("timeout", "odd", "given up:", "39 more pages", "30.2 min", "≤ 25.0 min", "fail"),
        *(
            "page 1, record 2, id Kia Rio",
            "Sessions",
            "xxh3_128:v1",
            "resumed",
            "p50",
            "MB resident",
        ),
    ):
        assert told in text, told


def test_what_was_held_is_listed() -> None:
    cars = [HeldCar("7", "Kia K5"), HeldCar("8", None, "was written since")]
    html = shown_page(data(state="held", exit_code=6, held_cars=cars, held_total=3))
    text = " ".join(Reader(html).shown.split())
    assert "3 cars are held" in text
    assert "Kia K5 7" in text
    assert "8was written since" in text
    assert "and 1 more car:" in text
    whole = data(state="held", exit_code=6)
    assert "the whole run is held" in shown(whole)


def test_backticks_become_code_and_stay_nowhere() -> None:
    words = "run `carsync <sync>` again, a lone ` too"
    told = dict.fromkeys(("outcome", "next_step", "problem", "detail", "hint"), words)
    html = shown_page(
        data(
            **told,
            notes=(f"note: {words}",),
            failed_pages=(FailedPage(5, 1, {}, 1, "client_error", 400, words, True, AT),),
            reject_reasons=(ReasonCount("year", words, 1),),
            reject_examples=(RejectExample(1, 1, None, None, words, "{}"),),
            errors={"client_error": 1},
        )
    )
    assert "`" not in html
    assert html.count("<code>carsync &lt;sync&gt;</code>") == 8


def test_what_is_not_known_is_said() -> None:
    bare = data(
        state="running",
        exit_code=None,
        outcome="no end is recorded",
        merged_at=None,
        finished_at=None,
        duration_s=None,
    )
    text = shown(bare)
    for told in (
        *("no end is recorded", "The run recorded no figures.", "this run merged nothing"),
        *("No samples were kept", "No failed attempt is recorded.", "There are no checks"),
    ):
        assert told in text, told
    assert "<svg" not in shown_page(bare)


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        ("nothing", "no car had to be changed"),
        ("forgotten", "history.changes_keep_days"),
        ("not recorded", "were not recorded"),
    ],
)
def test_why_no_change_is_listed(kept: ChangesKept, told: str) -> None:
    merged = data(counts={"inserted": 5}, changes=ChangeSummary(kept))
    assert told in shown(merged)
    assert "New5inserted" in shown(merged)


def test_rejects_that_are_no_longer_open_are_not_called_none() -> None:
    text = shown(data(counts={"rejected": 3}))
    assert "None is kept. The run rejected 3 records" in text


@pytest.mark.parametrize(
    ("state", "exit_code", "tone"),
    [
        ("complete", 0, "good"),
        ("complete", 7, "warn"),
        ("complete", None, "good"),
        ("held", 6, "warn"),
        ("failed", 4, "bad"),
        ("running", None, "good"),
        ("abandoned", None, "plain"),
    ],
)
def test_the_outcome_has_a_tone(state: str, exit_code: int | None, tone: str) -> None:
    assert page.tone(data(state=state, exit_code=exit_code)) == tone


def test_no_error_no_chart_of_errors() -> None:
    assert time_series.errors([point(1.0), point(2.0)]) is None
    assert "Failed attempts" not in shown(replace(full(), points=(point(1.0),), errors={}))
