"""The ways in which a feed may lie of itself, each by a name: totals, ends, pages, values, by id.

A lie is one function; its docstring is what `carsync simulate --lie list` says of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from carsync.demo.asked import CarAsked, PageAsked, Said

SLOW_DOWN_EVERY = 4
"""Of so many requests a limiter without Retry-After refuses one."""

PageLie = Callable[[PageAsked], Said]
CarLie = Callable[[CarAsked], Said]
PAGE_LIES: dict[str, PageLie] = {}
CAR_LIES: dict[str, CarLie] = {}


def describe_lies() -> dict[str, str]:
    """Return each lie's name with its description."""
    return {name: lie.__doc__ or "" for name, lie in {**PAGE_LIES, **CAR_LIES}.items()}


def _of_pages(lie: PageLie) -> PageLie:
    PAGE_LIES[lie.__name__.removeprefix("_").replace("_", "-")] = lie
    return lie


def _by_id(lie: CarLie) -> CarLie:
    CAR_LIES[lie.__name__.removeprefix("_").replace("_", "-")] = lie
    return lie


# ── totals ───────────────────────────────────────────────────────────────────


@_of_pages
def _total_capped(asked: PageAsked) -> Said:
    """The totals grow no more from --lie-depth pages on; all pages are there."""
    most = asked.depth * asked.size
    capped = min(len(asked.listing), most)
    return asked.answer(total=capped, last_page=min(asked.last_page, asked.depth))


@_of_pages
def _total_of_page(asked: PageAsked) -> Said:
    """The total counts the page's records only, and there is no last page."""
    return asked.answer(total=len(asked.records), last_page=None)


