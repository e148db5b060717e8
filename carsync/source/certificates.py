"""The certificates that a server's own is verified against: a file of them, or a folder."""

from __future__ import annotations

import ssl
from pathlib import Path

from carsync.errors import ConfigError


def load_certificates(context: ssl.SSLContext, place: str) -> None:
    """Let `context` trust the certificates of a file or a folder; raise `OSError`."""
    if Path(place).is_dir():
        context.load_verify_locations(capath=place)
    else:
        context.load_verify_locations(cafile=place)


def check_ca_bundle(ca_bundle: str | None) -> None:
    """Raise `ConfigError` where the certificates of `ca_bundle` cannot be read; None: no bundle."""
    if ca_bundle is None:
        return
    try:
        load_certificates(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ca_bundle)
    except OSError as exc:
        raise ConfigError(
            "a ca_bundle of the configuration cannot be read",
            detail=f"{ca_bundle}: {exc.strerror or exc}",
            hint="it is a file of certificates (PEM), or a folder of them (openssl rehash)",
        ) from None
