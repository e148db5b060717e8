"""Where values go, those of paging and others: templates, dotted places in a body. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from carsync.source.request import Parameter

PAGING = frozenset({"page", "offset", "size", "cursor"})
"""The values of paging that a template may name."""
_NAME = re.compile(r"\{([A-Za-z_][\w.-]*)\}")


def fill(value: Any, values: Mapping[str, Any]) -> Any:
    """Return a copy of `value`, with `values` in its texts' templates; other names stay.

    A text that is one template alone becomes the value itself.

    >>> fill({"sr": "|Date|{offset}|{size}", "from": "{offset}"}, {"offset": 100, "size": 50})
    {'sr': '|Date|100|50', 'from': 100}
    """
    if isinstance(value, Mapping):
        return {name: fill(member, values) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [fill(member, values) for member in value]
    if not isinstance(value, str):
        return value
    if (alone := _NAME.fullmatch(value)) and alone[1] in values:
        return values[alone[1]]
    return _NAME.sub(lambda found: _text(values.get(found[1], found[0])), value)


def names_in(value: Any, known: Collection[str] = PAGING) -> set[str]:
    """Return those of the `known` names, by default of paging, for which `value` has a template.

    >>> sorted(names_in({"sr": ["|{offset}|{size}"], "other": "{id}"}))
    ['offset', 'size']
    """
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return set().union(*(names_in(member, known) for member in value))
    return set(_NAME.findall(value)).intersection(known) if isinstance(value, str) else set()


def without(value: Any, names: Collection[str]) -> Any:
    """Return a copy of `value`, without the members that have a template for one of the `names`.

    >>> without({"q": "make:{make}", "in": [{"since": "{since}", "n": 1}]}, {"since"})
    {'q': 'make:{make}', 'in': [{'n': 1}]}
    """
    if isinstance(value, Mapping):
        kept = {n: v for n, v in value.items() if not isinstance(v, str) or not names_in(v, names)}
        return {name: without(member, names) for name, member in kept.items()}
    if isinstance(value, list | tuple):
        return [
            without(v, names) for v in value if not isinstance(v, str) or not names_in(v, names)
        ]
    return value


def put(body: dict[str, Any], place: str, value: Parameter | list[Any]) -> None:
    """Put `value` at a dotted place of a JSON body, which is changed.

    >>> body = {"page": {"size": 10}}
    >>> put(body, "page.number", 3), body
    (None, {'page': {'size': 10, 'number': 3}})
    """
    *way, last = place.split(".")
    for name in way:
        inner = body.get(name)
        if not isinstance(inner, dict):
            inner = body[name] = {}
        body = inner
    body[last] = value


def value_at(body: Any, place: str) -> Any:
    """Return the value at a dotted place of decoded JSON; None where nothing is.

    >>> value_at({"page": {"next": "k7"}}, "page.next"), value_at({"page": 3}, "page.next")
    ('k7', None)
    """
    for name in place.split("."):
        body = body.get(name) if isinstance(body, dict) else None
    return body


def _text(value: Any) -> str:
    return "" if value is None else str(value)