@_of_pages
def _total_too_high(asked: PageAsked) -> Said:
    """The total is one car too high, the last page too where it follows from the total."""
    total = len(asked.listing) + 1
    return asked.answer(total=total, last_page=-(-total // asked.size))


@_of_pages
def _total_too_low(asked: PageAsked) -> Said:
    """The total is one car too low, the last page too where it follows from the total."""
    total = max(0, len(asked.listing) - 1)
    return asked.answer(total=total, last_page=max(1, -(-total // asked.size)))


@_of_pages
def _total_moves(asked: PageAsked) -> Said:
    """The total is another one in each answer, up to two cars off."""
    off = (0, 1, -1, 2, -2)[asked.number % 5]
    return asked.answer(total=max(0, len(asked.listing) + off))


@_of_pages
def _total_zero(asked: PageAsked) -> Said:
    """The totals are 0 for ever."""
    return asked.answer(total=0, last_page=0)


@_of_pages
def _totals_gone(asked: PageAsked) -> Said:
    """No answer holds any total."""
    return replace(asked, totals=False).answer()


@_of_pages
def _last_page_from_0(asked: PageAsked) -> Said:
    """The last page is counted from 0, the pages from 1; there is no total."""
    return asked.answer(last_page=asked.last_page - 1, total=None)


# ── pages and ends ───────────────────────────────────────────────────────────


@_of_pages
def _pages_from_0(asked: PageAsked) -> Said:
    """The first page is page 0."""
    return replace(asked, page=asked.page + 1).answer()


@_of_pages
def _depth_capped(asked: PageAsked) -> Said:
    """Pages behind --lie-depth are empty, whatever the totals say."""
    return asked.answer([] if asked.page > asked.depth else None)


@_of_pages
def _feed_cut(asked: PageAsked) -> Said:
    """The feed ends after --lie-depth pages, and the totals say so too."""
    total = min(len(asked.listing), asked.depth * asked.size)
    shown = asked.records if asked.page <= asked.depth else []
    return asked.answer(shown, total=total, last_page=min(asked.last_page, asked.depth))


@_of_pages
def _feed_empty(asked: PageAsked) -> Said:
    """The feed lists no car, and its total is 0."""
    return asked.answer([], total=0, last_page=1)


@_of_pages
def _page_empty(asked: PageAsked) -> Said:
    """Page --lie-depth is empty; all others are as they should be."""
    return asked.answer([] if asked.page == asked.depth else None)


@_of_pages
def _page_halved(asked: PageAsked) -> Said:
    """Page --lie-depth lists the first half of its cars only."""
    half = asked.records[: len(asked.records) // 2]
    return asked.answer(half if asked.page == asked.depth else None)


@_of_pages
def _page_size_clamped(asked: PageAsked) -> Said:
    """Pages hold half of what was asked for; there is a total and no last page."""
    return replace(asked, size=max(1, asked.size // 2)).answer(last_page=None)


@_of_pages
def _page_size_clamped_unsaid(asked: PageAsked) -> Said:
    """Pages hold half of what was asked for; the last page is worked out by the size asked for."""
    return replace(asked, size=max(1, asked.size // 2)).answer(last_page=asked.last_page)


@_of_pages
def _same_page(asked: PageAsked) -> Said:
    """Every page is the first one."""
    return replace(asked, page=1).answer()


@_of_pages
def _last_page_repeated(asked: PageAsked) -> Said:
    """Every page behind the last one is the last one again."""
    return replace(asked, page=min(asked.page, asked.last_page)).answer()


@_of_pages
def _all_at_once(asked: PageAsked) -> Said:
    """Every page lists all cars, whatever its number and size."""
    return asked.answer(asked.listing.records(0, len(asked.listing)))


@_of_pages
def _car_twice(asked: PageAsked) -> Said:
    """The first car is listed again behind the last one, and the total counts it twice."""
    first = asked.listing.records(0, 1)
    total = len(asked.listing) + len(first)
    shown = asked.records + first * (asked.page == -(-total // asked.size))
    return asked.answer(shown, total=total, last_page=-(-total // asked.size))


@_of_pages
def _car_hidden(asked: PageAsked) -> Said:
    """The last car's place is taken by the first one, which is listed twice."""
    shown = asked.records
    if asked.page == asked.last_page:
        shown = shown[:-1] + asked.listing.records(0, 1)
    return asked.answer(shown)


def _end(name: str, said: Said, words: str) -> None:
    def lie(asked: PageAsked) -> Said:
        return said if asked.page > asked.last_page else asked.answer()

    lie.__name__, lie.__doc__ = name, f"A page behind the last one is answered {words}."
    _of_pages(lie)


for _status in (400, 404, 416, 422):
    _end(f"end_{_status}", Said(_status, {"message": "page out of range"}), str(_status))
_end("end_204", Said(204, has_body=False), "204 without a body")
_end("end_null", Said(body=None), "200 with null")
_end("end_null_records", Said(body={"data": None}), "200 with null in the place of the records")
_end("end_error", Said(body={"error": "no such page"}), "200 with an error object")


# ── refusals ─────────────────────────────────────────────────────────────────


@_of_pages
def _quota_gone(asked: PageAsked) -> Said:
    """Pages behind --lie-depth are answered 429 with Retry-After: 86500."""
    gone = Said(429, {"message": "monthly quota exceeded"}, retry_after_s=86_500)
    return gone if asked.page > asked.depth else asked.answer()


def _slow_down(status: int) -> None:
    def lie(asked: PageAsked) -> Said:
        refused = asked.number % SLOW_DOWN_EVERY == 0
        return Said(status, {"message": "slow down"}) if refused else asked.answer()

    lie.__name__ = f"slow_down_{status}"
    lie.__doc__ = f"Each {SLOW_DOWN_EVERY}th page is answered {status} without Retry-After."
    _of_pages(lie)


for _status in (403, 420, 503):
    _slow_down(_status)


# ── values ───────────────────────────────────────────────────────────────────


def _changed(value: Any, change: Callable[[str, Any], tuple[str, Any]]) -> Any:
    """Return a record with its fields changed, ids and what lies in lists of texts aside."""
    match value:
        case dict():
            pairs = ((name, _changed(inner, change)) for name, inner in value.items())
            return dict(pair if pair[0] == "id" else change(*pair) for pair in pairs)
        case list():
            return [_changed(inner, change) for inner in value]
    return value


@_of_pages
def _values_renamed(asked: PageAsked) -> Said:
    """Every field has another name, but for the ids."""
    renamed = [_changed(r, lambda name, value: (name.title(), value)) for r in asked.records]
    return asked.answer(renamed)


@_of_pages
def _values_wrapped(asked: PageAsked) -> Said:
    """Every number is an object, {"value": 1000}, but for the ids."""

    def wrap(name: str, value: Any) -> tuple[str, Any]:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return name, {"value": value} if is_number else value

    return asked.answer([_changed(record, wrap) for record in asked.records])


@_of_pages
def _ids_prefixed(asked: PageAsked) -> Said:
    """Every id has another form, car-7 instead of 7; by id only the old form is known."""
    return asked.answer([{**record, "id": f"car-{record['id']}"} for record in asked.records])


# ── by id ────────────────────────────────────────────────────────────────────


@_by_id
def _by_id_404(asked: CarAsked) -> Said:
    """Every id is answered 404."""
    return Said(404, {"message": "no such path"})


@_by_id
def _by_id_200(asked: CarAsked) -> Said:
    """Every id is answered 200 with a car of this id."""
    return asked.like_a_listed()


@_by_id
def _by_id_archived(asked: CarAsked) -> Said:
    """A car that is sold is answered 200 with archived: true."""
    if len(asked.record_id) > 15:
        return asked.answer()  # nobody ever sold that one
    return asked.like_a_listed(archived=asked.listing.record(asked.record_id) is None)


@_by_id
def _by_id_null(asked: CarAsked) -> Said:
    """A car that is not listed is answered 200 with {"data": null}."""
    return asked.answer(Said(body={"data": None}))


@_by_id
def _by_id_error(asked: CarAsked) -> Said:
    """A car that is not listed is answered 200 with an error object."""
    return asked.answer(Said(body={"error": "unknown car"}))


@_by_id
def _by_id_204(asked: CarAsked) -> Said:
    """A car that is not listed is answered 204 without a body."""
    return asked.answer(Said(204, has_body=False))


@_by_id
def _by_id_other(asked: CarAsked) -> Said:
    """Every id is answered 200 with the first car of the feed."""
    return Said(body={"data": next(iter(asked.listing.records(0, 1)), None)})
