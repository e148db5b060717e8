"""Guesses which field of a feed's records belongs into which column, by names and values."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from carsync import formatting
from carsync.mapping.choice import Choice
from carsync.mapping.discovery import is_writable
from carsync.mapping.fields import FieldPath, parse_path, walk

_DEPTH = 3
_SAMPLE = 100
_YEARS = range(2101)  # 0 is a placeholder of many feeds
_PLAIN = frozenset({"name", "title", "value", "label", "text", "amount", "km", "number", "url"})
"""Names of a value inside an object that has the right name: `brand.name`, `price.amount`."""

_NAMES: dict[str, tuple[str, str]] = {
    "id": ("id", "id uuid uid ref reference listingid carid vehicleid itemid stockid stocknumber "
           "stockno sku externalid code vin lotnumber lot linksselfhref self odataid url"),
    "make": ("text", "make manufacturer brand marque maker makename brandname"),
    "model": ("text", "model modelname modeltitle"),
    "year": ("integer", "year modelyear productionyear yearofmanufacture manufactureyear "
             "manufacturedyear builtyear registrationyear firstregistrationyear"),
    "price": ("numeric", "price askingprice listprice saleprice salesprice priceamount priceusd "
              "priceeur pricegbp cost amount"),
    "mileage": ("integer", "mileage mileagekm odometer odometerkm kilometers kilometres km "
                "kilometrage"),
    "title": ("text", "title headline fullname displayname"),
    "vin": ("text", "vin vinnumber chassis chassisnumber chassisno frameno"),
    "color": ("text", "color colour exteriorcolor exteriorcolour colorname paint"),
    "fuel": ("text", "fuel fueltype fuelname"),
    "transmission": ("text", "transmission gearbox transmissiontype gear gears"),
    "condition": ("text", "condition state grade"),
    "location": ("text", "location city region place country"),
    "lot_number": ("text", "lotnumber lot lotno"),
    "current_bid": ("numeric", "currentbid bid highestbid"),
    "buy_now_price": ("numeric", "buynowprice buynow buyoutprice"),
    "final_bid": ("numeric", "finalbid finalprice soldprice"),
    "sale_date": ("timestamptz", "saledate auctiondate auctionedat saleat soldat"),
    "image_url": ("text", "imageurl image thumbnail thumbnailurl photo photourl mainimage "
                  "coverimage images photos pictures"),
    "images": ("jsonb", "images photos pictures gallery imageurls"),
}  # fmt: skip
"""Column → its type, and the names that feeds give it, the likeliest first."""


class Guess(Struct, frozen=True):
    """A field guessed for `column`: dotted path, type, whether every record has it, an example."""

    column: str
    path: str
    type: str
    always: bool
    example: str


def guess_columns(records: Sequence[dict[str, Any]]) -> list[Guess]:
    """Guess the columns of a page's records, `id` first; columns without a likely field are absent.

    Only a field that every record has, each with another value, can be the `id`.

    >>> [g.path for g in guess_columns([{"ref": "a1", "brand": {"name": "Kia"}, "hp": 90}])]
    ['ref', 'brand.name']
    """
    sample = records[:_SAMPLE]
    fields: dict[str, list[Any]] = {}
    for record in sample:
        for path, value in _leaves(record, "", 0):
            fields.setdefault(path, []).append(value)
    guesses = []
    for column, (type_, names) in _NAMES.items():
        field = _best(column, type_, names.split(), fields, len(sample))
        if field is not None:
            values = fields[field]
            always = len(values) == len(sample) and "" not in values
            type_ = "text" if type_ == "id" else type_
            guesses.append(Guess(column, field, type_, always, example_of(values)))
    return guesses


def list_unused(records: Sequence[dict[str, Any]], paths: Iterable[str]) -> list[str]:
    """Return the fields of a page's records, by their first name, that none of the `paths` reads.

    A column that keeps the record itself reads all of them.

    >>> list_unused([{"ref": "a1", "hp": 90}], ["ref"])
    ['hp']
    """
    used = {parse_path(path)[0] if path else "" for path in paths}
    if "" in used:
        return []
    names = dict.fromkeys(name for record in records[:_SAMPLE] for name in record)
    return [name for name in names if is_writable(name) and name not in used]


def list_absent(records: Sequence[dict[str, Any]], paths: Iterable[str]) -> list[str]:
    """Return those of the `paths` that none of the records has; null is a value.

    >>> list_absent([{"price": None, "lots": [{"bid": 1}]}], ["price", "lots.0.bid", "lots.0.lot"])
    ['lots.0.lot']
    """
    sample = records[:_SAMPLE]
    return [path for path in paths if not any(_has(record, path) for record in sample)]


def _has(value: Any, path: str) -> bool:
    """Say whether a record has a path's field; of a choice from a list any item may have it."""
    *owners, name = parse_path(path) or ("",)
    for n, part in enumerate(owners):
        if isinstance(part, Choice) and isinstance(value, list):
            rest = (*owners[n + 1 :], name)
            return any(_is_there(item, rest) for item in value)
        value = walk(value, (part,))
    return not name or _is_there(value, (name,))


