"""One scripted fake of the API for all tests: threads, real sockets, a log of arrivals."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from carsync.source.client import ApiClient


@dataclass(frozen=True)
class Reply:
    """One answer after `delay_s` seconds: `body` is bytes, or something to dump as JSON.

    `cut_after` closes the connection after so many bytes of the promised body;
    `raw` is sent as it is instead of an HTTP answer, and the connection closed.
    """

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    cut_after: int | None = None
    raw: bytes | None = None

    def encode(self) -> tuple[bytes, bool]:
        """Return the bytes to send, and whether to hang up after them."""
        if self.raw is not None:
            return self.raw, True
        body = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        headers = {"Content-Type": "application/json", "Content-Length": len(body), **self.headers}
        lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
        head = f"HTTP/1.1 {self.status} Scripted\r\n{''.join(lines)}\r\n".encode()
        return head + body[: self.cut_after], self.cut_after is not None


def page_reply(records: list[Any], page: int = 1, last_page: int = 1, total: int = 0) -> Reply:
    """Return a feed page in the preset's shape; `total` 0 means the number of `records`."""
    meta = {"current_page": page, "last_page": last_page, "total": total or len(records)}
    return Reply(body={"data": records, "meta": meta})


@dataclass(frozen=True)
class Arrival:
    """A request as it came in; `headers` have lower-case names, `page` is None without `?page=`."""

    monotonic_s: float
    path: str
    page: int | None
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""
    method: str = "GET"


class ScriptedApi:
    """An API on 127.0.0.1 that answers what `on` told it, 404 otherwise."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self.connections = 0
        self._script: dict[tuple[str, int | None], tuple[Reply, ...]] = {}
        self._attempts: Counter[tuple[str, int | None]] = Counter()
        self._lock = threading.Lock()
        self._leaving = threading.Event()
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"api": self}))
        self.base_url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def on(self, path: str, *replies: Reply, page: int | None = None) -> None:
        """Answer `path` (with `?page=`, or any page) by `replies` in turn; the last one repeats."""
        self._script[path, page] = replies

    def answer(self, arrival: Arrival) -> Reply:
        """Log `arrival` and return the reply that this attempt at it is due."""
        with self._lock:
            self.arrivals.append(arrival)
            asked = (arrival.path, arrival.page)
            key = asked if asked in self._script else (arrival.path, None)
            replies = self._script.get(key, (Reply(404, {"message": "not scripted"}),))
            attempt = min(self._attempts[asked], len(replies) - 1)
            self._attempts[asked] += 1
        self._leaving.wait(replies[attempt].delay_s)
        return replies[attempt]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._leaving.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class SecureApi(ScriptedApi):
    """The scripted API over TLS; with `clients` only for those that show this certificate."""

    def __init__(
        self, cert: str | Path, key: str | Path, clients: str | Path | None = None
    ) -> None:
        super().__init__()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        if clients is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(clients)
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.base_url = self.base_url.replace("http:", "https:")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent: clients under test hang up as they like."""


class _Handler(BaseHTTPRequestHandler):
    api: ScriptedApi
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.api.connections += 1

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = dict(parse_qsl(url.query))
        page = int(query["page"]) if "page" in query else None
        body = self.rfile.read(int(headers.get("content-length", "0")))
        arrival = Arrival(time.monotonic(), url.path, page, query, headers, body, self.command)
        data, self.close_connection = self.api.answer(arrival).encode()
        self.wfile.write(data)

    do_POST = do_DELETE = do_GET  # noqa: N815

    def log_request(self, *_: object) -> None: ...


class DrippingServer:
    """Sends `first`, then `drop` every `every_s` seconds for as long as the client stays."""

    def __init__(self, first: bytes, drop: bytes, every_s: float) -> None:
        self._first, self._drop, self._every_s = first, drop, every_s
        self._leaving = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            connection, _ = self._socket.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(self._first)
                while not self._leaving.wait(self._every_s):
                    connection.sendall(self._drop)

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __exit__(self, *exc: object) -> None:
        self._leaving.set()
        self._socket.close()
        self._thread.join()


@contextmanager
def watched(client: ApiClient) -> Iterator[None]:
    """Turn the control loop that ends overdue requests, as a fetcher does."""
    done = threading.Event()

    def turn() -> None:
        while not done.wait(0.02):
            client.enforce_deadlines()

    thread = threading.Thread(target=turn)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
