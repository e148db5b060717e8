"""Host names → addresses, within a time: getaddrinfo(3) itself knows no deadline.

Where no server answers it, it blocks for as long as resolv.conf(5) says: 5 s × attempts ×
servers × search domains. A blocked thread cannot be ended, so the lookup gets one of its
own, and whoever wants the name waits for that, no longer than they like.
"""

from __future__ import annotations

import socket
import threading
from concurrent.futures import Future

_lock = threading.Lock()
_running: dict[tuple[str, int], Future[list[str]]] = {}


def look_up(host: str, port: int, within_s: float) -> list[str]:
    """Return the addresses of `host` (a name or an address), the preferred one first.

    There is one lookup of a name at a time, whoever asks. Raises `socket.gaierror` where
    the name has no address or none was found within `within_s` seconds.
    """
    key = (host, port)
    with _lock:
        lookup = _running.get(key)
        if lookup is None:
            lookup = _running[key] = Future()
            threading.Thread(
                target=_run, args=(key, lookup), name=f"resolve {host}", daemon=True
            ).start()
    try:
        return lookup.result(within_s)
    except TimeoutError:
        raise socket.gaierror(
            socket.EAI_AGAIN, f"DNS gave no answer within {within_s:g} s"
        ) from None


def _run(key: tuple[str, int], lookup: Future[list[str]]) -> None:
    try:
        found = socket.getaddrinfo(*key, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
        _forget(key)
        lookup.set_result(addresses)
    except Exception as exc:  # whoever waits is told, whatever it is
        _forget(key)
        lookup.set_exception(exc)


def _forget(key: tuple[str, int]) -> None:
    with _lock:
        _running.pop(key, None)
