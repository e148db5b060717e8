"""Checks that types cannot make: addresses that lead nowhere, keys that contradict each other."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from carsync.config.dsn import check_dsn
from carsync.config.keys import shown
from carsync.config.lists import check_lists, combine
from carsync.config.sections import Config
from carsync.errors import ConfigError

_PATH = re.compile(
    r"(|(?:/(?!/)|(?![a-z]+:)[\w{])[^\s\\#?\x00-\x1f\x7f]*)(\?[^#]*)?", re.IGNORECASE
)
"""What can only lie below a host (RFC 3986, section 3.3); a query may follow, a fragment not.

A query is encoded before it is sent, so it may hold blanks, as OData's `$filter` does."""
_AUTHORITY_ENDS = re.compile(r"[\s\\\x00-\x1f\x7f]")
"""Signs at which one reader of a URL ends its host and another does not."""
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token (RFC 9110, section 5.6.2)
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")


def check_relations(config: Config) -> None:
    """Check URLs, the connection string, and keys against each other; raise `ConfigError`."""
    if config.api.base_url is not None:
        _check_base_url(config.api.base_url)
    _check_path("api.path", config.api.path)
    if config.notify.url is not None:
        _check_notify_url(config.notify.url.reveal())
    checkpoint = config.checkpoint.path
    if checkpoint is not None and not checkpoint.strip("/."):
        raise ConfigError(
            "checkpoint.path names no file",
            detail=f"its value is {checkpoint!r}",
            hint="e.g. /var/lib/carsync/cars.json; leave it out for a file in the state folder",
        )
    textfile = config.metrics.textfile
    if textfile is not None and not textfile.endswith(".prom"):
        raise ConfigError(
            "metrics.textfile must end in .prom",
            detail=f"its value is {textfile!r}; node_exporter reads no other files",
            hint="e.g. /var/lib/prometheus/node-exporter/carsync.prom",
        )
    if config.database.dsn is not None:
        check_dsn(config.database.dsn.reveal())
    if config.api.method == "GET" and (config.api.body or config.api.form):
        raise ConfigError(
            "api.body and api.form belong to api.method: POST", hint="set api.method: POST"
        )
    check_lists(config.api)
    _check_listed_columns(config)
    _check_record(config)
    auth = config.api.auth
    if auth.key is not None and not _HEADER_VALUE.fullmatch(auth.key.reveal()):
        raise ConfigError(
            "api.auth.key contains characters that are not allowed in an HTTP header",
            hint="look for a line break or a blank at its end",
        )
    if not _HEADER_NAME.fullmatch(auth.name):
        raise ConfigError(
            "api.auth.name is not the name of an HTTP header",
            detail=f"its value is {auth.name!r}",
            hint="the name alone, without a colon or a blank: X-API-Key",
        )
    processes = config.limits.fetcher_processes
    if processes is not None and processes > config.limits.concurrency:
        raise ConfigError(
            "limits.fetcher_processes is greater than limits.concurrency",
            detail=f"{processes} > {config.limits.concurrency}",
            hint="each process runs at least one request at a time",
        )


def _check_listed_columns(config: Config) -> None:
    known = {name for values in combine(config.api.lists) for name in values}
    for column, rule in config.mapping.columns.items():
        if rule is not None and rule.list_ is not None and rule.list_ not in known:
            raise ConfigError(
                f"mapping.columns.{column}.list names {rule.list_}, which is no parameter of "
                "api.lists",
                hint=f"its parameters are {', '.join(sorted(known))}" if known else "",
            )


def _check_record(config: Config) -> None:
    record = config.api.record
    if record is None:
        return
    if "{id}" not in record.path:
        raise ConfigError(
            "api.record.path must contain {id}",
            detail=f"got {record.path!r}",
            hint="e.g. /cars/{id}",
        )
    _check_path("api.record.path", record.path)
    columns = config.mapping.columns
    unknown = [n for n in record.gone_when if not n.startswith(".") and n not in columns]
    if unknown:
        raise ConfigError(
            f"api.record.gone_when names {unknown[0]}, which is no mapped column",
            hint=f"a field of the record begins with a dot: .{unknown[0]}",
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


def _split_url(url: str) -> SplitResult | None:
    """Split an http(s) URL; None for anything else, also for a port that is no number."""
    if _AUTHORITY_ENDS.search(url):
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.scheme in {"http", "https"} and parts.hostname else None


def _check_notify_url(url: str) -> None:
    """Refuse what is no address of a web hook; the error quotes nothing, since all is secret."""
    if _split_url(url) is None or not _HEADER_VALUE.fullmatch(url):
        raise ConfigError(
            "notify.url is not an http(s) URL",
            hint="it looks like https://hooks.slack.com/services/…",
        )


def _check_base_url(base_url: str) -> None:
    parts = _split_url(base_url)
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
