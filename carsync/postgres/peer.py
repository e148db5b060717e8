"""The server at the other end of a connection: where it is, and whether it answers at all."""

from __future__ import annotations

import os
import socket
import struct
from typing import Any

from msgspec import Struct

from carsync.postgres.wait import Connection

_SSL_REQUEST = struct.pack("!ii", 8, 80877103)


class Peer(Struct, frozen=True):
    """The address that a connection leads to, as socket(7) has it, and libpq's words for it."""

    family: int
    address: Any
    options: dict[str, str]


def peer_of(conn: Connection) -> Peer:
    """Return the server that `conn` has found: of several hosts, or addresses of a name, the one.

    `options` lead a further connection there without a look at DNS.
    """
    with socket.socket(fileno=os.dup(conn.fileno())) as connected:
        family, address = connected.family, connected.getpeername()
    options = {}
    if family != socket.AF_UNIX:
        options = {"host": conn.info.host, "hostaddr": address[0], "port": str(conn.info.port)}
    return Peer(family, address, options)


def answers(peer: Peer, within_s: float) -> bool:
    """Say whether somebody at that address answers in PostgreSQL's protocol.

    It is the request for TLS (manual, "SSL Session Encryption"), to which a server, or a pooler,
    says one byte before it asks who we are; a server without a free slot does too.
    """
    try:
        with socket.socket(peer.family) as probe:
            probe.settimeout(within_s)
            probe.connect(peer.address)
            probe.sendall(_SSL_REQUEST)
            return probe.recv(1) in {b"S", b"N", b"E"}
    except OSError:
        return False
