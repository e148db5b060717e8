"""The lines of `carsync changes` for people."""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec import Raw

from carsync.reporting.views.change_lines import render_change
from carsync.state.change_feed import Change, FeedCursor

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_line_says_what_became_what() -> None:
    before = Raw(b'{"price": 12000, "title": null, "data_hash": "a", "updated_at": "x"}')
    after = Raw(b'{"price": 11500.5, "title": "Kia", "data_hash": "b"}')
    place = FeedCursor(2, "9f3a77c0")
    change = Change(place, 7, "north", AT, "n-1", "updated", before, after)
    assert render_change(change) == (
        "2026-01-02 03:04:05 UTC  run 7  n-1  updated  price 12000 → 11500.5, title (empty) → Kia"
    )
    new = Change(place, 7, "north", AT, "n-1", "inserted", None, None)
    assert render_change(new) == "2026-01-02 03:04:05 UTC  run 7  n-1  inserted"
