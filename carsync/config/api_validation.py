"""Checks of `api` that types cannot make: addresses that lead nowhere, keys that contradict."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from carsync.config.api_sections import PLACE, WINDOW_FORMATS, Auth, Removals, Window
from carsync.config.keys import shown
from carsync.config.sections import Config
from carsync.errors import ConfigError
from carsync.redaction import Secret, names_secret

_PATH = re.compile(
    r"(|(?:/(?!/)|(?![a-z]+:)[\w{])[^\s\\#?\x00-\x1f\x7f]*)(\?[^#]*)?", re.IGNORECASE
)
"""What can only lie below a host (RFC 3986, section 3.3); a query may follow, a fragment not.

A query is encoded before it is sent, so it may hold blanks, as OData's `$filter` does."""
_AUTHORITY_ENDS = re.compile(r"[\s\\\x00-\x1f\x7f]")
"""Signs at which one reader of a URL ends its host and another does not."""
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token (RFC 9110, section 5.6.2)
HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")

_OUR_HEADERS = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "accept-encoding"}
)
"""Headers on which the reading of an answer, or of the connection, depends."""
_OF_TYPES: dict[str, frozenset[str]] = {
    "token_url": frozenset({"oauth2"}),
    "path": frozenset({"login"}),
    "body": frozenset({"oauth2", "login"}),
    "expires_in": frozenset({"login"}),
    "expires_at": frozenset({"login"}),
}
"""Keys of `api.auth` without a meaning in any other type."""

_SOME_TIMES = (datetime(2026, 11, 29, 1, 30, 15), datetime(2027, 1, 3, 23, 59, 59))


def check_api(config: Config) -> None:
    """Check `api`; raise `ConfigError`."""
    api = config.api
    if api.base_url is not None:
        _check_base_url(api.base_url)
    _check_path("api.path", api.path)
    if api.method == "GET" and (api.body or api.form):
        raise ConfigError(
            "api.body and api.form belong to api.method: POST", hint="set api.method: POST"
        )
    _check_record(config)
    _check_window(api.window)
    _check_removals(api.removals)
    _check_auth(api.auth)
    _check_headers(config)
    if api.client_key is not None and api.client_cert is None:
        raise ConfigError(
            "api.client_key is set without api.client_cert",
            hint="api.client_cert is the file with the certificate that belongs to the key",
        )


def _check_auth(auth: Auth) -> None:
    _check_auth_texts(auth)
    for key, types in _OF_TYPES.items():
        if getattr(auth, key) and auth.type not in types:
            raise ConfigError(
                f"api.auth.{key} has no meaning for api.auth.type: {auth.type}",
                hint=f"it belongs to the type {' or '.join(sorted(types))}; see docs/keys.md",
            )
    if auth.type == "oauth2":
        _check_token_url(auth.token_url)
    if auth.type == "login":
        if auth.path is None:
            raise ConfigError(
                "api.auth.path is not set",
                detail="api.auth.type is login",
                hint="the path below api.base_url that gives the token, e.g. /auth/login",
            )
        _check_path("api.auth.path", auth.path)
        if auth.expires_in is not None and auth.expires_at is not None:
            raise ConfigError(
                "api.auth.expires_in and api.auth.expires_at are both set",
                hint="keep the one that the answer of the login has",
            )


def _check_auth_texts(auth: Auth) -> None:
    """Refuse what cannot be sent in a header."""
    texts = {name: getattr(auth, name) for name in ("key", "client_id", "client_secret")}
    texts["prefix"] = auth.prefix and auth.prefix.rstrip(" ")
    for name, text in texts.items():
        if text and not HEADER_VALUE.fullmatch(_plain(text)):
            raise ConfigError(
                f"api.auth.{name} contains characters that are not allowed in an HTTP header",
                hint="look for a line break or a blank at its end",
            )
    for name in ("username", "password"):  # these travel encoded
        text = getattr(auth, name)
        if text and not _plain(text).isprintable():
            raise ConfigError(
                f"api.auth.{name} contains characters that cannot be printed",
                hint="look for a line break at its end",
            )
    names = {"name": auth.sent_name if auth.type == "header" else "X", "header": auth.header}
    for key, header in names.items():
        if not _HEADER_NAME.fullmatch(header):
            raise ConfigError(
                f"api.auth.{key} is not the name of an HTTP header",
                detail=f"its value is {header!r}",
                hint="the name alone, without a colon or a blank: X-API-Key",
            )
    if auth.type == "basic" and auth.username is not None and ":" in auth.username.reveal():
        raise ConfigError(
            "api.auth.username contains a colon, which Basic authentication does not allow",
            hint="write the part behind the colon as api.auth.password",
        )


def _plain(text: str) -> str:
    return text.reveal() if isinstance(text, Secret) else text


def _check_token_url(url: str | None) -> None:
    parts = None if url is None else split_url(url)
    if url is None or parts is None or "@" in parts.netloc or parts.fragment:
        raise ConfigError(
            "api.auth.token_url is not an http(s) URL" if url else "api.auth.token_url is not set",
            detail="api.auth.type is oauth2",
            hint="it looks like https://login.example.com/oauth/token, without a user or password",
        )


