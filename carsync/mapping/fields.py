"""Paths into records, and the decodable types that hold just the values at them.

A path is dotted: names, positions, and choices from lists (`lots[status.name=sale].bid`). It
goes through a text that holds the JSON of an object or a list as through the value itself. It
leads to a JSON value, or to a marker that says why there is none: `Misplaced` (the record is
built otherwise) or `Unholdable` (no value can hold it).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from operator import attrgetter, itemgetter
from types import NoneType
from typing import Any

import msgspec

from carsync.errors import ConfigError
from carsync.mapping.choice import Choice, parse_choice

FieldPath = tuple[str, ...]
"""Names and positions; a part that is a `Choice` chooses an item of a list."""

_NAME = re.compile(r"(?:@odata\.)?[^.\[]*")  # the names of OData's own fields hold a dot
_BRACKET = re.compile(r'\[((?:[^"\]]|"[^"]*")*)\]')

SCALARS = str | int | float | bool | None
_KINDS = {NoneType: "null", int: "a number", float: "a number", str: "a text", list: "a list"}


class Misplaced:
    """Stands for a value that its path cannot reach; `reason` says why."""

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __repr__(self) -> str:
        return f"Misplaced({self.reason!r})"


class Unholdable:
    """Stands for a JSON token that no value can hold: NaN, 1e400, nesting without end.

    No dataclass, which msgspec would write as JSON without asking.
    """

    __slots__ = ("token",)

    def __init__(self, token: str) -> None:
        self.token = token


def parse_path(text: str) -> FieldPath:
    """Split a path; `""` is the record, or the answer, itself. Raises `ConfigError`.

    >>> parse_path("lots.0.bid"), parse_path("lots[0].bid"), parse_path("@odata.nextLink")
    (('lots', '0', 'bid'), ('lots', '0', 'bid'), ('@odata.nextLink',))
    >>> parse_path(""), parse_path('["a.b"].c'), parse_path("lots[status=sale | -1].bid")
    ((), ('a.b', 'c'), ('lots', '[status=sale | -1]', 'bid'))
    """
    parts: list[str] = []
    at = 0
    while text:
        is_bracket = text.startswith("[", at)
        match = (_BRACKET if is_bracket else _NAME).match(text, at)
        if match is None:
            raise _no_path(text, "a bracket has no end")
        try:
            parts.append(parse_choice(match[1]) if is_bracket else match[0])
        except ValueError as exc:
            raise _no_path(text, str(exc)) from None
        at = match.end()
        if at == len(text):
            break
        if text[at] == ".":
            at += 1
        elif text[at] != "[":
            raise _no_path(text, "a dot is missing behind a bracket")
    return tuple(parts)


def _no_path(text: str, detail: str) -> ConfigError:
    hint = "for example lots.0.bid, lots[-1].bid or lots[status.name=sale | 0].bid"
    return ConfigError(f"{text} is not the path of a value", detail=detail, hint=hint)


def describe(value: Any) -> str:
    """Name the kind of a JSON value, in words for a reject's reason."""
    if isinstance(value, Unholdable):
        return value.token
    if isinstance(value, bool):
        return str(value).lower()
    return _KINDS.get(value.__class__, "an object")


def walk(value: Any, path: FieldPath) -> Any:
    """Follow `path` through a plain JSON value; None if a part of the path is missing or empty.

    >>> walk({"normal": ["a.jpg"]}, ("normal", "0")), walk([], ("normal", "0"))
    ('a.jpg', None)
    >>> walk({"lot": '{"bid": 5}'}, ("lot", "bid"))
    5
    >>> walk("x", ("normal",))
    Misplaced('a text instead of an object')
    """
    for part in path:
        if value.__class__ is str:
            value = _read_inside(value)
        if part.__class__ is Choice:
            value = _choose(value, part)
        elif value.__class__ is dict:
            value = value.get(part)
        elif value.__class__ is list and part.isdecimal():
            value = value[int(part)] if int(part) < len(value) else None
        else:
            return _astray(value, "a list" if part.isdecimal() else "an object")
    return value


def _choose(items: Any, choice: Any) -> Any:
    if items.__class__ is not list:
        return _astray(items, "a list")
    chosen = choice.choose(len(items), lambda n, path: walk(items[n], path))
    return None if chosen is None else items[chosen]


def _read_inside(text: str) -> Any:
    """Return the object or the list whose JSON a text is; any other text stays."""
    if text.lstrip()[:1] not in {"{", "["}:
        return text
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return text


def _astray(value: Any, expected: str) -> Misplaced | Unholdable | None:
    if value is None or value == [] or value == {}:  # PHP writes an empty object as []
        return None
    if isinstance(value, Misplaced | Unholdable):
        return value
    return Misplaced(f"{describe(value)} instead of {expected}")


Step = tuple[int, Callable[[list[Any]], list[Any]]]


