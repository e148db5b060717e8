"""HTTP: the one place that imports requests and urllib3 and translates their errors.

One `ApiClient` a process: a pooled keep-alive session, gzip, no environment (`trust_env`
is off), a total deadline and a size cap per answer. It follows nothing that an answer names,
no redirect and no cookie, so the key reaches the configured origin and nobody else.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from urllib.parse import parse_qsl, urlencode, urlsplit

import requests
import urllib3
from msgspec import Struct

from carsync import __version__
from carsync.config.api_sections import Api, Record
from carsync.errors import FailureKind, PageError
from carsync.model import ProbeVerdict
from carsync.source.auth.base import TokenAccess, load_authenticator
from carsync.source.auth.token_store import Token, TokenStore
from carsync.source.certificates import ClientCertificate
from carsync.source.compression import gunzip, to_utf8, too_large
from carsync.source.connection_pool import (
    FOREIGN_ERRORS,
    PlainHttpError,
    active,
    open_session,
    root_cause,
    shut,
    words,
)
from carsync.source.pagination.lists import FeedLists
from carsync.source.rate_headers import ToldLimit, read_limits
from carsync.source.refusals import check_status
from carsync.source.request import Answer, ApiRequest, Parameter

_CHUNK_BYTES = 64 * 1024


class RecordAnswer(Struct, frozen=True):
    """What an answer by id proves, with the `body` of a 200.

    `reason` says what the answer was where it was no 200; `rule` is the line of `api.record` by
    which it would mean that the car is gone.
    """

    verdict: ProbeVerdict
    body: bytes = b""
    reason: str = ""
    rule: str = ""


class ApiClient:
    """Asks the API for pages and single records; one for all threads of a process.

    `connections` is the number of threads that will use it. Its `lists` make the requests of
    pages, its `authenticator` says when one may be sent. `tokens` holds the token of the run
    (None: the client has one of its own), `tell_token` hears each one that it gets.
    """

    def __init__(
        self,
        api: Api,
        *,
        connections: int,
        tokens: TokenStore | None = None,
        tell_token: Callable[[Token], None] = lambda _: None,
    ) -> None:
        assert api.base_url is not None
        self.lists = FeedLists(api)
        store = TokenStore(time.monotonic) if tokens is None else tokens
        self.authenticator = load_authenticator(api, TokenAccess(self, store, tell_token))
        self._api = api
        self._key = api.auth.key.reveal() if api.auth.key else ""
        self._timeout = (api.timeout.connect_s, api.timeout.read_s)
        headers = {
            "User-Agent": f"carsync/{__version__}",
            "Accept": "application/json, */*;q=0.5",  # JSON:API servers have a type of their own
            "Accept-Encoding": "gzip",
            "Connection": "keep-alive",
        }
        self._session = open_session(
            connections,
            headers,
            proxy=api.proxy,
            ca_bundle=api.ca_bundle,
            client_cert=ClientCertificate.of(api),
        )
        self._template = self._session.prepare_request(requests.Request("GET", api.base_url))
        self._base_url = (self._template.url or "").rstrip("/")
        self._origin = urlsplit(self._base_url)[:2]
        self._deadlines: dict[int, float] = {}
        self._limits_told: dict[int, tuple[ToldLimit, ...]] = {}

    def get_page(self, page: int, token: str | None = None) -> Answer:
        """Fetch one page of the feed; raise `PageError` for anything but a complete 200."""
        feed_list, number = self.lists.locate(page)
        return self._get(feed_list.request(number, token))

    def send(self, request: ApiRequest) -> Answer:
        """Send a request to the API as it is; raise `PageError` for anything but a complete 200."""
        return self._exchange(partial(self._prepare, request))

    def exchange(self, prepared: requests.PreparedRequest) -> Answer:
        """Send a request that is complete, to whatever host; raise `PageError` likewise."""
        return self._exchange(lambda: prepared)

    def probe(self, values: Sequence[str]) -> RecordAnswer:
        """Ask for the record with these values in its path, its id as a rule.

        `gone_status` is gone, 200 is alive, else nothing is proved. Raises `PageError` only for
        failures that every request shares: 401/403, 429 and 503.
        """
        record = self._api.record
        assert record is not None
        try:
            answer = self._get(ApiRequest(record.fill(values)))
        except PageError as exc:
            if exc.status in record.gone_status:
                return RecordAnswer(ProbeVerdict.GONE, reason=f"HTTP {exc.status}")
            if exc.kind in {FailureKind.AUTH, FailureKind.RATE_LIMITED} or exc.status == 503:
                raise
            is_clear = exc.status is not None and (exc.status < 300 or 400 <= exc.status < 500)
            rule = gone_status_rule(record, exc.status) if is_clear else ""
            reason = "; ".join(filter(None, (exc.problem, exc.hint)))
            return RecordAnswer(ProbeVerdict.NOTHING, reason=reason, rule=rule)
        return RecordAnswer(ProbeVerdict.ALIVE, answer.body)

    def limits_told(self) -> tuple[ToldLimit, ...]:
        """Return, once, what the answer to this thread's last request told of rate limits."""
        return self._limits_told.pop(threading.get_ident(), ())

    def enforce_deadlines(self) -> None:
        """Shut every connection whose request is past its total deadline.

        Called by the process's control loop: a server that drips one byte at a time
        satisfies every socket timeout, so somebody else has to end the request.
        """
        now = time.monotonic()
        for thread, deadline in list(self._deadlines.items()):
            if now > deadline:
                shut(thread)

    def close(self) -> None:
        """Close all pooled connections."""
        self._session.close()

    def _prepare(self, request: ApiRequest) -> requests.PreparedRequest:
        """Copy the request prepared once for this session: preparing each costs 0.2 ms."""
        prepared = self._template.copy()
        prepared.url = self._link_url(request) if request.is_link else self._url(request)
        if request.body is not None:
            prepared.method, prepared.body = "POST", request.body
            prepared.headers["Content-Length"] = str(len(request.body))
        if urlsplit(prepared.url)[:2] != self._origin:  # as requests reads it, for its connection
            raise PageError(FailureKind.CLIENT, "the address of a request has another origin")
        prepared.headers.update(request.headers)
        prepared.headers.update({name: v.reveal() for name, v in self._api.headers.items()})
        return prepared

    def _url(self, request: ApiRequest) -> str:
        path, _, query = request.path.partition("?")
        url = "/".join([self._base_url, *([path.removeprefix("/")] if path else [])])
        params = {**dict(parse_qsl(query)), **self.lists.params, **request.params}
        return _with_query(url, params)

    def _link_url(self, request: ApiRequest) -> str:
        return _with_query("://".join(self._origin) + request.path, request.params)

    def _get(self, request: ApiRequest) -> Answer:
        return self.send(self.authenticator.authorize(request))

    def _exchange(self, prepare: Callable[[], requests.PreparedRequest]) -> Answer:
        started = time.monotonic()
        thread = threading.get_ident()
        active.pop(thread, None)
        self._limits_told.pop(thread, None)
        deadline = started + self._api.timeout.total_s
        self._deadlines[thread] = deadline
        try:
            with self._session.send(
                prepare(),
                timeout=self._timeout,
                stream=True,
                allow_redirects=False,
            ) as response:
                limits = self._limits_told[thread] = read_limits(response.headers, time.time())
                check_status(response, limits, self._key, self.authenticator.hint)
                wire = self._read_body(response, deadline)
                if time.monotonic() > deadline:  # shut meanwhile, which may look like an end
                    raise _timed_out(self._api.timeout.total_s)
                body = self._decode_body(wire, response.headers.get("Content-Encoding", ""))
                body = to_utf8(body, response.headers.get("Content-Type", ""))
                date = response.headers.get("Date", "")
                took_s = time.monotonic() - started
                return Answer(body, len(wire), took_s, started, date, response.headers)
        except FOREIGN_ERRORS as exc:
            if time.monotonic() > deadline:
                raise _timed_out(self._api.timeout.total_s) from None
            raise _translate(exc) from None
        finally:
            self._deadlines.pop(thread, None)

    def _read_body(self, response: requests.Response, deadline: float) -> bytes:
        """Read the raw body to its end, checking deadline and size after every chunk."""
        chunks: list[bytes] = []
        size = 0
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=False):
            size += len(chunk)
            if size > self._api.max_body_bytes:
                raise too_large(self._api.max_body_bytes)
            if time.monotonic() > deadline:
                raise _timed_out(self._api.timeout.total_s)
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _decode_body(self, wire: bytes, encoding: str) -> bytes:
        encoding = encoding.strip().lower()
        if encoding in {"", "identity"}:
            return wire
        if encoding not in {"gzip", "x-gzip"}:
            problem = f"the answer has the content encoding {encoding[:20]!r}"
            raise PageError(FailureKind.BAD_PAGE, problem)
        return gunzip(wire, self._api.max_body_bytes)


