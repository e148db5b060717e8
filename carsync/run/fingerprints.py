"""What must stay the same within a run: a digest each of feed, mapping and table."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

import msgspec
import xxhash

from carsync.config.api_sections import Api
from carsync.config.dsn import place_of
from carsync.config.sections import Config
from carsync.errors import ConfigError
from carsync.mapping.mapper import Mapper
from carsync.redaction import names_secret
from carsync.state.runs import Run

_CHANGED = {
    "feed": "the feed's settings changed (api.base_url, path, params, body, lists, removals or "
    "pagination)",
    "mapping": "the mapping or its hash changed",
    "table": "the target table, its database or sync.source changed",
}


def fingerprints(config: Config, mapper: Mapper) -> dict[str, str]:
    """Return one digest each for what must stay the same within a run.

    Pages staged from another feed, by another mapping or for another table must
    never be mixed with this run's. `origin` is the feed however it is paged.
    """
    api, origin = config.api, _origin(config.api)
    paging = [api.method, api.form, msgspec.to_builtins(api.pagination)]
    paging += [list(api.lists.items())] if api.lists else []  # in their order: pages count so
    paging += [msgspec.to_builtins(api.removals)] if api.removals.path else []
    return {
        "origin": _digest(origin),
        "feed": _digest([*origin, *paging]),
        "mapping": _digest([mapper.fingerprint, mapper.hash_scheme]),
        "table": _digest(place_of(config)),
    }


def find_other_feed(config: Config, last: Run | None) -> ConfigError | None:
    """Return the error that refuses a feed other than that of the source's `last` merged run.

    What the first feed lists, the second one does not: its cars would be deactivated.
    """
    before = last.fingerprints.get("origin") if last else None
    if last is None or before in {None, _digest(_origin(config.api))}:
        return None
    return ConfigError(
        f"another feed wrote the cars of the source {config.sync.source}: api.base_url, path or "
        f"params are not those of run {last.run_id}",
        hint="give this feed a name of its own (sync.source); where it is the same feed at a new "
        "address, run `carsync sync --adopt-source` once",
    )


def differences(
    old: dict[str, str], new: dict[str, str], parts: Collection[str] = tuple(_CHANGED)
) -> list[str]:
    """Say, in words, what changed between two sets of fingerprints, of these `parts`.

    >>> differences({"feed": "1", "mapping": "2"}, {"feed": "1", "mapping": "3"})
    ['the mapping or its hash changed']
    """
    return [
        words
        for part, words in _CHANGED.items()
        if part in parts and old.get(part) != new.get(part)
    ]


def _origin(api: Api) -> list[Any]:
    """Return what names a feed, whatever key its parameters hold."""
    params = {name: value for name, value in api.params.items() if not names_secret(name)}
    body = {name: value for name, value in api.body.items() if not names_secret(name)}
    return [_address(api.base_url or ""), api.path, params, *([body] if body else [])]


def _address(url: str) -> str:
    """Return one text for all addresses of a feed: with or without TLS, default port and slash.

    >>> _address("http://Feed.example.com:80/v1/"), _address("http://h:8080")
    ('https://feed.example.com/v1', 'http://h:8080')
    """
    parts = urlsplit(url)
    is_usual = parts.port in {None, {"http": 80, "https": 443}.get(parts.scheme)}
    start = "https://" if is_usual else f"{parts.scheme}://"
    port = "" if is_usual else f":{parts.port}"
    return f"{start}{parts.hostname}{port}{parts.path}".rstrip("/")


def _digest(value: object) -> str:
    return xxhash.xxh3_128_hexdigest(msgspec.json.encode(value, order="deterministic"))
