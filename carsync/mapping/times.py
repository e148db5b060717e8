"""Times: however a feed writes them → ISO 8601 in UTC."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from carsync.config.mapping_sections import ColumnRule
from carsync.mapping.javascript import WHITESPACE, js_number, read_whole

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {"epoch_s": timedelta(seconds=1), "epoch_ms": timedelta(milliseconds=1)}
_SOME_TIME = datetime(2024, 11, 28, 17, 45, 56, 123456, tzinfo=UTC)

UNREADABLE = (ValueError, OverflowError, TypeError)
Parse = Callable[[Any], datetime | None]
"""Reads a text or a number as a time; None where nothing is written, else one of `UNREADABLE`."""


def find_zone(rule: ColumnRule) -> tzinfo:
    """Return the zone of a rule's times without an offset, UTC by default; raise `ValueError`."""
    if rule.zone is None:
        return UTC
    try:
        return ZoneInfo(rule.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"there is no zone {rule.zone!r} in the IANA database") from None


def compile_parse(rule: ColumnRule) -> Parse:
    """Return what reads the times of a rule; raise `ValueError` for a format that nothing fits.

    A time without an offset is of the rule's zone. One that the change to summer time leaves
    out is later by the gap; one that the change back repeats is the first of the two (PEP 495,
    fold 0).

    >>> parse = compile_parse(ColumnRule(format="%d.%m.%Y %H:%M", zone="Europe/Berlin"))
    >>> for text in ("31.03.2024 02:30", "27.10.2024 02:30"):
    ...     print(parse(text).astimezone(UTC))
    2024-03-31 01:30:00+00:00
    2024-10-27 00:30:00+00:00
    """
    read, zone = _reader(rule), find_zone(rule)

    def parse(value: Any) -> datetime | None:
        moment = read(value)
        is_naive = moment is not None and moment.tzinfo is None
        return moment.replace(tzinfo=zone) if moment and is_naive else moment

    return parse


def is_naive(rule: ColumnRule, value: Any) -> bool:
    """Say whether a value is a time without an offset, which the rule's zone places.

    >>> is_naive(ColumnRule(), "2024-05-01 12:00"), is_naive(ColumnRule(), "2024-05-01T12:00Z")
    (True, False)
    """
    try:
        moment = _reader(rule)(value)
    except UNREADABLE:
        return False
    return moment is not None and moment.tzinfo is None


def _reader(rule: ColumnRule) -> Parse:
    """Return what reads times as they are written, without a zone where they have no offset."""
    if rule.format in _UNITS:
        unit = _UNITS[rule.format]
        return lambda value: _since_epoch(value, unit)
    read = datetime.fromisoformat if rule.format is None else _format_reader(rule.format)

    def parse(value: Any) -> datetime | None:
        if value.__class__ in (int, float) and rule.format is not None:
            value = js_number(value)  # 20180813205535
        if value.__class__ is not str:
            raise TypeError
        text = value.strip(WHITESPACE)
        return read(text) if text else None

    return parse


def _since_epoch(value: Any, unit: timedelta) -> datetime | None:
    if value.__class__ is str:
        if not value.strip(WHITESPACE):
            return None
        value = int(value) if value.strip(WHITESPACE).isdecimal() else read_whole(value)
    if value.__class__ not in (int, float):
        raise TypeError
    return _EPOCH + value * unit


def _format_reader(format_: str) -> Callable[[str], datetime]:
    try:
        datetime.strptime(_SOME_TIME.strftime(format_), format_)
    except (ValueError, re.error) as exc:  # "%Y %Y" names a group of strptime's twice
        raise ValueError(str(exc)) from None
    if not any(sign in format_ for sign in ("%Y", "%y", "%G", "%c", "%x")):
        raise ValueError("it has no year, as %Y")
    if "%Z" in format_:
        raise ValueError("%Z reads no offset: use %z, or the letters themselves and zone")
    return lambda text: datetime.strptime(text, format_)
