"""Delivery of a notice or a ping to a web hook: one POST, repeated for a while where that may help.

The hook's address is as secret as a key (whoever has it can post), so no error, log line
or traceback holds it. Nothing that the hook answers is followed or kept.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable

import requests
from msgspec import Struct

from carsync import __version__
from carsync.config.sections import Notify
from carsync.errors import ConfigError, NoticeError
from carsync.redaction import Secret
from carsync.source.connection_pool import (
    FOREIGN_ERRORS,
    PlainHttpError,
    open_session,
    root_cause,
    shut,
    words,
)
from carsync.source.deadline import TURN_S, in_time
from carsync.source.retry_after import MAX_RETRY_AFTER_S, parse_retry_after

BUDGET_S = 30.0
"""All attempts together may take this long, the waits between them included."""
BACK_OFF_S = 1.0
"""The first wait; each further one is doubled, and up to half as long again by chance."""

_GRACE_S = 0.5
_SAID_BYTES = 200
_ERROR_WORD = re.compile(r"[a-z]+(_[a-z]+)*")  # Slack's: no_service, invalid_payload, …
_TRANSIENT = {408, 425, 429}
_HEADERS = {
    "User-Agent": f"carsync/{__version__}",
    "Accept": "*/*",
    "Accept-Encoding": "identity",
    "Connection": "close",
}


class Hook(Struct, frozen=True):
    """Where to post, what, and how messages name it; `key` is its key of the configuration."""

    url: Secret
    key: str = "notify.url"
    name: str = "the web hook"
    content_type: str = "application/json"


def deliver(
    notify: Notify,
    body: bytes,
    should_end: Callable[[], bool] = lambda: False,
    *,
    hook: Hook | None = None,
    budget_s: float = BUDGET_S,
) -> None:
    """POST `body` to the hook (that of notices by default); return once it was taken (any 2xx).

    Failures that may pass (no connection, time-outs, 5xx, 429) are tried again while `attempts`
    and `budget_s` last; the call ends within moments once `should_end` says so.

    Raises `NoticeError`, without the address in it.
    """
    if hook is None:
        assert notify.url is not None
        hook = Hook(notify.url)
    deadline_s = time.monotonic() + budget_s
    for attempt in range(1, notify.attempts + 1):
        within_s = min(notify.timeout_s, deadline_s - time.monotonic())
        error = _attempt(notify, hook, body, within_s, should_end)
        if error is None:
            return
        wait_s = BACK_OFF_S * 2 ** (attempt - 1) * (1 + random.random() / 2)
        wait_s = max(wait_s, min(error.retry_after_s or 0.0, MAX_RETRY_AFTER_S))
        over = attempt == notify.attempts or time.monotonic() + wait_s >= deadline_s
        if over or not error.retryable or _is_cut_short(wait_s, should_end):
            raise error


def _is_cut_short(seconds: float, should_end: Callable[[], bool]) -> bool:
    """Wait; say at once when the end is asked for meanwhile."""
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        if should_end():
            return True
        time.sleep(TURN_S)
    return should_end()


def _attempt(
    notify: Notify, hook: Hook, body: bytes, within_s: float, should_end: Callable[[], bool]
) -> NoticeError | None:
    """Make one attempt, which neither a silent name server nor a host that drips prolongs."""
    deadline_s = time.monotonic() + within_s
    thread = 0

    def post() -> NoticeError | None:
        nonlocal thread
        thread = threading.get_ident()
        return _post(notify, hook, body, within_s)

    def turn() -> None:
        ends = should_end()
        if ends or time.monotonic() > deadline_s:
            shut(thread)
        if ends:
            raise NoticeError("a signal ended the sending of the notification")

    try:
        return in_time(post, within_s + _GRACE_S, name="notice", turn=turn)
    except NoticeError as error:
        return error
    except TimeoutError:
        return _timed_out(notify, hook)


def _post(notify: Notify, hook: Hook, body: bytes, within_s: float) -> NoticeError | None:
    """Send the request and judge the answer; never raises."""
    started_s = time.monotonic()
    proxy, ca_bundle = notify.proxy, notify.ca_bundle
    headers = {**_HEADERS, "Content-Type": hook.content_type}
    try:
        with (
            open_session(1, headers, proxy=proxy, ca_bundle=ca_bundle) as session,
            session.post(
                hook.url.reveal(),
                data=body,
                timeout=max(within_s, 0.1),
                stream=True,
                allow_redirects=False,
            ) as response,
        ):
            error = _judge(response, hook)
            # The connection was closed meanwhile, which may look like the end of an answer.
            late = time.monotonic() - started_s > within_s
            return _timed_out(notify, hook) if late else error
    except ConfigError as exc:
        return NoticeError(exc.problem, detail=exc.detail, hint=exc.hint)
    except Exception as exc:
        if time.monotonic() - started_s > within_s:
            return _timed_out(notify, hook)
        return _translate(exc, hook)


def _judge(response: requests.Response, hook: Hook) -> NoticeError | None:
    status = response.status_code
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return NoticeError(
            f"{hook.name} redirects (HTTP {status}); redirects are refused",
            hint=f"set {hook.key} to the address that it redirects to",
        )
    may_pass = status >= 500 or status in _TRANSIENT
    after, date = response.headers.get("Retry-After"), response.headers.get("Date")
    return NoticeError(
        f"{hook.name} answered HTTP {status}",
        detail=_said(response, hook.url.reveal()),
        hint="" if may_pass else f"check {hook.key} and notify.format",
        retryable=may_pass,
        retry_after_s=parse_retry_after(after, time.time(), date),
    )


def _said(response: requests.Response, url: str) -> str:
    """Return the hook's own word for the error (Slack's `no_service`); nothing else of it.

    Other texts, a proxy's page for example, may hold the address.
    """
    try:
        text = response.raw.read(_SAID_BYTES, decode_content=False).decode("ascii", "replace")
    except FOREIGN_ERRORS:
        return ""
    return text if _ERROR_WORD.fullmatch(text) and text not in url else ""


def _timed_out(notify: Notify, hook: Hook) -> NoticeError:
    return NoticeError(
        f"{hook.name} gave no answer within notify.timeout_s ({notify.timeout_s:g} s)",
        retryable=True,
    )


def _translate(exc: Exception, hook: Hook) -> NoticeError:
    """Turn what a request may raise into words that do not hold the address."""
    if isinstance(exc, requests.exceptions.Timeout):
        return NoticeError(f"{hook.name} gave no answer in time", retryable=True)
    cause = root_cause(exc)
    why = str(cause) if isinstance(cause, PlainHttpError) else words(cause)
    if isinstance(exc, requests.exceptions.SSLError) or isinstance(cause, PlainHttpError):
        return NoticeError(
            f"TLS with {hook.name} failed",
            detail=why,
            hint="check the certificate, or set notify.ca_bundle",
        )
    return NoticeError(
        f"{hook.name} cannot be reached",
        detail=why,
        hint=f"check {hook.key}, notify.proxy and the network",
        retryable=isinstance(exc, FOREIGN_ERRORS),
    )
