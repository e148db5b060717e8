"""Secrets: a string that does not show itself, and texts without a secret that they quoted."""

from __future__ import annotations

import json

from msgspec.structs import replace

from carsync.model import PageNotes, Reject


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
"""Fewer characters that begin like a secret are taken for chance."""


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


def redact_rejects(rejects: tuple[Reject, ...], key: Secret | None) -> tuple[Reject, ...]:
    """Return the rejects with `***` for the API's key, which a record may quote.

    Rows keep the key: a short one stands in prices and hashes by chance.
    """
    return rejects if key is None else tuple(_redact(reject, key.reveal()) for reject in rejects)


def redact_notes(notes: PageNotes, key: Secret | None) -> PageNotes:
    """Return the notes with `***` for the API's key in their examples."""
    if key is None or not notes.unread:
        return notes
    secret = key.reveal()
    unread = {n: replace(u, reason=redact(u.reason, secret)) for n, u in notes.unread.items()}
    return replace(notes, unread=unread)


def _redact(reject: Reject, secret: str) -> Reject:
    reason, original = redact(reject.reason, secret), redact(reject.original, secret)
    if (reason, original) == (reject.reason, reject.original):
        return reject
    return replace(reject, reason=reason, original=original, original_kind="altered")
