"""HTTP connections that a watching thread can shut, and that are made within their time.

The client of the API and the web hook share this: the safe settings of a session, the
connections of urllib3, and words for what goes wrong in them.
"""

from __future__ import annotations

import contextlib
import http.client
import http.cookiejar
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from typing import Any, ClassVar

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.ssl_ import create_urllib3_context

from carsync.redaction import Secret
from carsync.source.certificates import ClientCertificate, check_ca_bundle, load_certificates
from carsync.source.dns import look_up

_ADDRESS_S = 1.0
"""Try each of several addresses for at least this long, while `connect_s` lasts."""

_HOSTS = 2
"""Keep the connections to so many: the API's, and the one that gives the tokens."""

HANDSHAKE_S = 2.0
"""A first TLS handshake that takes longer may be with a server that speaks no TLS."""

active: dict[int, HTTPConnection] = {}
"""The connection on which each thread's request travels, by thread identifier."""


class _Connection(HTTPConnection):
    """A connection that a watching thread can shut, and that is made within `connect_s`.

    urllib3 itself allows that much for each address of the host, and sets no limit for
    looking the name up. `_new_conn` and `_dns_host` are urllib3's own: a test holds what
    they do here.
    """

    def connect(self) -> None:
        active[threading.get_ident()] = self
        super().connect()

    def request(self, *args: Any, **kwargs: Any) -> None:
        active[threading.get_ident()] = self
        super().request(*args, **kwargs)

    def _new_conn(self) -> socket.socket:
        name, allowed = self._dns_host, self.timeout  # with a dot at its end, which `host` drops
        assert isinstance(allowed, int | float)
        deadline = time.monotonic() + allowed
        try:
            addresses = look_up(name.strip("[]"), self.port, allowed)
        except socket.gaierror as exc:
            raise NameResolutionError(name, self, exc) from exc
        try:
            for tried, address in enumerate(addresses, start=1):
                left_s = max(deadline - time.monotonic(), 0.001)
                share_s = left_s / (len(addresses) - tried + 1)
                self.host, self.timeout = address, min(left_s, max(share_s, _ADDRESS_S))
                try:
                    sock = super()._new_conn()
                    sock.settimeout(max(deadline - time.monotonic(), _ADDRESS_S))  # for TLS
                    return sock
                except (ConnectTimeoutError, NewConnectionError):
                    if tried == len(addresses) or time.monotonic() >= deadline:
                        raise
        finally:
            self.host, self.timeout = name, allowed
        raise AssertionError("a host has an address")


class PlainHttpError(ConnectionError):
    """The port of an https address speaks http."""


class _SecureConnection(_Connection, HTTPSConnection):
    """A connection that finds out soon whether its port speaks TLS at all.

    A server of plain http may wait for the end of what looks to it like a request's first
    line. Until one connection to the port was made, a handshake that takes long, or fails, is
    therefore followed by a question in plain http.
    """

    _known: ClassVar[set[tuple[str, int]]] = set()

    def connect(self) -> None:
        allowed = self.timeout
        assert isinstance(allowed, int | float)
        place = (self._dns_host, self.port)
        if place in self._known or self._tunnel_host:
            super().connect()
            return
        self.timeout = min(allowed, HANDSHAKE_S)
        try:
            super().connect()
        except (ssl.SSLError, TimeoutError) as exc:
            self.close()
            is_tls = isinstance(exc, ssl.SSLCertVerificationError)
            if not is_tls and speaks_http(*place):
                raise PlainHttpError("the port speaks http, not https") from None
            if isinstance(exc, ssl.SSLError) or allowed <= HANDSHAKE_S:
                raise
            self.timeout = allowed
            super().connect()
        finally:
            self.timeout = allowed
        self._known.add(place)


def speaks_http(name: str, port: int) -> bool:
    """Ask a port in plain http for nothing, and say whether that is what it speaks.

    A port of https may answer 400 in plain http, to say that it is none of http.
    """
    words = f"HEAD / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n"
    try:
        addresses = look_up(name.strip("[]"), port, _ADDRESS_S)
        with socket.create_connection((addresses[0], port), _ADDRESS_S) as sock:
            sock.sendall(words.encode("ascii", "ignore"))
            said = sock.recv(64)
    except OSError:
        return False
    return said.startswith(b"HTTP/1") and b" 400" not in said


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class Adapter(HTTPAdapter):
    """requests' adapter over connections that a watching thread can shut."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}


def tls_context(
    ca_bundle: str | None, client_cert: ClientCertificate | None = None
) -> ssl.SSLContext:
    """Return the rules by which a request's TLS connection is verified.

    `ca_bundle` is a file or a folder (None: the bundle that requests brings). Raises
    `OSError` where it cannot be read, `ConfigError` for the client's certificate.
    """
    context = create_urllib3_context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.check_hostname = True
    load_certificates(context, ca_bundle or DEFAULT_CA_BUNDLE_PATH)
    if client_cert is not None:
        client_cert.load_into(context)
    return context


def open_session(
    connections: int,
    headers: Mapping[str, str],
    *,
    proxy: Secret | None,
    ca_bundle: str | None,
    client_cert: ClientCertificate | None = None,
) -> requests.Session:
    """Open a session that takes nothing from the environment and keeps no cookie.

    TLS is checked, against the file `ca_bundle` where one is given. The caller refuses
    redirects (`allow_redirects=False`). Raises `ConfigError` where that file, or the client's
    certificate, cannot be used.
    """
    session = requests.Session()
    session.trust_env = False
    session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    adapter = Adapter(pool_connections=_HOSTS, pool_maxsize=connections, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.headers.clear()
    session.headers.update(headers)
    if proxy is not None:
        session.proxies = {"http": proxy.reveal(), "https": proxy.reveal()}
    check_ca_bundle(ca_bundle)
    if ca_bundle is not None:
        session.verify = ca_bundle
    if client_cert is not None:
        client_cert.check()
        session.cert = client_cert.files
    return session


def shut(thread: int) -> None:
    """Shut the connection on which the request of `thread` travels, if any."""
    connection = active.get(thread)
    if connection is not None and connection.sock is not None:
        with contextlib.suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)


FOREIGN_ERRORS = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,
    AttributeError,  # http.client trips over its own closed socket when a deadline shuts it
)
"""What a request may raise."""


def root_cause(exc: BaseException) -> BaseException:
    """Return the innermost cause."""
    while True:
        context = None if exc.__suppress_context__ else exc.__context__
        inner = getattr(exc, "reason", None) or exc.__cause__ or context
        if not isinstance(inner, BaseException) and exc.args:
            inner = next((a for a in exc.args if isinstance(a, BaseException)), None)
        if not isinstance(inner, BaseException):
            return exc
        exc = inner


def words(exc: BaseException) -> str:
    """Name an error, without URL or header in it."""
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror
    return type(exc).__name__
