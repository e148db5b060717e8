"""The combinations of `api.lists`, in the order of the configuration. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import product
from math import prod

from carsync.config.api_sections import Api, Value
from carsync.errors import ConfigError
from carsync.redaction import names_secret

MOST_LISTS = 2000
PAGES_EACH = 1_000_000
"""A list has fewer pages than this; two thousand lists fit into PostgreSQL's integer."""
MOST_PAGES = 900_000
REMOVALS_FROM = MOST_LISTS * PAGES_EACH
REMOVAL_PAGES = range(REMOVALS_FROM, 2**31)
"""Pages of `api.removals` have numbers of their own, behind those of all lists."""

_Values = Sequence[Value | dict[str, Value]]


def is_removal(page: int) -> bool:
    """Say whether a page is one of `api.removals`, and not of the feed.

    >>> is_removal(7), is_removal(REMOVALS_FROM + 7)
    (False, True)
    """
    return page in REMOVAL_PAGES


def combine(lists: Mapping[str, _Values]) -> list[dict[str, Value]]:
    """Return the parameters of each combination; those of the last list change first.

    >>> combine({"make": ["Kia", "BMW"], "price": [{"min": 0, "max": 9}, {"min": 10}]})[1:3]
    [{'make': 'Kia', 'min': 10}, {'make': 'BMW', 'min': 0, 'max': 9}]
    """
    each = [[_parameters(name, value) for value in values] for name, values in lists.items()]
    return [{n: v for part in parts for n, v in part.items()} for parts in product(*each)]


def name_of(values: Mapping[str, Value]) -> str:
    """Return the name of a combination.

    >>> name_of({"make": "Kia", "dealer": 1})
    'make=Kia, dealer=1'
    """
    return ", ".join(f"{name}={value}" for name, value in values.items())


def check_lists(api: Api) -> None:
    """Refuse lists that are empty, too many, or the same twice; raise `ConfigError`."""
    used: Counter[str] = Counter()
    for name, values in api.lists.items():
        key = f"api.lists.{name}"
        if not values:
            raise ConfigError(f"{key} has no value", hint="leave it out: the feed is one list then")
        parts = [_parameters(name, value) for value in values]
        if not all(parts):
            raise ConfigError(f"{key} has a value without parameters", hint="e.g. {price_min: 0}")
        named = Counter(map(name_of, parts))
        if (twice := named.most_common(1)[0])[1] > 1:
            raise ConfigError(
                f"{key} has the same value twice: {twice[0]}",
                hint="each of its cars would be read twice",
            )
        used.update({param for part in parts for param in part})
    _check_parameters(api, used)
    count = prod(map(len, api.lists.values()))
    if count > MOST_LISTS:
        raise ConfigError(
            f"api.lists has {count:,} combinations",
            hint=f"at most {MOST_LISTS:,}: use several configurations, each with a sync.source of "
            "its own",
        )
    if api.lists and api.pagination.max_pages > MOST_PAGES:
        raise ConfigError(
            "api.pagination.max_pages is too large for a feed with api.lists",
            hint=f"it is for one list, and at most {MOST_PAGES:,}",
        )


def _check_parameters(api: Api, used: Mapping[str, int]) -> None:
    keys = api.pagination
    paging: Collection[str | None] = {
        keys.page_param,
        keys.size_param,
        keys.offset_param,
        keys.cursor_param,
    }
    for name, times in used.items():
        if name in api.params or name in paging or times > 1:
            other = "api.params" if name in api.params else "api.pagination"
            raise ConfigError(
                f"api.lists sets the parameter {name}, and so does "
                f"{'another list' if times > 1 else other}",
                hint="a parameter has one value in a request",
            )
        if names_secret(name):
            raise ConfigError(
                f"api.lists sets the parameter {name}, which looks like a key",
                hint="its values are shown; a key belongs to api.auth or api.params",
            )


def _parameters(name: str, value: Value | dict[str, Value]) -> dict[str, Value]:
    return value if isinstance(value, dict) else {name: value}
