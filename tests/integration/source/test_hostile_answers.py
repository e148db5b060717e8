"""Hostile answers over real sockets: a page comes whole or not at all, and from one origin."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from carsync.config.api_sections import Api, Auth, Timeout
from carsync.errors import FailureKind, PageError
from carsync.redaction import Secret
from carsync.source.client import ApiClient
from tests.support.effort import trials
from tests.support.fake_api import DrippingServer, Reply, ScriptedApi, page_reply, watched
from tests.support.mappers import load_mapper

KEY = "canary-key"
PAGE = json.dumps({"data": [{"id": 1}, {"id": 2}], "meta": {"last_page": 1, "total": 2}}).encode()
MAPPER = load_mapper()


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with ScriptedApi() as scripted:
        yield scripted


def transport(base_url: str, **settings: Any) -> ApiClient:
    section = Api(base_url=base_url, auth=Auth(key=Secret(KEY)), **settings)
    return ApiClient(section, connections=2)


def failure(base_url: str, **settings: Any) -> PageError:
    """Ask for page 1, as a fetcher does, and return the error that this gives."""
    client = transport(base_url, **settings)
    with watched(client), pytest.raises(PageError) as caught:
        client.get_page(1)
    assert KEY not in str(caught.value)
    return caught.value


# ── cut answers ──────────────────────────────────────────────────────────────


def _with_length(body: bytes) -> tuple[str, bytes]:
    return f"Content-Length: {len(body)}\r\n", body


def _in_chunks(body: bytes) -> tuple[str, bytes]:
    """Chunks of 16 bytes, their sizes padded with zeros, as some servers write them."""
    parts = [body[at : at + 16] for at in range(0, len(body), 16)]
    chunks = b"".join(b"%04x\r\n%b\r\n" % (len(part), part) for part in parts)
    return "Transfer-Encoding: chunked\r\n", chunks + b"0000\r\n\r\n"


def _until_closed(body: bytes) -> tuple[str, bytes]:
    return "", body


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("framing", [_with_length, _in_chunks, _until_closed])
def test_an_answer_cut_at_any_byte_is_never_a_shorter_page(
    api: ScriptedApi, framing: Callable[[bytes], tuple[str, bytes]], packed: bool
) -> None:
    """HTTP alone cannot tell a plain body cut where nothing says how long it is; JSON can.

    In CI each fifth byte, which is each place of a chunk, and all of the last; with `--long` all.
    """
    encoding = "Content-Encoding: gzip\r\n" if packed else ""
    header, wire = framing(gzip.compress(PAGE) if packed else PAGE)
    head = f"HTTP/1.1 200 OK\r\n{encoding}{header}Connection: close\r\n\r\n".encode()
    end = len(wire) - 16
    cuts = [*range(0, end, trials(5, 1)), *range(end, len(wire) + 1)]
    api.on("/cars", *(Reply(raw=head + wire[:cut]) for cut in cuts), page=1)
    client = transport(api.base_url)
    whole = 0
    for _ in cuts[:-1]:
        try:
            body = client.get_page(1).body
        except PageError:
            continue
        if body != PAGE:
            assert not packed, "a gzip stream says itself where it ends"
            assert framing is not _with_length
            with pytest.raises(PageError):
                MAPPER.map_page(body)
        else:
            whole += 1
    ends_early = len("0000\r\n\r\n") - 1 if framing is _in_chunks else 0
    assert whole == ends_early, "of the last chunk its first zero will do"
    assert client.get_page(1).body == PAGE
    assert MAPPER.map_page(PAGE).records == 2


def test_a_head_cut_at_any_byte_is_no_page(api: ScriptedApi) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(PAGE)}\r\n\r\n".encode()
    api.on("/cars", *(Reply(raw=head[:cut]) for cut in range(len(head))), page=1)
    client = transport(api.base_url)
    for _ in range(len(head)):
        try:
            body = client.get_page(1).body  # a length that was cut off too
        except PageError:
            continue
        assert body == b""
        with pytest.raises(PageError):
            MAPPER.map_page(body)


# ── too much ─────────────────────────────────────────────────────────────────


def _packed(wire: bytes) -> Reply:
    return Reply(body=wire, headers={"Content-Encoding": "gzip"})


@pytest.mark.parametrize(
    "bomb",
    [
        gzip.compress(bytes(100_000_000)),
        gzip.compress(bytes(100_000)) * 1000,
        gzip.compress(b"") * 200_000,
    ],
    ids=["one-member", "many-members", "empty-members"],
)
def test_a_gzip_bomb_costs_neither_memory_nor_time(api: ScriptedApi, bomb: bytes) -> None:
    api.on("/cars", _packed(bomb))
    started = time.monotonic()
    tracemalloc.start()
    error = failure(api.base_url, max_body_bytes=5_000_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert error.kind is FailureKind.BAD_PAGE
    assert peak < 40_000_000
    assert time.monotonic() - started < 10


def test_a_text_of_100_mb_is_refused_at_the_cap(api: ScriptedApi) -> None:
    api.on("/cars", page_reply([{"id": 1, "title": "x" * 100_000_000}]))
    error = failure(api.base_url)
    assert error.kind is FailureKind.BAD_PAGE
    assert "api.max_body_bytes" in error.problem


@pytest.mark.parametrize(
    "header",
    [
        b"X-Huge: " + b"x" * 1_000_000 + b"\r\n",
        b"X-Endless: " + b"x" * 1000 + b"\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
    ids=["one-header", "headers", "continue"],
)
def test_headers_without_end_are_no_answer(header: bytes) -> None:
    with DrippingServer(b"HTTP/1.1 200 OK\r\n" * (b"HTTP" not in header), header, 0.001) as url:
        error = failure(url, timeout=Timeout(read_s=5, total_s=1))
    assert error.kind in {FailureKind.NETWORK, FailureKind.TIMEOUT}


def test_a_byte_every_half_second_ends_at_the_total_deadline() -> None:
    first = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
    started = time.monotonic()
    with DrippingServer(first, b"x", every_s=0.5) as base_url:
        error = failure(base_url, timeout=Timeout(read_s=5, total_s=1.2))
    assert error.kind is FailureKind.TIMEOUT
    assert time.monotonic() - started < 4


# ── misleading headers ───────────────────────────────────────────────────────


@pytest.mark.parametrize("length", ["", "\u00b2", "9" * 5000, "-1", "5, 5", "0x10"])
def test_a_strange_length_hides_no_status(api: ScriptedApi, length: str) -> None:
    raw = f"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: {length}\r\n\r\nwords"
    api.on("/cars", Reply(raw=raw.encode("latin-1")))
    error = failure(api.base_url)
    assert error.kind is FailureKind.RATE_LIMITED
    assert error.retry_after_s == 7


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "-5",
        "1e9",
        "0.5",
        "99999999999999999999999",
        "9" * 5000,
        "soon",
        "nan",
        "inf",
        "1, 30",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Fri, 31 Dec 99999 23:59:59 GMT",
        "Thu, 01 Jan 0000 00:00:00 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Thu, 01 Jan 1970 00:00:00 +99999999999999",
        "Thu, 99 Foo 1970 99:99:99 GMT",
        "\u00b2",
        "7\r\nRetry-After: 9",
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_no_retry_after_breaks_anything_or_lasts_for_ever(
    api: ScriptedApi, status: int, value: str
) -> None:
    raw = f"HTTP/1.1 {status} Slow\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n"
    api.on("/cars", Reply(raw=raw.encode("latin-1")))
    error = failure(api.base_url)
    assert error.status == status
    assert error.kind in {FailureKind.RATE_LIMITED, FailureKind.SERVER}
    assert error.retry_after_s is None or 0 <= error.retry_after_s <= 10 * 365 * 86400


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP"])
def test_a_plain_body_called_gzip_is_no_page(api: ScriptedApi, encoding: str) -> None:
    api.on("/cars", Reply(body=PAGE, headers={"Content-Encoding": encoding}))
    assert failure(api.base_url).kind is FailureKind.BAD_PAGE


def test_a_gzip_body_called_plain_is_no_page(api: ScriptedApi) -> None:
    api.on("/cars", Reply(body=gzip.compress(PAGE)))
    with pytest.raises(PageError):
        MAPPER.map_page(transport(api.base_url).get_page(1).body)


# ── connections ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("every", [1, 2, 3])
def test_a_connection_closed_after_each_nth_answer_costs_at_most_a_retry(
    api: ScriptedApi, every: int
) -> None:
    """Nothing in the answer says that the connection will be closed."""
    closing = Reply(body=PAGE, cut_after=len(PAGE))
    rounds = 40
    api.on("/cars", *([*[Reply(body=PAGE)] * (every - 1), closing] * rounds), page=1)
    client = transport(api.base_url)
    failed_in_a_row = longest = 0
    for _ in range(every * rounds):
        try:
            assert client.get_page(1).body == PAGE
            failed_in_a_row = 0
        except PageError:
            failed_in_a_row += 1
        longest = max(longest, failed_in_a_row)
    assert longest <= 1
    assert api.connections >= rounds // 2


REDIRECTS = [
    "http://localhost:{port}/cars",
    "https://127.0.0.1:{port}/cars",
    "http://127.0.0.1:{port}/cars",
    "http://someone:secret@127.0.0.1:{port}/cars",
    "//127.0.0.1:{port}/cars",
    "http://127.0.0.1:{own}@127.0.0.1:{port}/cars",
    "/cars?page=1",
    "http://127.0.0.1:{own}/cars?page=1",
    "",
    "\\\\127.0.0.1:{port}",
]


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_no_redirect_is_followed_anywhere(api: ScriptedApi, status: int) -> None:
    """Not to another host, scheme, port or user, and not to the page itself."""
    with ScriptedApi() as canary:
        ports = {"port": canary.base_url.rpartition(":")[2], "own": api.base_url[17:]}
        replies = [Reply(status, b"", {"Location": to.format(**ports)}) for to in REDIRECTS]
        api.on("/cars", *replies, page=1)
        client = transport(api.base_url)
        for _ in REDIRECTS:
            with pytest.raises(PageError) as caught:
                client.get_page(1)
            assert caught.value.kind is FailureKind.CLIENT
        assert canary.connections == 0
    assert len(api.arrivals) == len(REDIRECTS)


def test_a_resolver_that_never_answers_ends_at_the_connect_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """getaddrinfo(3) knows no deadline, and no other thread can end it."""
    answered = threading.Event()

    def never(*_: Any, **__: Any) -> Any:
        answered.wait(20)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", never)
    started = time.monotonic()
    for _ in range(3):
        error = failure("http://feed.test", timeout=Timeout(connect_s=0.2))
        assert error.kind is FailureKind.NETWORK
        assert "resolved" in error.problem
        assert "DNS" in error.hint
    assert time.monotonic() - started < 5
    assert sum("resolve" in thread.name for thread in threading.enumerate()) <= 1
    answered.set()


def test_addresses_that_do_not_answer_share_the_connect_timeout(
    api: ScriptedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A black hole among a host's addresses keeps nobody from the one that works."""
    api.on("/cars", Reply(body=PAGE))
    port = int(api.base_url.rpartition(":")[2])
    addresses = ["127.0.0.2", "127.0.0.3", "127.0.0.1"]
    real = socket.getaddrinfo

    def resolve(host: str, *args: Any, **options: Any) -> list[Any]:
        names = addresses if host == "feed.test" else [host]
        return [found for name in names for found in real(name, *args, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with ExitStack() as stack:
        for silent in addresses[:2]:
            stack.enter_context(socket.create_server((silent, port), backlog=0))
            for _ in range(4):  # the kernel drops further ones
                connection = stack.enter_context(socket.socket())
                connection.setblocking(False)
                connection.connect_ex((silent, port))
        url = f"http://feed.test:{port}"
        started = time.monotonic()
        assert transport(url, timeout=Timeout(connect_s=3)).get_page(1).body == PAGE
        assert time.monotonic() - started < 3.5
        assert api.arrivals[0].headers["host"] == f"feed.test:{port}"
        addresses.pop()
        assert failure(url, timeout=Timeout(connect_s=0.3)).kind is FailureKind.TIMEOUT
        assert time.monotonic() - started < 5


@pytest.mark.parametrize("record", [b"{}", b"NaN"])
def test_a_page_of_a_million_records_costs_no_time(record: bytes) -> None:
    body = b'{"data":[' + b",".join([record] * 1_000_000) + b"]}"
    started = time.process_time()  # a busy machine is no fault of the code
    with pytest.raises(PageError) as caught:
        MAPPER.map_page(body)
    assert "records" in caught.value.detail
    assert time.process_time() - started < 10
