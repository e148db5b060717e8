"""The cluster's certificates, by handshakes of our own: OpenSSL's words, not Dask's."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import suppress

from msgspec import Struct

from carsync.config.sections import ClusterTls
from carsync.engine.cluster_view import CertificateView

_TURNS = 10
_LISTENS_S = 2.0
"""Dask's server speaks first; a refusal of our certificate comes in place of that."""


class Handshake(Struct, frozen=True):
    """A connection to the scheduler: `error` where there is none, else how long it took.

    `refused` says in OpenSSL's words why the other side does not want our certificate.
    """

    error: str = ""
    took_s: float = 0.0
    certificate: CertificateView | None = None
    refused: str = ""


def read_own(tls: ClusterTls) -> CertificateView:
    """Verify `tls.cert` against `tls.ca` as another process of the cluster would.

    Raises `OSError` where a file cannot be used.
    """
    assert tls.cert is not None
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tls.cert, tls.key, password=lambda: "")
    ours, theirs = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = _client(tls).wrap_bio(theirs, ours)
    other = server.wrap_bio(ours, theirs, server_side=True)
    try:
        for _ in range(_TURNS):
            for side in (one, other):
                with suppress(ssl.SSLWantReadError):
                    side.do_handshake()
    except ssl.SSLCertVerificationError as exc:
        return CertificateView(exc.verify_message or str(exc))
    return _shown(one)


def shake_hands(host: str, port: int, tls: ClusterTls | None, within_s: float) -> Handshake:
    """Connect as a process of the cluster does; `tls` None: without TLS."""
    begun_s = time.monotonic()
    try:
        with socket.create_connection((host, port), within_s) as plain:
            took_s = time.monotonic() - begun_s
            if tls is None:
                return Handshake(took_s=took_s)
            with _client(tls).wrap_socket(plain, server_hostname=host) as secured:
                took_s = time.monotonic() - begun_s
                shown = _shown(secured)
                return Handshake("", took_s, shown, _refusal(secured))
    except ssl.SSLCertVerificationError as exc:
        return Handshake(certificate=CertificateView(exc.verify_message or str(exc)))
    except ssl.SSLError as exc:
        return Handshake(f"no TLS there ({exc.reason or exc})")
    except TimeoutError:
        return Handshake(f"no answer within {within_s:g} s")
    except OSError as exc:
        return Handshake((exc.strerror or str(exc)).lower())


def _client(tls: ClusterTls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # the authority is the cluster's own; Dask looks at it alone
    context.load_verify_locations(tls.ca)
    assert tls.cert is not None
    context.load_cert_chain(tls.cert, tls.key, password=lambda: "")
    return context


def _refusal(secured: ssl.SSLSocket) -> str:
    """Say why our certificate is refused: with TLS 1.3 that comes after the handshake."""
    secured.settimeout(_LISTENS_S)
    try:
        secured.recv(1)
    except TimeoutError:
        return ""
    except ssl.SSLError as exc:
        return (exc.reason or str(exc)).replace("_", " ").lower()
    except OSError as exc:
        return (exc.strerror or str(exc)).lower()
    return ""


def _shown(connection: ssl.SSLObject | ssl.SSLSocket) -> CertificateView:
    shown = connection.getpeercert() or {}
    until_s = ssl.cert_time_to_seconds(str(shown["notAfter"]))
    return CertificateView("", (until_s - time.time()) / 86400)
