"""Sold, says the 200: what in a record's own fields tells that its car is gone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from carsync.errors import PageError
from carsync.mapping.fields import parse_path, walk
from carsync.mapping.mapper import Mapper

_SIGN = re.compile(
    r"(is_|was_)?(archived|sold|deleted|removed|expired|ended|withdrawn|unavailable|inactive)"
    r"(_at|_on|_date)?",
    re.IGNORECASE,
)
_STATE = re.compile(r"(sale_|listing_)?(status|state)", re.IGNORECASE)
_GONE = re.compile(r"sold|archived|deleted|removed|expired|ended|withdrawn|inactive", re.IGNORECASE)
_LIVE = re.compile(r"(is_)?(active|available|live|published|listed)", re.IGNORECASE)
_ERROR = re.compile(r"\.(errors?(\.0)?(\.(code|type|message|title|detail))?|code|message)")
_DEPTH = 4


class GoneRule:
    """The rule `api.record.gone_when`: a record is gone where one of its entries holds.

    An entry names a mapped column, or a field by `.` and its dotted path, and gives the value,
    or the values, that mean gone.
    """

    def __init__(self, entries: Mapping[str, Any], mapper: Mapper) -> None:
        self._mapper = mapper
        self._fields = {parse_path(n[1:]): v for n, v in entries.items() if n.startswith(".")}
        self._columns = {n: v for n, v in entries.items() if not n.startswith(".")}

    def matches(self, record: bytes) -> bool:
        """Say whether the JSON text of a record says that its car is gone."""
        if self._fields:
            found = msgspec.json.decode(record)
            if any(_is_one_of(walk(found, p), v) for p, v in self._fields.items()):
                return True
        values = self._row(record) if self._columns else {}
        return any(n in values and _is_one_of(values[n], v) for n, v in self._columns.items())

    def _row(self, record: bytes) -> dict[str, Any]:
        try:
            rows = self._mapper.map_record(record).rows
        except PageError:
            return {}
        names = [column.name for column in self._mapper.columns]
        return dict(zip(names, rows[0][1:], strict=True)) if rows else {}


def find_signs(record: bytes) -> list[str]:
    """Return fields, as `gone_when` names them, that look as if the car were gone.

    >>> find_signs(b'{"id": 7, "lots": [{"archived": true}], "status": "sold", "sold_at": null}')
    ['.lots.0.archived: true', '.status: sold']
    """
    return [
        f"{place}: {str(value).lower() if isinstance(value, bool) else value}"
        for place, value in _leaves(msgspec.json.decode(record), "", _DEPTH)
        if _is_sign(place.rpartition(".")[2], value)
    ]


def find_error(body: bytes, record_id: str) -> str:
    """Return the field of an error object that tells what is wrong, as `gone_when` names it.

    Empty where there is none, or where it names the record itself, so that no rule can.

    >>> find_error(b'{"error": {"message": "no car 7", "code": "no_such_car"}}', "7")
    '.error.code: "no_such_car"'
    """
    leaves = _leaves(msgspec.json.decode(body), "", _DEPTH)
    found = (leaf for leaf in leaves if _is_error(*leaf, record_id))
    return next((f"{place}: {json.dumps(v, ensure_ascii=False)}" for place, v in found), "")


def _is_error(place: str, value: Any, record_id: str) -> bool:
    if not _ERROR.fullmatch(place) or value.__class__ not in {str, int}:
        return False
    is_plain = str(value).isprintable() and "${" not in str(value)
    return is_plain and not re.search(rf"\b{re.escape(record_id)}\b", str(value))


def _leaves(value: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    """Give place and value of all that is no object; a list is known by its first item."""
    members: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        members = value.items()
    elif isinstance(value, list):
        members = enumerate(value[:1])
    for name, member in members:
        place = f"{path}.{name}"
        if not isinstance(member, dict | list):
            yield place, member
        elif depth > 1:
            yield from _leaves(member, place, depth - 1)


def _is_sign(name: str, value: Any) -> bool:
    if _SIGN.fullmatch(name):
        return value is True
    if _LIVE.fullmatch(name):
        return value is False
    return bool(_STATE.fullmatch(name) and isinstance(value, str) and _GONE.fullmatch(value))


def _is_one_of(value: Any, wanted: Any) -> bool:
    choices: Sequence[Any] = wanted if isinstance(wanted, list) else [wanted]
    return any(
        isinstance(value, bool) is isinstance(c, bool) and str(value) == str(c) for c in choices
    )
