"""Judges the way to the API: the host's name and TLS."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

from carsync import formatting
from carsync.config.sections import Config
from carsync.doctor.findings import Findings

WAY = ("DNS", "TLS")
"""The names of these checks, in the order in which they are made."""

EXPIRES_SOON_DAYS = 14
SLOW_LOOKUP_S = 1.0

_TLS_FIXES = (
    ("expired", "the API's owner must renew the certificate; carsync never ignores it"),
    ("not yet valid", "look at this machine's clock (timedatectl), then ask the API's owner"),
    ("self-signed", "set api.ca_bundle to a file with that certificate, or ask for a public one"),
    ("local issuer", "set api.ca_bundle to the issuer's CA file, or ask the API's owner to send "
     "the whole chain"),
    ("ostname mismatch", "set api.base_url to the name in the certificate"),
    ("speaks http", "set api.base_url to http://…, or to the port that speaks https"),
    ("IP address mismatch", "set api.base_url to the name in the certificate"),
)  # fmt: skip


class Lookup(Struct, frozen=True):
    """What the name servers said about a host: addresses and time taken, or the `error`."""

    host: str
    addresses: Sequence[str] = ()
    took_s: float = 0.0
    error: str = ""


class Certificate(Struct, frozen=True):
    """The certificate of a TLS handshake, or the `error`; an expired one has negative days."""

    error: str = ""
    days_left: float = 0.0
    issuer: str = ""
    protocol: str = ""


def judge_lookup(found: Findings, lookup: Lookup) -> bool:
    """Judge the host's name; say whether there is an address to go on with."""
    if lookup.error:
        found.problem(
            "DNS",
            f"{lookup.host}: {lookup.error}",
            "look for a typing error in api.base_url; then at this machine's DNS "
            "(resolvectl status, /etc/resolv.conf)",
        )
        return False
    if lookup.addresses[0] == lookup.host:
        found.ok("DNS", f"{lookup.host} is an address itself")
        return True
    shown = ", ".join(lookup.addresses[:3])
    more = f" and {len(lookup.addresses) - 3} more" if len(lookup.addresses) > 3 else ""
    seen = f"{lookup.host} → {shown}{more} in {formatting.latency(lookup.took_s)}"
    fix = "a name server does not answer: see /etc/resolv.conf"
    found.warn_if(lookup.took_s > SLOW_LOOKUP_S, "DNS", seen, fix)
    return True


def judge_plain_http(found: Findings, config: Config, *, is_local: bool) -> None:
    """Judge an API without TLS: a key that everybody on the way can read is a warning."""
    if not config.api.auth.sends_key:
        found.ok("TLS", "none (http://); no key is sent")
    elif is_local:
        found.ok("TLS", "none (http://), within this machine")
    else:
        seen = "none: the key is sent unencrypted"
        found.warn("TLS", seen, "set api.base_url to https://…")


def judge_certificate(found: Findings, certificate: Certificate) -> None:
    """Judge the certificate of the API."""
    if certificate.error:
        hints = (fix for sign, fix in _TLS_FIXES if sign in certificate.error)
        found.problem("TLS", certificate.error, next(hints, "check host and port of api.base_url"))
        return
    days = math.floor(certificate.days_left)
    issuer = formatting.printable(certificate.issuer)
    left = f"valid for {formatting.plural(days, 'day')} more"
    seen = f"{certificate.protocol}, certificate by {issuer}, {left}"
    found.warn_if(days < EXPIRES_SOON_DAYS, "TLS", seen, "ask the API's owner to renew it")
