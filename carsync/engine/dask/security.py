"""Mutual TLS between all processes of the cluster; without it on this very machine alone."""

from __future__ import annotations

import ssl
import warnings
from pathlib import Path

from distributed import Client, Security

from carsync.config.sections import EngineRules
from carsync.errors import ConfigError


def security_of(engine: EngineRules) -> Security:
    """Return what Dask needs to speak TLS; raise `ConfigError` where a file cannot be used."""
    tls = engine.tls
    if engine.scheduler is None or not engine.scheduler.startswith("tls:"):
        return Security(require_encryption=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for name, file in (("ca", tls.ca), ("cert", tls.cert), ("key", tls.key)):
        try:
            Path(file or "").read_bytes()
            if name == "ca":
                context.load_verify_locations(file)
        except OSError as exc:
            raise ConfigError(
                f"engine.tls.{name} cannot be read", detail=f"{file}: {exc.strerror or exc}"
            ) from None
    assert tls.cert is not None
    assert tls.key is not None
    try:
        context.load_cert_chain(tls.cert, tls.key, password=lambda: "")
    except (OSError, ValueError):
        raise ConfigError(
            "engine.tls.cert and engine.tls.key cannot be used together",
            detail=f"{tls.cert}, {tls.key}",
            hint="the key must be the one that the certificate was made for, without a password",
        ) from None
    pairs = {f"tls_{role}_cert": tls.cert for role in ("client", "worker", "scheduler")}
    pairs |= {f"tls_{role}_key": tls.key for role in ("client", "worker", "scheduler")}
    return Security(require_encryption=True, tls_ca_file=tls.ca, **pairs)


def reach_scheduler(engine: EngineRules, within_s: float, name: str) -> Client:
    """Reach the scheduler in time, under a `name`; raises of all kinds what the library does."""
    with warnings.catch_warnings():  # of versions that differ: carsync compares and tells them
        warnings.simplefilter("ignore")
        return Client(
            engine.scheduler,
            security=security_of(engine),
            timeout=within_s,
            set_as_default=False,
            name=name,
        )
