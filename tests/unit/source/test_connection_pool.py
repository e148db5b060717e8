"""Connections: made within their time, shut from another thread, named without a secret.

The first tests pin what is private to urllib3, whose version has no upper bound.
"""

from __future__ import annotations

import http.cookiejar
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from carsync.redaction import Secret
from carsync.source import connection_pool
from carsync.source.connection_pool import active, open_session, root_cause, shut, words


class Socket:
    """Stands for a connected socket."""

    def __init__(self) -> None:
        self.timeout: float | None = None
        self.shut: list[int] = []

    def settimeout(self, timeout: float) -> None:
        self.timeout = timeout

    def shutdown(self, how: int) -> None:
        self.shut.append(how)
        raise OSError("not connected any more")

    def close(self) -> None:
        pass


class Network:
    """Names, addresses and what becomes of a connection to each."""

    def __init__(self) -> None:
        self.looked_up: list[tuple[str, int, float]] = []
        self.tried: list[tuple[str, int, float]] = []
        self.addresses = ["192.0.2.1", "192.0.2.2"]
        self.refused: dict[str, Exception] = {}
        self.socket = Socket()

    def look_up(self, host: str, port: int, within_s: float) -> list[str]:
        self.looked_up.append((host, port, within_s))
        if not self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return self.addresses

    def create_connection(self, address: tuple[str, int], timeout: float, **_: Any) -> Socket:
        self.tried.append((*address, timeout))
        if error := self.refused.get(address[0]):
            raise error
        return self.socket


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    network = Network()
    monkeypatch.setattr(connection_pool, "look_up", network.look_up)
    monkeypatch.setattr("urllib3.util.connection.create_connection", network.create_connection)
    return network


def connection(host: str = "a.test.", timeout: float = 9.0) -> Any:
    session = open_session(1, {}, proxy=None, ca_bundle=None)
    adapter = session.get_adapter("http://")
    assert isinstance(adapter, connection_pool.Adapter)
    pool = adapter.poolmanager.connection_from_host(host, 8080, "http")
    return pool.ConnectionCls(host, 8080, timeout=timeout)


def test_urllib3_opens_each_socket_by_our_lookup_and_keeps_the_name(network: Network) -> None:
    network.refused["192.0.2.1"] = ConnectionRefusedError("refused")
    made = connection()
    made.connect()
    assert made.sock is network.socket
    assert network.looked_up == [("a.test.", 8080, 9.0)]
    assert [address for address, _, _ in network.tried] == network.addresses
    assert (made.host, made._dns_host, made.timeout) == ("a.test", "a.test.", 9.0)


def test_the_addresses_of_a_host_share_the_time_for_a_connection(network: Network) -> None:
    network.addresses = ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    network.refused = dict.fromkeys(network.addresses[:2], TimeoutError("silent"))
    connection().connect()
    allowed = [timeout for _, _, timeout in network.tried]
    assert allowed == pytest.approx([3.0, 4.5, 9.0], abs=0.5)
    assert network.socket.timeout == pytest.approx(9.0, abs=0.5)


def test_what_cannot_be_connected_is_urllib3s_own_error(network: Network) -> None:
    network.refused = dict.fromkeys(network.addresses, ConnectionRefusedError("refused"))
    with pytest.raises(NewConnectionError):
        connection().connect()
    network.refused = dict.fromkeys(network.addresses, TimeoutError("silent"))
    with pytest.raises(ConnectTimeoutError):
        connection().connect()
    network.addresses = []
    made = connection()
    with pytest.raises(NameResolutionError):
        made.connect()
    assert made._dns_host == "a.test."


def test_both_schemes_use_our_connections(network: Network) -> None:
    adapter = open_session(1, {}, proxy=None, ca_bundle=None).get_adapter("https://")
    assert isinstance(adapter, connection_pool.Adapter)
    for scheme in ("http", "https"):
        pool = adapter.poolmanager.connection_from_host("a.test", scheme=scheme)
        assert issubclass(pool.ConnectionCls, connection_pool._Connection)


def test_the_connection_of_a_threads_request_is_shut(network: Network) -> None:
    thread = threading.get_ident()
    active.pop(thread, None)
    shut(thread)
    made = connection()
    made.connect()
    assert active.pop(thread) is made
    active[thread] = made
    shut(thread)
    assert network.socket.shut == [socket.SHUT_RDWR]
    active.pop(thread)


def test_a_session_takes_nothing_from_its_surroundings() -> None:
    bundle = DEFAULT_CA_BUNDLE_PATH
    session = open_session(
        3, {"X-API-Key": "k"}, proxy=Secret("http://u:p@proxy.test"), ca_bundle=bundle
    )
    assert not session.trust_env
    assert dict(session.headers) == {"X-API-Key": "k"}
    assert session.proxies == dict.fromkeys(("http", "https"), "http://u:p@proxy.test")
    assert session.verify == bundle
    policy = session.cookies.get_policy()
    assert isinstance(policy, http.cookiejar.DefaultCookiePolicy)
    assert policy.is_not_allowed("a.test")


def test_tls_is_verified_by_the_bundle_or_not_at_all(tmp_path: Path) -> None:
    context = connection_pool.tls_context(None)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.cert_store_stats()["x509_ca"] > 50
    assert connection_pool.tls_context(str(tmp_path)).cert_store_stats()["x509_ca"] == 0
    with pytest.raises(OSError, match="No such file"):
        connection_pool.tls_context(str(tmp_path / "missing.pem"))


def test_an_error_is_named_by_its_innermost_cause_and_without_an_address() -> None:
    inner = ConnectionRefusedError(111, "Connection refused")
    outer = requests.ConnectionError(NewConnectionError(connection(), "http://u:p@a.test"))
    outer.args[0].__cause__ = inner
    assert root_cause(outer) is inner
    assert words(inner) == "Connection refused"
    assert words(ValueError("http://u:p@a.test")) == "ValueError"
