"""Connection strings: the name of their target, the servers that they name, their faults."""

from __future__ import annotations

import os
import re
from itertools import zip_longest
from urllib.parse import parse_qsl

import xxhash
from psycopg2 import ProgrammingError
from psycopg2.extensions import parse_dsn

from carsync.config.sections import FIRST_SOURCE, Config
from carsync.errors import ConfigError

_URL = re.compile(
    r"postgres(?:ql)?://(?:(?P<login>[^@/?#\[\]]*)@)?(?P<hosts>[^@/?#\s]*)(?P<path>/[^@?]*)?"
    r"(?:\?(?P<query>(?(login).*|[^@]*)))?",
    re.DOTALL,
)
"""A URL as libpq splits it, if no part holds a character that belongs percent-encoded."""
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.:-]*")  # RFC 3986, section 3.1, and `jdbc:`
_PORT = 5432


def place_of(config: Config) -> str:
    """Return the name of what a run writes to, as its checkpoint knows it; empty without a DSN."""
    dsn, database = config.database.dsn, config.database
    if not dsn:
        return ""
    return target_name(dsn.reveal(), database.schema, database.table, config.sync.source)


def target_name(dsn: str, schema: str, table: str, source: str = FIRST_SOURCE) -> str:
    """Name what a run writes to: `schema.table-` and 8 hex digits of the rest.

    The rest is the source and the database: user, host, port, name and service, with libpq's
    variables for what the DSN leaves out (sections 34.1.1 and 34.15). The user counts because
    Supabase's pooler tells projects apart by the user alone; the password never does.

    >>> target_name("postgresql://u:secret@db:5432/shop", "public", "cars")
    'public.cars-a580e028'
    """
    service = (_read(dsn) or {}).get("service") or os.environ.get("PGSERVICE", "")
    further = {"service": service, "source": "" if source == FIRST_SOURCE else source}
    text = "\n".join([*_identity(dsn), *(f"{n}={v}" for n, v in further.items() if v)])
    return f"{schema}.{table}-{xxhash.xxh3_64_hexdigest(text.encode('utf-8', 'surrogatepass'))[:8]}"


def _identity(dsn: str) -> tuple[str, str, str, str]:
    """Return user, host, port and database; what neither DSN nor variables say is empty.

    Checkpoint files have their names by these, so a URL's parts stay as they are written:
    percent signs and all, the ports with the hosts.
    """
    if url := _URL.fullmatch(dsn):
        named = dict(parse_qsl(url["query"] or ""))  # which wins
        user = named.get("user") or (url["login"] or "").partition(":")[0]
        host = named.get("host") or url["hosts"] or named.get("hostaddr", "")
        name = named.get("dbname") or (url["path"] or "").lstrip("/")
    else:
        named = _read(dsn) or {}
        user, name = named.get("user", ""), named.get("dbname", "")
        host = named.get("host") or named.get("hostaddr", "")
    return (
        user or os.environ.get("PGUSER", ""),
        host or os.environ.get("PGHOST") or os.environ.get("PGHOSTADDR", ""),
        named.get("port") or os.environ.get("PGPORT", ""),
        name or os.environ.get("PGDATABASE", ""),
    )


def _read(dsn: str) -> dict[str, str] | None:
    """Return the parameters that libpq reads from `dsn`; None where libpq cannot read it."""
    try:
        return dict(parse_dsn(dsn))
    except (ProgrammingError, UnicodeError):
        return None


def check_dsn(dsn: str) -> None:
    """Refuse a connection string that libpq cannot read, or would misread; raise `ConfigError`.

    libpq splits a URL at `@`, `/` and `:` (section 34.1.1.2), and quotes a part of a
    password that it takes for a host or a port.
    """
    scheme, is_other, _ = dsn.partition("://")
    if is_other and _SCHEME.fullmatch(scheme) and scheme not in ("postgres", "postgresql"):
        raise ConfigError(
            "database.dsn is not a connection string for PostgreSQL",
            detail="it begins with another word than postgresql://, and carsync writes to "
            "PostgreSQL only",
            hint="postgresql://USER:PASSWORD@HOST:5432/DB, without jdbc: before it and without "
            "+psycopg2 in it; for Supabase copy it from project → Connect → Session pooler",
        )
    named = _read(dsn)
    is_url = dsn.startswith(("postgres://", "postgresql://"))
    ports = (named or {}).get("port", "").split(",")
    sound = not is_url or _URL.fullmatch(dsn) is not None
    if named is None or not sound or not all(re.fullmatch(r"\d{0,5}", port) for port in ports):
        raise ConfigError(
            "database.dsn is not a connection string that PostgreSQL can read",
            detail="in a URL, user and password must be percent-encoded",
            hint="write @ as %40, / as %2F, : as %3A, # as %23, and no [ ] around the password: "
            "postgresql://USER:PASSWORD@HOST:5432/DB; leave out parameters that libpq does not "
            "know",
        )


def places(dsn: str) -> list[tuple[str, int]]:
    """Return host and port of each server that a connection string names.

    >>> places("postgresql://u@a:6543,[::1]/shop")
    [('a', 6543), ('::1', 5432)]
    """
    named = _read(dsn) or {}
    host = named.get("host") or named.get("hostaddr") or os.environ.get("PGHOST", "")
    ports = (named.get("port") or os.environ.get("PGPORT", "")).split(",")
    names = host.split(",")
    pairs = zip_longest(names, ports[: len(names)], fillvalue=ports[-1])
    return [(name, int(port) if port.isdecimal() else _PORT) for name, port in pairs]