def _is_there(value: Any, path: FieldPath) -> bool:
    *owners, name = path
    owner = walk(value, tuple(owners))
    if isinstance(owner, list):
        return isinstance(name, Choice) or (name.isdecimal() and int(name) < len(owner))
    return isinstance(owner, dict) and name in owner


def _leaves(value: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    """Give path and value of all fields; of a list, itself and what its first item holds."""
    if isinstance(value, dict) and depth <= _DEPTH:
        for key, member in value.items():
            if is_writable(key):
                yield from _leaves(member, f"{path}.{key}".lstrip("."), depth + 1)
        return
    if value is not None:
        yield path, value
    if isinstance(value, list) and value and depth <= _DEPTH:
        yield from _leaves(value[0], f"{path}.0", depth + 1)


def _best(
    column: str, type_: str, names: list[str], fields: dict[str, list[Any]], records: int
) -> str | None:
    """Return the likeliest field for a column, of those whose name and values fit.

    Every value counts, since one that does not fit would reject its record. An empty text
    is a missing value.
    """
    fits = _FITS.get(column) or _FITS[type_]

    def is_likely(path: str) -> bool:
        given = [value for value in fields[path] if value != ""]
        identifies = len(fields[path]) == records == len(set(map(str, fields[path])))
        return bool(given) and all(map(fits, given)) and (column != "id" or identifies)

    ranks = {path: _rank(path, names) for path in fields}
    found = [(rank, path.count("."), path) for path, rank in ranks.items() if rank is not None]
    for _, _, path in sorted(found):
        if is_likely(path):
            return path
    others = [path for path in fields if column == "id" and "." not in path]
    return next((path for path in others if "" not in fields[path] and is_likely(path)), None)


def _rank(path: str, names: list[str]) -> int | None:
    """Return the place in `names` of the name that a field has; None where none fits."""
    steps = [re.sub(r"[^a-z0-9]", "", step.lower()) for step in path.split(".")]
    plain = [step for step in steps if not step.isdigit()]
    last = plain[-1] if plain else ""
    inner = last in _PLAIN or steps[-1].isdigit()
    owner = plain[-2] if last in _PLAIN and len(plain) > 1 else last
    whole = "".join(plain)
    for place, name in enumerate(names):
        if name == last and not (inner and len(plain) > 1 and owner != last):
            return place
        if name in {owner, whole}:
            return place
    return None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_scalar(value: Any) -> bool:
    return (_is_text(value) and len(value) <= 200) or value.__class__ is int


def _is_number(value: Any) -> bool:
    try:
        return value.__class__ in (int, float, str) and math.isfinite(float(value))
    except (ValueError, OverflowError):
        return False


def _is_integer(value: Any) -> bool:
    return _is_number(value) and float(value) == int(float(value)) and abs(float(value)) < 2**31


def _is_time(value: Any) -> bool:
    try:
        return isinstance(value, str) and len(value) >= 10 and bool(datetime.fromisoformat(value))
    except ValueError:
        return False


_FITS: dict[str, Callable[[Any], bool]] = {
    "id": _is_scalar,
    "text": lambda value: _is_text(value) or (_is_number(value) and not isinstance(value, str)),
    "integer": _is_integer,
    "year": lambda value: _is_integer(value) and int(float(value)) in _YEARS,
    "numeric": _is_number,
    "timestamptz": _is_time,
    "jsonb": lambda value: isinstance(value, list),
}


def example_of(values: Iterable[Any]) -> str:
    """Return the first value as a comment can hold it: one short line."""
    text = formatting.printable(" ".join(str(next(iter(values), "")).split()))
    return text if len(text) <= 30 else f"{text[:29]}…"