def _with_query(url: str, params: Mapping[str, Parameter]) -> str:
    sent = urlencode({name: value for name, value in params.items() if value is not None})
    return f"{url}{'&' if '?' in url else '?'}{sent}" if sent else url


def gone_status_rule(record: Record, status: int | None) -> str:
    """Return the line of `api.record` by which this status, too, means that a car is gone.

    >>> gone_status_rule(Record(), 204)
    'gone_status: [404, 410, 204]'
    """
    statuses = ", ".join(str(known) for known in (*record.gone_status, status))
    return f"gone_status: [{statuses}]"


def _timed_out(total_s: float) -> PageError:
    problem = f"no complete answer within api.timeout.total_s ({total_s:g} s)"
    return PageError(FailureKind.TIMEOUT, problem)


def _translate(exc: BaseException) -> PageError:
    """Turn an error of requests, urllib3, http.client or the socket into a `PageError`."""
    if isinstance(exc, requests.exceptions.ConnectTimeout):
        return PageError(FailureKind.TIMEOUT, "no connection within api.timeout.connect_s")
    if isinstance(
        exc, requests.exceptions.Timeout | urllib3.exceptions.TimeoutError | TimeoutError
    ):
        return PageError(FailureKind.TIMEOUT, "the API sent nothing within api.timeout.read_s")
    cause = root_cause(exc)
    root = words(cause)
    problem, hint, attempts = "the connection to the API broke", "", None
    if isinstance(cause, PlainHttpError):
        problem, root, attempts = "the port of api.base_url speaks http, not https", "", 1
        hint = "set api.base_url to http://…, or to the port that speaks https"
    elif isinstance(exc, requests.exceptions.SSLError | urllib3.exceptions.SSLError):
        problem, hint = "TLS with the API failed", "check the certificate, or set api.ca_bundle"
        attempts = None if isinstance(cause, ssl.SSLEOFError) else 1
    elif isinstance(cause, socket.gaierror):
        problem, hint = "the API's host name cannot be resolved", "check api.base_url and DNS"
        attempts = None if cause.errno == socket.EAI_AGAIN else 2  # DNS itself is down
    elif isinstance(cause, ConnectionRefusedError):
        problem, attempts = "the API's host refuses the connection", 2
        hint = "check the host and port of api.base_url"
    return PageError(FailureKind.NETWORK, problem, detail=root, hint=hint, first_attempts=attempts)
