"""Retry-After, and times as servers write them (RFC 9110, sections 10.2.3 and 5.6.7; ISO 8601)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MAX_RETRY_AFTER_S = 300.0
"""The longest silence for one Retry-After; after a longer one the API is asked again by then."""

_MOST_S = 10 * 365 * 86400.0
"""A longer wait is none that anybody means: ten years."""

_MILLISECONDS_FROM = 1e11
"""A number from here on is an epoch time in milliseconds: in seconds it were the year 5138."""

_DELAY_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def parse_retry_after(
    value: str | None, now_epoch_s: float, sent: str | None = None
) -> float | None:
    """Return the seconds that a Retry-After header asks for, from 0 on.

    `sent` is the answer's Date header: the present by the server's clock, which also made
    a date in Retry-After. Without `sent`, `now_epoch_s` is the present: seconds since
    1970-01-01 00:00 UTC by our own clock, which may be wrong. Both forms of RFC 9110,
    section 10.2.3, are read, and fractions of a second, which some servers send. None for
    a header that is missing or unreadable.

    >>> parse_retry_after("120", 0.0)
    120.0
    >>> parse_retry_after("Thu, 01 Jan 1970 00:00:30 GMT", 10.0)
    20.0
    >>> parse_retry_after("Thu, 01 Jan 1970 00:00:30 GMT", 9e9, "Thu, 01 Jan 1970 00:00:00 GMT")
    30.0
    >>> parse_retry_after("soon", 0.0) is None
    True
    """
    if value is None:
        return None
    text = value.strip(" \t")
    if _DELAY_SECONDS.fullmatch(text):
        return min(float(text), _MOST_S)
    until_epoch_s = parse_date(text)
    if until_epoch_s is None:
        return None
    sent_epoch_s = parse_date(sent or "")
    now_epoch_s = now_epoch_s if sent_epoch_s is None else sent_epoch_s
    return min(max(until_epoch_s - now_epoch_s, 0.0), _MOST_S)


def parse_date(text: str) -> float | None:
    """Return an HTTP date (RFC 9110, section 5.6.7) as seconds since 1970, None if unreadable."""
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if date.tzinfo is None:  # asctime dates carry no zone and mean UTC
        date = date.replace(tzinfo=UTC)
    return date.timestamp()


def parse_iso_date(text: str) -> float | None:
    """Return an ISO 8601 time as seconds since 1970, None if unreadable; without a zone it is UTC.

    >>> parse_iso_date("2023-11-14T22:13:20Z"), parse_iso_date("soon")
    (1700000000.0, None)
    """
    try:
        date = datetime.fromisoformat(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def epoch_s(number: float) -> float:
    """Return a time that is written as a number in seconds since 1970; it may be milliseconds."""
    return number / 1000 if number >= _MILLISECONDS_FROM else number