class RecordType:
    """The decodable type that holds exactly the values at `paths`, and the way to each value."""

    def __init__(
        self, paths: Iterable[FieldPath], leaf_types: dict[FieldPath, Any] | None = None
    ) -> None:
        self._steps: list[Step] = []
        self._slots: dict[FieldPath, int] = {}
        self._leaf_types = leaf_types or {}
        self.type: Any = self._build((), 0, sorted(set(paths)))

    def slot(self, path: FieldPath) -> int:
        """Return where `gather` puts the values found at `path`, one of the paths given."""
        return self._slots[path]

    def gather(self, owners: list[Any]) -> list[list[Any]]:
        """Return for each slot the values in `owners`: decoded instances, or plain JSON."""
        slots = [owners]
        for source, step in self._steps:
            slots.append(step(slots[source]))
        return slots

    def _add(self, source: int, step: Callable[[list[Any]], list[Any]]) -> int:
        self._steps.append((source, step))
        return len(self._steps)

    def _build(self, prefix: FieldPath, source: int, rests: Sequence[FieldPath]) -> Any:
        """Return the type of the values in slot `source`, which stand at `prefix`."""
        heads = sorted({rest[0] for rest in rests if rest})
        if () not in rests and all(map(_is_field_name, heads)):
            return self._build_object(prefix, source, rests, heads)
        if () not in rests and len(heads) == 1 and heads[0].isdecimal():
            slot = self._add(source, _item_getter(int(heads[0])))
            element = self._build((*prefix, heads[0]), slot, [rest[1:] for rest in rests])
            return list[element] | dict[str, Any] | SCALARS  # type: ignore[valid-type]
        is_list = all(head.__class__ is Choice or head.isdecimal() for head in heads)
        if () not in rests and is_list and any(head.__class__ is Choice for head in heads):
            return self._build_list(prefix, source, rests, heads)
        # Wanted whole, or at several positions that need not look alike.
        for rest in rests:
            step = partial(_walk_all, rest)
            self._slots[prefix + rest] = self._add(source, step) if rest else source
        return self._leaf_types.get(prefix, Any)

    def _build_list(
        self, prefix: FieldPath, source: int, rests: Sequence[FieldPath], heads: list[str]
    ) -> Any:
        """Build the type of a list whose items are chosen by what they hold."""
        compared = {path for head in heads if isinstance(head, Choice) for path in head.paths}
        element = RecordType({rest[1:] for rest in rests} | compared)
        for head in heads:
            get = _picker(head, element) if isinstance(head, Choice) else _item_getter(int(head))
            opened = self._add(self._add(source, get), element.gather)
            for rest in rests:
                if rest[0] == head:
                    read = itemgetter(element.slot(rest[1:]))
                    self._slots[prefix + rest] = self._add(opened, read)
        return list[element.type] | dict[str, Any] | SCALARS  # type: ignore[name-defined]

    def _build_object(
        self, prefix: FieldPath, source: int, rests: Sequence[FieldPath], heads: list[str]
    ) -> Any:
        opener = _StructReader(heads)
        opened = self._add(source, opener)
        fields: list[tuple[str, Any, None]] = []
        for attribute, head in zip(opener.attributes, heads, strict=True):
            slot = self._add(opened, partial(_map, attrgetter(attribute)))
            below = [rest[1:] for rest in rests if rest[0] == head]
            fields.append((attribute, self._build((*prefix, head), slot, below), None))
        opener.struct = msgspec.defstruct(
            "_".join(("Record", *prefix)).replace("-", "_"),
            fields,
            rename=dict(zip(opener.attributes, heads, strict=True)),
            gc=False,
        )
        return opener.struct | list[Any] | SCALARS


def _is_field_name(key: str) -> bool:
    """Tell whether a struct can have a field for this key: msgspec refuses what needs an escape."""
    is_plain = not key.isdecimal() and key.__class__ is not Choice
    return is_plain and key.isprintable() and not set(key) & {'"', "\\"}


def _map(read: Callable[[Any], Any], owners: list[Any]) -> list[Any]:
    return list(map(read, owners))


def _walk_all(path: FieldPath, owners: list[Any]) -> list[Any]:
    if owners.count(None) == len(owners):
        return owners
    return [walk(owner, path) for owner in owners]


def _as_list(owner: Any) -> Any:
    """Return the owner where it is a list, or a text that holds one; else what stands there."""
    if owner.__class__ is str:
        owner = _read_inside(owner)
    return owner if owner.__class__ is list else _astray(owner, "a list")


def _item_getter(position: int) -> Callable[[list[Any]], list[Any]]:
    def get(owners: list[Any]) -> list[Any]:
        lists = [o if o.__class__ is list else _as_list(o) for o in owners]
        return [
            (owner[position] if position < len(owner) else None)
            if owner.__class__ is list
            else owner
            for owner in lists
        ]

    return get


def _picker(choice: Choice, element: RecordType) -> Callable[[list[Any]], list[Any]]:
    """Return the step that chooses an item of each list; `element` is the type of the items."""
    slots = {path: element.slot(path) for path in choice.paths}

    def pick(owners: list[Any]) -> list[Any]:
        lists = [o if o.__class__ is list else _as_list(o) for o in owners]
        open_ = [o for o in lists if o.__class__ is list and not choice.is_sure(len(o))]
        columns = element.gather(list(chain.from_iterable(open_))) if slots and open_ else []
        picked, start = [], 0
        for owner in lists:
            if owner.__class__ is not list:
                picked.append(owner)
            elif choice.is_sure(len(owner)):
                picked.append(owner[0])
            else:
                chosen = choice.choose(
                    len(owner),
                    lambda n, path, start=start: columns[slots[path]][start + n],  # type: ignore[misc]
                )
                picked.append(None if chosen is None else owner[chosen])
                start += len(owner)
        return picked

    return pick


class _StructReader:
    """Makes every value an instance of `struct`: as decoded, from a plain object, or a stand-in."""

    def __init__(self, heads: list[str]) -> None:
        self.heads = heads
        self.attributes = [f"f{n}" for n in range(len(heads))]
        self.struct: Any = None

    def __call__(self, owners: list[Any]) -> list[Any]:
        struct, stand_in = self.struct, self._stand_in
        return [o if o.__class__ is struct else stand_in(o) for o in owners]

    def _stand_in(self, owner: Any) -> Any:
        if owner.__class__ is str:
            owner = _read_inside(owner)
        if owner.__class__ is dict:
            return self.struct(*[owner.get(head) for head in self.heads])
        return self.struct(*[_astray(owner, "an object")] * len(self.heads))
