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
from typing import Any

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


class _SecureConnection(_Connection, HTTPSConnection):
    pass


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
