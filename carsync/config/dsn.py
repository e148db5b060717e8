"""Connection strings taken apart: whose target it is, where its servers are, what is wrong."""

from __future__ import annotations

import os
import re
import shlex
from urllib.parse import parse_qsl, urlsplit

import xxhash

from carsync.errors import ConfigError


def target_name(dsn: str, schema: str, table: str) -> str:
    """Name a target: `schema.table-` and 8 hex digits of user, host, port and database.

    The user counts because Supabase's pooler tells projects apart by it alone; the
    password never does. `dsn` is a URL or a keyword string (libpq, section 34.1.1).

    >>> target_name("postgresql://u:secret@db:5432/shop", "public", "cars")
    'public.cars-a580e028'
    """
    text = "\n".join(place(dsn))
    return f"{schema}.{table}-{xxhash.xxh3_64_hexdigest(text.encode())[:8]}"


def place(dsn: str) -> tuple[str, str, str, str]:
    """Return user, host, port and database of a DSN; what it does not say is empty."""
    if dsn.startswith(("postgres://", "postgresql://")):
        parts = urlsplit(dsn)
        login, _, hosts = parts.netloc.rpartition("@")
        named = dict(parse_qsl(parts.query))
        user = login.partition(":")[0] or named.get("user", "")
        host = hosts or named.get("host", "")
        return user, host, named.get("port", ""), parts.path.lstrip("/") or named.get("dbname", "")
    try:
        words = shlex.split(re.sub(r"\s*=\s*", "=", dsn))
    except ValueError:
        words = []
    named = dict(word.split("=", 1) for word in words if "=" in word)
    host = named.get("host") or named.get("hostaddr", "")
    return named.get("user", ""), host, named.get("port", ""), named.get("dbname", "")


_DSN_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[^\[\]:\s]*)(?::\d{0,5})?")


def check_dsn(text: str) -> None:
    """Refuse a connection string that libpq would misread, before it can quote the password.

    A URL is split at `@`, `/` and `:` (libpq, section 34.1.1.2), so these must be
    percent-encoded in a password.
    """
    scheme, separator, rest = text.partition("://")
    if not separator and "=" in text:
        return  # key=value pairs
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    user, at, hosts = authority.rpartition("@")
    sound = (
        scheme in {"postgresql", "postgres"}
        and not set(user) & set("@[]")
        and (at or "@" not in rest)
        and "@" not in rest[len(authority) :].partition("?")[0]
        and all(_DSN_HOST.fullmatch(host) for host in hosts.split(","))
    )
    if not sound:
        raise ConfigError(
            "database.dsn is not a connection string that PostgreSQL can read",
            detail="in a URL, user and password must be percent-encoded",
            hint="write @ as %40, / as %2F, : as %3A, # as %23, and no [ ] around the password: "
            "postgresql://USER:PASSWORD@HOST:5432/DB",
        )


_PORT = 5432


def places(dsn: str) -> list[tuple[str, int]]:
    """Return host and port of each server that a connection string names."""
    _, hosts, ports, _ = place(dsn)
    hosts = hosts or os.environ.get("PGHOST", "")
    ports = ports or os.environ.get("PGPORT", "")
    shared = ports.split(",")
    found = []
    for number, name in enumerate(hosts.split(",")):
        host, colon, port = name.rpartition(":")
        if name.startswith("[") and not name.endswith("]"):  # [::1]:5432
            host = host.strip("[]")
        elif not colon or name.endswith("]") or name.count(":") > 1:
            host, port = name.strip("[]"), ""
        port = port or shared[min(number, len(shared) - 1)]
        found.append((host, int(port) if port.isdigit() else _PORT))
    return found