def _check_headers(config: Config) -> None:
    """Refuse headers that cannot be sent; no error quotes a value, since each may be a secret."""
    ours = _carrier(config.api.auth)
    for name, value in config.api.headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ConfigError(
                f"api.headers: {name!r} is not the name of an HTTP header",
                hint="the name alone, without a colon or a blank",
            )
        if not HEADER_VALUE.fullmatch(value.reveal()):
            raise ConfigError(
                f"api.headers.{name} contains characters that are not allowed in an HTTP header",
                hint="look for a line break, or a blank at its end",
            )
        if name.lower() in _OUR_HEADERS:
            raise ConfigError(
                f"api.headers.{name} cannot be set: carsync sets it for each request",
                hint="leave it out",
            )
        if name.lower() == ours.lower():
            raise ConfigError(
                f"api.headers.{name} is the header in which api.auth sends the key",
                hint="remove it from api.headers, or set api.auth.type: none",
            )


def _carrier(auth: Auth) -> str:
    """Return the header in which the key or the token travels; empty: in none."""
    if auth.type == "query" or not auth.sends_key:
        return ""
    tokens = auth.type in {"oauth2", "login"}
    return auth.sent_name if auth.type == "header" else auth.header if tokens else "Authorization"


def _check_record(config: Config) -> None:
    record = config.api.record
    if record is None:
        return
    if not any(record.places):
        raise ConfigError(
            "api.record.path must contain {id}, or another column in braces",
            detail=f"got {record.path!r}",
            hint="e.g. /cars/{id}, or /search-lot/{lot_number}",
        )
    _check_path("api.record.path", PLACE.sub("{id}", record.path))
    columns = config.mapping.columns
    unknown = [n for n in record.gone_when if not n.startswith(".") and n not in columns]
    if unknown:
        raise ConfigError(
            f"api.record.gone_when names {unknown[0]}, which is no mapped column",
            hint=f"a field of the record begins with a dot: .{unknown[0]}",
        )


def _check_window(window: Window) -> None:
    """Refuse what no time can be written by: an unknown zone, a format that loses the time."""
    try:
        ZoneInfo(window.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(
            f"api.window.zone: there is no zone {window.zone!r} in the IANA database",
            hint="e.g. Europe/Berlin, or UTC",
        ) from None
    if window.format in WINDOW_FORMATS:
        return
    try:
        read = [datetime.strptime(t.strftime(window.format), window.format) for t in _SOME_TIMES]
        is_exact = all(
            timedelta() <= t - r <= timedelta(1) for t, r in zip(_SOME_TIMES, read, strict=True)
        )
    except (ValueError, re.error):
        is_exact = False
    if not is_exact:
        raise ConfigError(
            f"api.window.format: {window.format!r} does not say a time",
            hint=f"one of {', '.join(WINDOW_FORMATS)}; or as for strftime, e.g. "
            '"%Y-%m-%d %H:%M:%S"',
        )


def _check_removals(removals: Removals) -> None:
    """Refuse tombstones that do not say of which car they are, or when it went."""
    if removals.path is None:
        return
    _check_path("api.removals.path", removals.path)
    if not removals.id or not removals.at:
        raise ConfigError(
            f"api.removals.{'at' if removals.id else 'id'} is missing",
            hint="e.g. api.removals: {path: /archived-lots, id: car_id, at: archived_at}",
        )
    for name in removals.params:
        if names_secret(name):
            raise ConfigError(
                f"api.removals.params sets {name}, which looks like a key",
                hint="a key belongs to api.auth or api.params, which go there too",
            )


def _check_path(key: str, path: str) -> None:
    """Refuse what could be read as an address of its own: the key would go there."""
    if not _PATH.fullmatch(path):
        raise ConfigError(
            f"{key} is not a path below api.base_url",
            detail=f"its value is {shown(key, path)}",
            hint="it begins with one `/`, and holds no blank, backslash or `#`; the host stands "
            "in api.base_url",
        )


def split_url(url: str) -> SplitResult | None:
    """Split an http(s) URL; None for anything else, also for a port that is no number."""
    if _AUTHORITY_ENDS.search(url):
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.scheme in {"http", "https"} and parts.hostname else None


def _check_base_url(base_url: str) -> None:
    parts = split_url(base_url)
    if parts is None:
        raise ConfigError(
            "api.base_url is not an http(s) URL",
            detail=f"its value is {shown('api.base_url', base_url)}",
            hint="it looks like https://api.example.com/v1",
        )
    if "@" in parts.netloc:
        raise ConfigError(
            "api.base_url must not contain a user name or password",
            hint="use api.auth, which keeps the key out of logs",
        )
    if parts.query or parts.fragment:
        raise ConfigError(
            "api.base_url must end before `?` and `#`", hint="query parameters go to api.params"
        )
