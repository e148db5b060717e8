"""Guesses about a feed that nobody described yet: where a page's records and totals are.

Names and values decide. The best sign of the total of pages: a whole number that equals
the total of records divided by the page's size.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

_DEPTH = 4
_PAGES = re.compile(
    r"(last|last_?page|total_?pages?|pages?_?(total|count)|(num|number_?of)_?pages|pages)",
    re.IGNORECASE,
)
_RECORDS = re.compile(
    r"(total(_?(records?|items?|count|results?|elements?|hits|rows|size|cars|listings|vehicles))?"
    r"|(records?|items?|results?|rows)_?(total|count)|count|found|hits)",
    re.IGNORECASE,
)
_SIZE = re.compile(r"(per_?page|page_?size|limit|size|page_?limit)", re.IGNORECASE)


class PageLayout(Struct, frozen=True):
    """Where things are in a page: dotted paths, None for what was not found.

    `count` is the number of records on this page. `pages` and `total` are the totals that
    the page reports, `size` is the page size that it states under the key `size_name`.
    """

    records: str
    count: int
    total_pages: str | None = None
    total_records: str | None = None
    pages: int | None = None
    total: int | None = None
    size_name: str | None = None
    size: int | None = None


def find_page(answer: Any) -> PageLayout | None:
    """Find the records (the longest list of objects) and the totals of a decoded page.

    None where there is no list of objects.

    >>> find_page({"items": [{"id": 1}], "pages": 7, "count": 7})
    PageLayout(records='items', count=1, total_pages='pages', total_records='count', pages=7, \
total=7, size_name=None, size=None)
    """
    lists = [(path, value) for path, value in _walk(answer, "", 0) if _is_record_list(value)]
    if not lists:
        return None
    path, records = max(lists, key=lambda found: (len(found[1]), -found[0].count(".")))
    numbers = {
        where: value
        for where, value in _walk(answer, "", 0)
        if value.__class__ is int and 0 <= value < 2**31
    }
    size_at = next((where for where in numbers if _named(_SIZE, where)), None)
    size = numbers[size_at] if size_at is not None else None
    pages_at, total_at = _totals(numbers, len(records), size)
    return PageLayout(
        path,
        len(records),
        pages_at,
        total_at,
        numbers.get(pages_at or ""),
        numbers.get(total_at or ""),
        size_at.rpartition(".")[2] if size_at is not None else None,
        size,
    )


def is_writable(key: str) -> bool:
    """Say whether a field's name can stand in a dotted path of a configuration file.

    `${` cannot be escaped and would name a variable, an API key perhaps.
    """
    return bool(key) and key.isprintable() and "." not in key and "${" not in key


def records_at(answer: Any, path: str) -> list[dict[str, Any]]:
    """Return the objects of the list at a dotted path that `find_page` gave."""
    for name in path.split(".") if path else ():
        answer = answer[name]
    return [record for record in answer if isinstance(record, dict)]


def _walk(value: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    """Give path and value of all that stands in objects; the items of lists are left out."""
    yield path, value
    if isinstance(value, dict) and depth < _DEPTH:
        for key, member in value.items():
            if is_writable(key):
                yield from _walk(member, f"{path}.{key}".lstrip("."), depth + 1)


def _is_record_list(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(item, dict) and item for item in value)


def _named(pattern: re.Pattern[str], path: str) -> bool:
    return pattern.fullmatch(path.rpartition(".")[2].replace("-", "_")) is not None


def _totals(numbers: dict[str, int], count: int, size: int | None) -> tuple[str | None, str | None]:
    """Choose the totals: first a pair that agrees, else each by its name alone."""
    pages = [path for path in numbers if _named(_PAGES, path)]
    records = [path for path in numbers if _named(_RECORDS, path) and numbers[path] >= count]
    for total_at in records:
        for pages_at in pages:
            for per_page in (size, count):
                if per_page and numbers[pages_at] == math.ceil(numbers[total_at] / per_page):
                    return pages_at, total_at
    # A count that is only this page's says nothing of the feed, unless there is but one page.
    few = [path for path in records if numbers[path] > count or not pages]
    larger = max(few, key=lambda path: numbers[path], default=None)
    if larger is not None and numbers[larger] == count and size is not None and count >= size:
        larger = None
    return (pages[0] if pages else None), larger
