"""What must stay the same within a run: a digest each of feed, mapping and table."""

from __future__ import annotations

import msgspec
import xxhash

from carsync.config.dsn import place_of
from carsync.config.sections import Config
from carsync.mapping.mapper import Mapper

_CHANGED = {
    "feed": "the feed's settings changed (api.base_url, path, params or pagination)",
    "mapping": "the mapping or its hash changed",
    "table": "the target table, its database or sync.source changed",
}


def fingerprints(config: Config, mapper: Mapper) -> dict[str, str]:
    """Return one digest each for what must stay the same within a run.

    Pages staged from another feed, by another mapping or for another table must
    never be mixed with this run's. `origin` is the feed however it is paged.
    """
    api = config.api
    origin = [api.base_url, api.path, api.params]
    return {
        "origin": _digest(origin),
        "feed": _digest([*origin, msgspec.to_builtins(api.pagination)]),
        "mapping": _digest([mapper.fingerprint, mapper.hash_scheme]),
        "table": _digest(place_of(config)),
    }


def differences(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """Say, in words, what changed between two sets of fingerprints.

    >>> differences({"feed": "1", "mapping": "2"}, {"feed": "1", "mapping": "3"})
    ['the mapping or its hash changed']
    """
    return [words for part, words in _CHANGED.items() if old.get(part) != new.get(part)]


def _digest(value: object) -> str:
    return xxhash.xxh3_128_hexdigest(msgspec.json.encode(value, order="deterministic"))
