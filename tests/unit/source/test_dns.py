"""Names become addresses within a time, with one lookup of a name at a time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from carsync.source.dns import look_up


class NameServer:
    """Answers with `addresses`, or an error, once `open` is set; counts its questions."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.open = threading.Event()
        self.asked = threading.Semaphore(0)
        self.questions: list[tuple[str, int]] = []

    def getaddrinfo(self, host: str, port: int, **_: Any) -> list[Any]:
        self.questions.append((host, port))
        self.asked.release()
        self.open.wait(10)
        if not self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(0, 0, 0, "", (address, port)) for address in self.addresses]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    server = NameServer("192.0.2.2", "192.0.2.1", "192.0.2.2")
    monkeypatch.setattr(socket, "getaddrinfo", server.getaddrinfo)
    yield server
    server.open.set()


def test_each_address_is_given_once_the_preferred_one_first(server: NameServer) -> None:
    server.open.set()
    assert look_up("a.test", 443, 5) == ["192.0.2.2", "192.0.2.1"]
    assert server.questions == [("a.test", 443)]


def test_a_silent_name_server_is_waited_for_no_longer_than_allowed(server: NameServer) -> None:
    with pytest.raises(socket.gaierror, match=r"no answer within 0\.01 s"):
        look_up("silent.test", 443, 0.01)


def test_whoever_asks_meanwhile_shares_the_lookup_and_whoever_asks_later_does_not(
    server: NameServer,
) -> None:
    found: list[list[str]] = []
    first = threading.Thread(target=lambda: found.append(look_up("b.test", 1, 5)))
    first.start()
    assert server.asked.acquire(timeout=5)
    with pytest.raises(socket.gaierror):
        look_up("b.test", 1, 0.01)
    assert server.questions == [("b.test", 1)]
    server.open.set()
    first.join(5)
    assert found == [["192.0.2.2", "192.0.2.1"]]
    look_up("b.test", 1, 5)
    assert len(server.questions) == 2


def test_a_name_without_address_is_told_and_asked_for_anew(server: NameServer) -> None:
    server.open.set()
    server.addresses = ()
    for _ in range(2):
        with pytest.raises(socket.gaierror, match="not known"):
            look_up("c.test", 443, 5)
    assert len(server.questions) == 2
