"""Secrets: a string that does not show itself, and texts freed of one that they quote."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from carsync.model import Reject, Row


class Secret(str):
    """A string that prints as `***`; `reveal()` gives the text."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def reveal(self) -> str:
        """Return the plain text."""
        return "".join(self)


_SHORTEST = 8
"""Fewer characters of a secret's beginning are taken for chance."""


def redact(text: str, secret: str) -> str:
    """Return `text` with `***` for the secret and for any longer beginning of it.

    >>> redact("'you sent hush-7f3a-91bc...' is no number", "hush-7f3a-91bc-5e1d")
    "'you sent ***...' is no number"
    """
    if not secret:
        return text
    forms = (secret, ascii(secret)[1:-1], json.dumps(secret)[1:-1])
    for form in forms:  # whole ones first: a beginning of one form may be all of another
        text = text.replace(form, "***")
    for form in forms:
        start = form[:_SHORTEST]
        if len(start) == _SHORTEST and start in text:
            text = _without_beginnings(text, form)
    return text


def _without_beginnings(text: str, secret: str) -> str:
    parts = text.split(secret[:_SHORTEST])
    kept = parts[:1]
    for part in parts[1:]:
        rest = secret[_SHORTEST:]
        same = 0
        while same < min(len(part), len(rest)) and part[same] == rest[same]:
            same += 1
        kept.append(part[same:])
    return "***".join(kept)


def redact_page(
    rows: tuple[Row, ...], rejects: tuple[Reject, ...], body: bytes, key: Secret
) -> tuple[tuple[Row, ...], tuple[Reject, ...]]:
    """Return the rows and rejects of an answer without the API's key, which it may quote.

    The values of rows are looked at only where the answer's `body` may hold the key: as it
    is, or with characters of ASCII escaped as `\\u00XX`. A reject's text is kept otherwise.
    """
    secret = key.reveal()
    rejects = tuple(_redact_reject(reject, secret) for reject in rejects)
    start = secret[:_SHORTEST].encode()
    if start in body or b"\\u00" in body:
        rows = tuple(tuple(_redact_value(value, secret) for value in row) for row in rows)
    return rows, rejects


def _redact_value(value: Any, secret: str) -> Any:
    return redact(value, secret) if value.__class__ is str else value


def _redact_reject(reject: Reject, secret: str) -> Reject:
    reason, original = redact(reject.reason, secret), redact(reject.original, secret)
    if (reason, original) == (reject.reason, reject.original):
        return reject
    return replace(reject, reason=reason, original=original, original_kind="altered")
