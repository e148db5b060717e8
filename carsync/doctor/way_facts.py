"""Looks at the way to the API as a run's requests go it: the host's name and its certificate."""

from __future__ import annotations

import socket
import ssl
import time
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from carsync.config.api_sections import Api
from carsync.doctor.way_checks import Certificate, Lookup
from carsync.source.certificates import ClientCertificate
from carsync.source.connection_pool import HANDSHAKE_S, speaks_http, tls_context
from carsync.source.deadline import in_time
from carsync.source.dns import look_up

_GRACE_S = 2.0
PLAIN_HTTP = Certificate(error="the port of api.base_url speaks http, not https")


def host_of(base_url: str) -> tuple[str, int, bool]:
    """Return host, port and whether TLS is spoken.

    >>> host_of("https://api.example.com/v1")
    ('api.example.com', 443, True)
    """
    parts = urlsplit(base_url)
    is_tls = parts.scheme == "https"
    return parts.hostname or "", parts.port or (443 if is_tls else 80), is_tls


def resolve(host: str, port: int, within_s: float) -> Lookup:
    """Look up a host within `within_s` seconds."""
    started_s = time.monotonic()
    try:
        addresses = look_up(host, port, within_s)
    except socket.gaierror as exc:
        return Lookup(host, error=exc.strerror or str(exc))
    return Lookup(host, addresses, time.monotonic() - started_s)


def read_certificate(host: str, port: int, api: Api, within_s: float) -> Certificate:
    """Make a TLS handshake by the rules of a run's requests.

    A server of plain http may wait for more, so it is asked in plain http after a moment.
    """
    for seconds in dict.fromkeys((min(within_s, HANDSHAKE_S), within_s)):
        try:
            return in_time(
                partial(_shake_hands, host, port, api, seconds),
                seconds + _GRACE_S,
                name="handshake",
            )
        except TimeoutError:
            if speaks_http(host, port):
                return PLAIN_HTTP
    return Certificate(error=f"no TLS handshake within {within_s:g} s")


def _shake_hands(host: str, port: int, api: Api, within_s: float) -> Certificate:
    try:
        context = tls_context(api.ca_bundle, ClientCertificate.of(api))
    except OSError as exc:
        return Certificate(error=f"api.ca_bundle cannot be read: {exc.strerror or exc}")
    try:
        with (
            socket.create_connection((host, port), within_s) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            shown: dict[str, Any] = dict(secured.getpeercert() or {})
            protocol = secured.version() or "TLS"
    except ssl.SSLCertVerificationError as exc:
        return Certificate(error=exc.verify_message or str(exc))
    except ssl.SSLError as exc:
        if speaks_http(host, port):
            return PLAIN_HTTP
        return Certificate(error=f"no TLS there ({exc.reason or exc})")
    except TimeoutError:
        raise
    except OSError as exc:
        return Certificate(error=exc.strerror or str(exc))
    left_s = ssl.cert_time_to_seconds(str(shown["notAfter"])) - time.time()
    return Certificate("", left_s / 86400, _issuer(shown), protocol)


def _issuer(shown: dict[str, Any]) -> str:
    names = {key: value for part in shown.get("issuer", ()) for key, value in part}
    return str(names.get("organizationName") or names.get("commonName") or "an unnamed issuer")
