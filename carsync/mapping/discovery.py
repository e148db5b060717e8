"""Guesses about a feed that nobody described yet: where a page's records and totals are.

Names and values decide. The best sign of the total of pages: a whole number that equals
the total of records divided by the page's size.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from carsync.mapping.fields import parse_path
from carsync.mapping.fields import walk as follow

HEADER = "header:"
_DEPTH = 4
_MOST = 2**31
_ODATA = "@odata."
_PAGES = re.compile(
    r"(last|last_?page|max_?pages?|total_?pages?|x_(wp_)?total_?pages|pages?_?(total|count)"
    r"|(num|number_?of)_?pages|pages)",
    re.IGNORECASE,
)
_RECORDS = re.compile(
    r"((x_|x_wp_)?total(_?(records?|items?|count|results?|elements?|entries|hits|rows|size|cars"
    r"|listings|vehicles))?|(records?|items?|results?|rows)_?(total|count)|count|found|hits"
    r"|num_?found|nb_?hits|match_?count|@odata.count)",
    re.IGNORECASE,
)
_SIZE = re.compile(r"(per_?page|page_?size|items_?per_?page|limit|size|page_?limit)", re.IGNORECASE)
_LISTS = re.compile(
    r"(data|items|results?|records|rows|content|value|hits|list|listings|cars|vehicles|lots|ads"
    r"|docs|offers|entries|objects|(search_?)results)",
    re.IGNORECASE,
)
_BESIDE = re.compile(
    r"(links?|included|facets?|filters?|errors?|warnings?|messages?|sorts?|columns|fields"
    r"|aggregations?|breadcrumbs?)",
    re.IGNORECASE,
)
"""Names of lists that stand beside the records, and may be longer."""


class PageLayout(Struct, frozen=True):
    """Where things are in a page: dotted paths, None for what was not found.

    `count` is the number of records on this page. `pages` and `total` are the totals that
    the page reports, `size` is the page size that it states under the key `size_name`. A path
    that begins with `header:` leads into a header.
    """

    records: str
    count: int
    total_pages: str | None = None
    total_records: str | None = None
    pages: int | None = None
    total: int | None = None
    size_name: str | None = None
    size: int | None = None


def find_page(
    answer: Any, headers: Mapping[str, str] | None = None, records: str | None = None
) -> PageLayout | None:
    """Find the records and the totals of a decoded page, and the totals in its headers.

    The records are the list of objects at the path `records` or, where it is None, the longest
    one, of those with a usual name if there are any. None where there is no list of objects.

    >>> find_page({"items": [{"id": 1}], "pages": 7, "count": 7})
    PageLayout(records='items', count=1, total_pages='pages', total_records='count', pages=7, \
total=7, size_name=None, size=None)
    """
    members = list(walk(answer))
    lists = {path: value for path, value in members if _is_record_list(value)}
    if records is not None:
        lists = {path: value for path, value in lists.items() if path == records}
    if not lists:
        return None
    place = max(lists, key=lambda path: _likelihood(path, lists[path]))
    count = len(lists[place])
    members += walk_headers(headers or {})
    numbers = {path: number for path, value in members if (number := _whole(path, value)) >= 0}
    size_at = next((path for path in numbers if _named(_SIZE, path)), None)
    size = numbers[size_at] if size_at is not None else None
    pages_at, total_at = _totals(numbers, count, size)
    return PageLayout(
        place,
        count,
        pages_at,
        total_at,
        numbers.get(pages_at or ""),
        numbers.get(total_at or ""),
        name_of(size_at) if size_at is not None else None,
        size,
    )


def list_feeds(body: bytes) -> list[str]:
    """Return the names of an API's feeds where an answer lists these; empty for any other.

    An OData service document, or an object of links alone, as Django REST Framework's root has.

    >>> list_feeds(b'{"cars": "https://x.test/cars/"}')
    ['cars (https://x.test/cars/)']
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return []
    if not isinstance(answer, dict):
        return []
    if str(answer.get("@odata.context", "")).endswith("$metadata"):
        sets = answer.get("value")
        return [str(each.get("url")) for each in sets if isinstance(each, dict)] if sets else []
    links = {n: v for n, v in answer.items() if isinstance(v, str) and v.startswith("http")}
    return [f"{name} ({link})" for name, link in links.items()] if links == answer else []


def is_writable(key: str) -> bool:
    """Say whether a field's name can stand in a dotted path of a configuration file.

    `${` cannot be escaped and would name a variable, an API key perhaps. OData's own names
    hold a dot.
    """
    plain = key.replace(_ODATA, "@")
    return bool(key) and key.isprintable() and not set(".[") & set(plain) and "${" not in key


def records_at(answer: Any, path: str) -> list[dict[str, Any]]:
    """Return the objects of the list at a dotted path that `find_page` gave."""
    found = follow(answer, parse_path(path))
    return [record for record in found if isinstance(record, dict)]


def name_of(path: str) -> str:
    """Return the last name of a path, of a header its whole name.

    >>> name_of("meta.total"), name_of("header:X-Total-Count")
    ('total', 'X-Total-Count')
    """
    return (parse_path(path.removeprefix(HEADER)) or ("",))[-1]


def walk(value: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Give path and value of all that stands in objects; the items of lists are left out."""
    yield path, value
    if isinstance(value, dict) and depth < _DEPTH:
        for key, member in value.items():
            if is_writable(key):
                yield from walk(member, f"{path}.{key}".lstrip("."), depth + 1)


def walk_headers(headers: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """Give place and value of the headers that are the API's own, and of what JSON they hold."""
    for name, text in headers.items():
        if "." in name or not (name.lower().startswith("x-") or name.lower() == "total-count"):
            continue
        yield HEADER + name, text
        try:
            held = json.loads(text) if text.startswith("{") else {}
        except ValueError:
            continue
        for key, value in held.items():
            if is_writable(key):
                yield f"{HEADER}{name}.{key}", value


def _is_record_list(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(item, dict) and item for item in value)


def _likelihood(path: str, found: list[Any]) -> tuple[bool, bool, int, int]:
    names = parse_path(path)
    beside = any(_BESIDE.fullmatch(name) for name in names)
    known = not names or _LISTS.fullmatch(names[-1]) is not None
    return not beside, known, len(found), -len(names)


def _whole(path: str, value: Any) -> int:
    """Return a number from 0 on, -1 for anything else; a header's digits count."""
    if isinstance(value, str) and path.startswith(HEADER) and value.isdecimal():
        value = int(value)
    return value if value.__class__ is int and 0 <= value < _MOST else -1


def _named(pattern: re.Pattern[str], path: str) -> bool:
    names = parse_path(path.removeprefix(HEADER))
    name = names[-1] if names else ""
    if name == "value" and len(names) > 1:  # {"total": {"value": 1200}}
        name = names[-2]
    return pattern.fullmatch(name.replace("-", "_")) is not None


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
