"""A proxy before PostgreSQL that reads the protocol and misbehaves on command.

It listens on TCP (on loopback, or, run as a program with DSN HOST PORT, elsewhere) and
forwards to a server's Unix socket or port. Of what clients send it reads start-up, SSL and
cancel requests and the messages after them (manual, "Frontend/Backend Protocol"); what the
server answers it passes on, but for the answer to a COMMIT.
"""

from __future__ import annotations

import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

from psycopg2 import extensions

SSL_REQUEST = 80877103
GSS_REQUEST = 80877104
CANCEL_REQUEST = 80877102
_TURN_S = 0.05
_CHUNK = 1 << 16

CommitCut = Literal["before", "after"]


@dataclass(eq=False)
class Session:
    """One client's connection: what it called itself and what it asked, in order."""

    client: socket.socket
    server: socket.socket
    application_name: str = ""
    queries: list[str] = field(default_factory=list)
    awaits_commit: bool = False
    """The next thing the server says to it is the answer to a COMMIT that must not arrive."""

    def cut(self) -> None:
        """Reset the client's connection and close the server's."""
        with suppress(OSError):
            self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def _notice_lost_peers(client: socket.socket) -> None:
    """Let a client that is cut off lose its session, as the server does, only sooner (tcp(7))."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    options = {"TCP_KEEPIDLE": 3, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 6000}
    for name, value in options.items():
        if (option := getattr(socket, name, None)) is not None:
            client.setsockopt(socket.IPPROTO_TCP, option, value)


class PgProxy:
    """Forwards every connection to the server of `dsn`; its faults are switched on and off."""

    def __init__(self, dsn: str, address: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        self._dsn = dsn
        self._upstream = extensions.parse_dsn(dsn)
        self._host, _ = address
        self._listener = socket.create_server(address)
        self._port = self._listener.getsockname()[1]
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._swallows: set[str] = set()
        self._is_refusing = False
        self._cut_after: int | None = None
        self._commit_cut: tuple[CommitCut, str, str] | None = None
        self.latency_s = 0.0
        """How long everything that clients send is kept back."""
        self.sessions: list[Session] = []
        self.seen: list[str] = []
        """The application name of each session that began, in order."""
        self.cancels = 0
        """How many cancel requests arrived."""
        self.cuts = 0
        """How many connections a fault has cut."""
        self.on_cut: Callable[[], None] = lambda: None
        """Called when a fault is about to cut a connection at a COMMIT."""
        self._start_accepting()

    @property
    def dsn(self) -> str:
        """The connection string that leads through the proxy."""
        return extensions.make_dsn(
            self._dsn, host=self._host, port=str(self._port), sslmode="disable"
        )

    # ── faults ──

    def cut_commit(self, when: CommitCut, *, after_query: str, application_name: str) -> None:
        """Cut, once, at the COMMIT that follows a query that contains `after_query`.

        `before` it reaches the server, or `after` the server has answered it; of a session
        with exactly this name.
        """
        self._commit_cut = (when, after_query, application_name)

    def cut_after_bytes(self, number: int) -> None:
        """Cut, once, the connection that has sent `number` more bytes."""
        self._cut_after = number

    def swallow(self, *directions: Literal["to_server", "to_client"]) -> None:
        """Pass nothing on any more, in these directions or both; connections stay up."""
        self._swallows = set(directions or ("to_server", "to_client"))

    def refuse(self) -> None:
        """Refuse new connections, and cut those that are open."""
        self._is_refusing = True
        self._listener.close()
        self._acceptor.join()  # until it has seen that, the port is still in use
        self.cut_all()

    def recover(self) -> None:
        """Behave again. What was swallowed stays lost, so those connections are cut."""
        if self._swallows:
            self.cut_all()
        self._swallows = set()
        self._commit_cut = self._cut_after = None
        if self._is_refusing:
            self._listener = socket.create_server((self._host, self._port))
            self._is_refusing = False
            self._start_accepting()

    def cut_all(self) -> None:
        """Cut every connection."""
        for session in list(self.sessions):
            session.cut()

    def close(self) -> None:
        """Stop listening and cut every connection."""
        self._closing.set()
        self._listener.close()
        self.cut_all()

    # ── forwarding ──

    def _start_accepting(self) -> None:
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def _accept(self) -> None:
        listener = self._listener
        listener.settimeout(_TURN_S)
        while not self._closing.is_set():
            try:
                client, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            _notice_lost_peers(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _connect(self) -> socket.socket:
        host = self._upstream.get("host", "127.0.0.1")
        port = self._upstream.get("port", "5432")
        if not host.startswith("/"):
            return socket.create_connection((host, int(port)))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{host}/.s.PGSQL.{port}")
        return server

    def _serve(self, client: socket.socket) -> None:
        with closing(client), suppress(OSError, EOFError), closing(self._connect()) as server:
            session = Session(client, server)
            self.sessions.append(session)
            try:
                if self._start_up(session):
                    backwards = threading.Thread(
                        target=self._forward_answers, args=(session,), daemon=True
                    )
                    backwards.start()
                    self._forward_messages(session)
                    backwards.join(5)
            finally:
                session.cut()
                self.sessions.remove(session)

    def _start_up(self, session: Session) -> bool:
        """Forward the first message; False: it was a request to cancel."""
        while True:
            head = _receive(session.client, 8)
            length, code = struct.unpack("!ii", head)
            body = head + _receive(session.client, length - 8)
            self._hold_while_swallowing("to_server")
            if code in {SSL_REQUEST, GSS_REQUEST}:
                session.client.sendall(b"N")
                continue
            session.server.sendall(body)
            if code == CANCEL_REQUEST:
                self.cancels += 1
                return False
            words = body[8:].split(b"\0")
            options = dict(zip(words[::2], words[1::2], strict=False))
            session.application_name = options.get(b"application_name", b"").decode()
            self.seen.append(session.application_name)
            return True

    def _forward_messages(self, session: Session) -> None:
        while True:
            head = _receive(session.client, 5)
            (length,) = struct.unpack("!i", head[1:])
            message = head + _receive(session.client, length - 4)
            if self.latency_s:
                self._closing.wait(self.latency_s)
            self._hold_while_swallowing("to_server")
            if self._cut_after is not None:
                self._cut_after -= len(message)
                if self._cut_after <= 0:
                    session.server.sendall(message[: self._cut_after + len(message)])
                    self._cut_after = None
                    self.cuts += 1
                    return
            if head[:1] == b"Q" and self._cuts_before_commit(
                session, message[5:-1].decode(errors="replace")
            ):
                return
            session.server.sendall(message)

    def _cuts_before_commit(self, session: Session, query: str) -> bool:
        """Note a query; say whether the connection is cut instead of passing it on."""
        with self._lock:
            fault = self._commit_cut
            if query != "COMMIT" or fault is None:
                session.queries.append(query)
                return False
            when, text, name = fault
            mine = session.application_name == name and any(text in q for q in session.queries)
            session.queries.append(query)
            if not mine:
                return False
            self._commit_cut = None
            if when == "after":
                session.awaits_commit = True
                return False
        self.on_cut()
        self.cuts += 1
        return True

    def _forward_answers(self, session: Session) -> None:
        with suppress(OSError, EOFError):
            while data := session.server.recv(_CHUNK):
                self._hold_while_swallowing("to_client")
                if session.awaits_commit:
                    self.on_cut()
                    self.cuts += 1
                    break
                session.client.sendall(data)
        session.cut()

    def _hold_while_swallowing(self, direction: str) -> None:
        """Stand still as long as this direction is swallowed; it is lost once that ends."""
        held = False
        while direction in self._swallows and not self._closing.is_set():
            held = True
            time.sleep(_TURN_S)
        if held:
            raise EOFError


def _receive(sock: socket.socket, number: int) -> bytes:
    """Receive exactly `number` bytes; raises EOFError where the other end closed."""
    parts = bytearray()
    while len(parts) < number:
        part = sock.recv(number - len(parts))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)


@contextmanager
def proxied(dsn: str) -> Iterator[PgProxy]:
    """Give a proxy before the server of `dsn`."""
    with ExitStack() as stack:
        proxy = PgProxy(dsn)
        stack.callback(proxy.close)
        yield proxy


if __name__ == "__main__":
    PgProxy(sys.argv[1], (sys.argv[2], int(sys.argv[3])))
    print("ready", flush=True)
    threading.Event().wait()
