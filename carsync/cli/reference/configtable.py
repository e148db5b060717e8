"""The keys of the configuration, from the typed sections and the example's comments."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.inspect import DictType, Field, StructType, UnionType

from carsync.config.keys import choices
from carsync.config.section_base import MOST
from carsync.config.sections import Config

_LINE = re.compile(r"^(?P<indent> *)(?P<name>\w+):(?:\s+(?P<value>[^#]*?))?(?:\s+# (?P<text>.*))?$")
_MORE = re.compile(r"^ +#(?P<text>.*)$")

Comment = tuple[str, tuple[str, ...]]


class Key(Struct, frozen=True):
    """One key: dotted path, type and range in words, default as YAML, the example's comment.

    `examples` are lines of YAML below it.
    """

    path: str
    kind: str
    default: str
    text: str = ""
    examples: tuple[str, ...] = ()


class Part(Struct, frozen=True):
    """A section of the file: its path ("": the whole file), its description, its keys."""

    path: str
    about: str
    keys: tuple[Key, ...]


def parts(example: str) -> list[Part]:
    """Return every section that has keys of its own, in the order of the file.

    `example` is the text of carsync.example.yaml. The keys of members with free names, such
    as a column, come as a section `mapping.columns.NAME`.
    """
    info = msgspec.inspect.type_info(Config)
    assert isinstance(info, StructType)
    return list(_walk(info, "", comments(example)))


def _walk(struct: StructType, prefix: str, texts: dict[str, Comment]) -> Iterator[Part]:
    keys: list[Key] = []
    below: list[tuple[StructType, str]] = []
    for field in struct.fields:
        path = f"{prefix}{field.encode_name}"
        if (section := _struct_of(field.type)) is not None:
            below.append((section, path))
            continue
        text, examples = texts.get(path, ("", ()))
        keys.append(Key(path, _kind(field, path), _default(field), text, examples))
        if (member := _member(field.type)) is not None:
            below.append((member, f"{path}.NAME"))
    if keys:
        about = " ".join(inspect.cleandoc(struct.cls.__doc__ or "").split())
        yield Part(prefix.rstrip("."), about, tuple(keys))
    for inner, path in below:
        yield from _walk(inner, f"{path}.", texts)


def _member(kind: Any) -> StructType | None:
    """Return the section of a mapping's values; None if the values are no section."""
    if not isinstance(kind, DictType):
        return None
    return _struct_of(kind.value_type)


def _struct_of(kind: Any) -> StructType | None:
    """Return the section that a type is, or that stands where null may."""
    is_optional = isinstance(kind, UnionType) and kind.includes_none
    alternatives = kind.types if is_optional else (kind,)
    return next((each for each in alternatives if isinstance(each, StructType)), None)


def _kind(field: Field, path: str) -> str:
    words = choices(path) or choices(path.replace(".NAME.", "."))
    if words:
        named = " or ".join(f"`{word}`" for word in words)
        optional = isinstance(field.type, UnionType) and field.type.includes_none
        return f"{named} or null" if optional else named
    return _describe(field.type)


def _describe(kind: Any) -> str:
    """Name a type as a reader of YAML would, with its range."""
    match kind:
        case UnionType():
            return " or ".join(dict.fromkeys(_describe(each) for each in kind.types))
        case msgspec.inspect.NoneType():
            return "null"
        case msgspec.inspect.BoolType():
            return "true or false"
        case msgspec.inspect.IntType() | msgspec.inspect.FloatType():
            name = "integer" if isinstance(kind, msgspec.inspect.IntType) else "number"
            signs = ((">", kind.gt), ("≥", kind.ge), ("<", kind.lt), ("≤", kind.le))
            met = [(sign, limit) for sign, limit in signs if limit is not None and limit < MOST]
            limits = " and ".join(f"{sign} {limit:g}" for sign, limit in met)
            return f"{name} {limits}".rstrip()
        case msgspec.inspect.StrType():
            return "text" if kind.max_length is None else f"text, at most {kind.max_length} long"
        case msgspec.inspect.ListType():
            return f"list of {_describe(kind.item_type)}"
        case DictType():
            return "mapping"
        case msgspec.inspect.LiteralType():
            return " or ".join(f"`{value}`" for value in kind.values)
        case msgspec.inspect.CustomType():
            return f"{kind.cls.__name__.lower()} text"
        case _:
            return "section"


def _default(field: Field) -> str:
    if field.required:
        return "–"
    made = field.default_factory
    value = field.default if made is msgspec.NODEFAULT else made()
    if isinstance(value, float):
        return f"{value:g}"
    return "null" if value is None else msgspec.json.encode(value).decode().strip('"') or '""'


def comments(example: str) -> dict[str, Comment]:
    """Return the example's comment on each key, by dotted path, and its further lines of YAML.

    A comment continues in the comment lines below; lines indented further are YAML.

    >>> comments("a:\\n  b: 1  # one\\n  # more\\n  #   x: 2\\nc: 3 # three")
    {'a.b': ('one more', ('x: 2',)), 'c': ('three', ())}
    """
    found: dict[str, Comment] = {}
    open_: list[tuple[int, str]] = []
    last = ""
    for line in example.splitlines():
        if (more := _MORE.match(line)) is not None and last in found:
            text, examples = found[last]
            if more["text"].startswith("  "):
                found[last] = text, (*examples, " ".join(more["text"].split()))
            else:
                found[last] = f"{text} {more['text'].strip()}", examples
        elif (key := _LINE.match(line)) is not None:
            depth = len(key["indent"])
            open_ = [(d, name) for d, name in open_ if d < depth] + [(depth, key["name"])]
            last = ".".join(name for _, name in open_)
            if key["text"]:
                found[last] = key["text"].strip(), ()
        else:
            last = ""
    return found
