"""Host names → addresses, within a time: getaddrinfo(3) itself knows no deadline.

Where no name server answers, getaddrinfo blocks for as long as resolv.conf(5) says: 5 s ×
attempts × servers × search domains.
"""

from __future__ import annotations

import socket
import threading
from concurrent.futures import Future

from carsync.source.deadline import in_thread

_lock = threading.Lock()
_running: dict[tuple[str, int], Future[list[str]]] = {}


def look_up(host: str, port: int, within_s: float) -> list[str]:
    """Return the addresses of `host` (a name or an address), the preferred one first.

    All callers share one lookup of a name at a time. Raises `socket.gaierror` for a name
    without an address, and after `within_s` seconds.
    """
    key = (host, port)
    with _lock:
        lookup = _running.get(key)
        if lookup is None:
            lookup = _running[key] = in_thread(lambda: _resolve(key), f"resolve {host}")
    try:
        return lookup.result(within_s)
    except TimeoutError:
        raise socket.gaierror(
            socket.EAI_AGAIN, f"DNS gave no answer within {within_s:g} s"
        ) from None


def _resolve(key: tuple[str, int]) -> list[str]:
    try:
        found = socket.getaddrinfo(*key, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(address[0]) for *_, address in found))
    finally:
        with _lock:
            del _running[key]
