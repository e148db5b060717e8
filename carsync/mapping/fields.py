"""Dotted paths into records, and the decodable types that hold just the values at them.

A path leads to a JSON value, or to a marker that says why there is none: `Misplaced`
(the record is built otherwise) or `Unholdable` (no value can hold it).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from operator import attrgetter
from types import NoneType
from typing import Any

import msgspec

FieldPath = tuple[str, ...]

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
    """Split a dotted path; `""` is the record, or the answer, itself.

    The names of OData's own fields hold a dot.

    >>> parse_path("lots.0.bid"), parse_path("@odata.nextLink"), parse_path("")
    (('lots', '0', 'bid'), ('@odata.nextLink',), ())
    """
    parts = text.replace("@odata.", "@odata\0").split(".") if text else ()
    return tuple(part.replace("\0", ".") for part in parts)


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
    >>> walk("x", ("normal",))
    Misplaced('a text instead of an object')
    """
    for part in path:
        if value.__class__ is dict:
            value = value.get(part)
        elif value.__class__ is list and part.isdecimal():
            value = value[int(part)] if int(part) < len(value) else None
        else:
            return _astray(value, "a list" if part.isdecimal() else "an object")
    return value


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
        # Wanted whole, or at several positions that need not look alike.
        for rest in rests:
            step = partial(_map, partial(walk, path=rest))
            self._slots[prefix + rest] = self._add(source, step) if rest else source
        return self._leaf_types.get(prefix, Any)

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
    return not key.isdecimal() and key.isprintable() and not set(key) & {'"', "\\"}


def _map(read: Callable[[Any], Any], owners: list[Any]) -> list[Any]:
    return list(map(read, owners))


def _item_getter(position: int) -> Callable[[list[Any]], list[Any]]:
    def get(owners: list[Any]) -> list[Any]:
        return [
            (owner[position] if position < len(owner) else None)
            if owner.__class__ is list
            else _astray(owner, "a list")
            for owner in owners
        ]

    return get


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
        if owner.__class__ is dict:
            return self.struct(*[owner.get(head) for head in self.heads])
        return self.struct(*[_astray(owner, "an object")] * len(self.heads))
