"""What an answer other than 200 means, in the kinds of failure and in the server's own words."""

from __future__ import annotations

import re
import time
from typing import Any
from urllib.parse import urlsplit

import msgspec
import requests

from carsync.errors import FailureKind, PageError
from carsync.redaction import redact
from carsync.source.compression import gunzip
from carsync.source.connection_pool import FOREIGN_ERRORS
from carsync.source.rate_headers import ToldLimit, spent_for_s
from carsync.source.retry_after import parse_retry_after

_DRAIN_BYTES = 64 * 1024
_SHORT_LENGTH = re.compile(r"[0-9]{1,5}")
_MOST_WORDS = 200
_SAYING = ("message", "detail", "error_description", "error", "title", "errors", "description")
_UNPRINTABLE = re.compile(r"[^ -~\u00a0-\uffff]+")


def check_status(
    response: requests.Response, limits: tuple[ToldLimit, ...], key: str, hint: str
) -> None:
    """Raise `PageError` with the verdict that the status deserves; 200 passes.

    `limits` are those that it tells. What the server says is quoted without the `key`; `hint` is
    what to do where it refuses that.
    """
    status = response.status_code
    if status == 200:
        return
    headers = response.headers
    told = headers.get("Retry-After")
    retry_after = parse_retry_after(told, time.time(), headers.get("Date"))
    if retry_after is None:
        retry_after = spent_for_s(limits)
    said = _read_words(response, key)
    detail = f'it says "{said}"' if said else ""
    asks_to_wait = status in {403, 503} and retry_after is not None
    if status in {420, 429} or asks_to_wait:
        raise PageError(
            FailureKind.RATE_LIMITED,
            f"the API asks to slow down (HTTP {status})",
            status=status,
            detail=detail,
            retry_after_s=retry_after,
        )
    if status in {401, 403}:
        raise PageError(
            FailureKind.AUTH,
            f"the API refused the key (HTTP {status})",
            status=status,
            detail=detail,
            hint=hint,
            named=_clean(headers.get("WWW-Authenticate", "").partition(" ")[0], key),
        )
    if 300 <= status < 400:
        raise _redirected(response, key)
    kinds = {408: FailureKind.TIMEOUT, 425: FailureKind.SERVER}
    kind = kinds.get(status, FailureKind.SERVER if status >= 500 else FailureKind.CLIENT)
    if status < 300:
        kind = FailureKind.BAD_PAGE
    raise PageError(kind, f"the API answered HTTP {status}", status=status, detail=detail)


def _redirected(response: requests.Response, key: str) -> PageError:
    asked, told = urlsplit(response.url or ""), urlsplit(response.headers.get("Location", ""))
    where = _clean(f"{told.scheme}://{told.netloc}{told.path}" if told.netloc else told.path, key)
    hint = "set api.base_url to the address that it redirects to"
    if told.netloc in {"", asked.netloc} and told.scheme in {"", asked.scheme}:
        hint = "set api.path (or api.record.path) to exactly the path that it redirects to"
    return PageError(
        FailureKind.CLIENT,
        f"the API redirects (HTTP {response.status_code}) to {where or 'nowhere'}; "
        "redirects are refused",
        status=response.status_code,
        hint=hint,
        named=where,
    )


def _read_words(response: requests.Response, key: str) -> str:
    """Return what a short body says, in at most 200 characters; the connection is kept by it."""
    length = response.headers.get("Content-Length", "")
    if not _SHORT_LENGTH.fullmatch(length) or int(length) > _DRAIN_BYTES:
        return ""
    try:
        body = response.raw.read(decode_content=False)
        if response.headers.get("Content-Encoding", "").strip().lower() in {"gzip", "x-gzip"}:
            body = gunzip(body, _DRAIN_BYTES)
    except (*FOREIGN_ERRORS, PageError):
        return ""
    try:
        found = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return "" if body.lstrip()[:1] == b"<" else _clean(body.decode("utf-8", "replace"), key)
    return _clean(_saying(found), key)


def _saying(found: Any) -> str:
    """Return the sentence of an error's body: a text, or the first one at a usual name."""
    if isinstance(found, str):
        return found
    if isinstance(found, list):
        return _saying(found[0]) if found else ""
    if isinstance(found, dict):
        named = (_saying(found[name]) for name in _SAYING if found.get(name))
        return next((said for said in named if said), "")
    return ""


def _clean(text: str, key: str) -> str:
    words = " ".join(_UNPRINTABLE.sub(" ", redact(text, key)).split())
    return words if len(words) <= _MOST_WORDS else f"{words[:_MOST_WORDS]}…"
