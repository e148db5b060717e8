"""The keys of the configuration: their names and types, the JSON Schema, what errors may show.

Derived from `sections.py`, where each key lives once.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Literal, get_args, get_origin

import msgspec
from msgspec import Struct

from carsync.config.sections import Config
from carsync.redaction import Hidden, Secret, names_secret

RENAMED = {"api.record_path": "api.record.path"}
"""Keys that a better one replaced."""

_SCHEMAS: dict[type, dict[str, Any]] = {
    Secret: {"type": "string"},
    Hidden: {"type": "string"},
}
_SECRET_NAME = re.compile(r"key|dsn|pass|secret|token|proxy", re.IGNORECASE)
_SECRET_TEXT = re.compile(r"://[^/\s]*@|passw(or)?d", re.IGNORECASE)


def keys(struct: type[Struct] = Config, prefix: str = "") -> list[str]:
    """Return the dotted names of a section's keys in their order, each behind `prefix`."""
    found: list[str] = []
    for name, annotation in fields(struct).items():
        section = section_of(annotation)
        found += [prefix + name] if section is None else keys(section, f"{prefix}{name}.")
    return found


@cache
def fields(struct: type[Struct]) -> Mapping[str, Any]:
    """Return the keys of one section, as the file names them, and their types.

    Kept, because msgspec reads all annotations anew each time, which every start would feel.
    """
    found = {field.encode_name: field.type for field in msgspec.structs.fields(struct)}
    return MappingProxyType(found)


def section_of(annotation: Any) -> type[Struct] | None:
    """Return the section that `annotation` is, or may be, or None for a plain key's type."""
    parts = get_args(annotation) if is_optional(annotation) else (annotation,)
    found = (part for part in parts if isinstance(part, type) and issubclass(part, Struct))
    return next(found, None)


def is_optional(annotation: Any) -> bool:
    """Say whether a key, or a section, of this type may be null."""
    return get_origin(annotation) is UnionType and NoneType in get_args(annotation)


def type_of(path: str) -> Any:
    """Return the type of the section or key `path`, None for an unknown one.

    >>> type_of("limits.concurrency.x") is None
    True
    """
    annotation: Any = Config
    for name in path.split("."):
        section = section_of(annotation)
        annotation = fields(section).get(name) if section is not None else None
    return annotation


def choices(path: str) -> list[str]:
    """Return the words that the key `path`, or an entry of it, takes; empty: any value.

    >>> choices("mapping.hash.algorithm"), choices("notify.events[2]")[:2]
    (['xxh3_128', 'md5'], ['failed', 'partial'])
    """
    annotation = type_of(path.partition("[")[0])
    alternatives = [annotation, *get_args(annotation)]
    return [word for each in alternatives if get_origin(each) is Literal for word in get_args(each)]


def nearest(key: str, prefix: str, names: Iterable[str]) -> str | None:
    """Return the known key nearest to the unknown `prefix` + `key`; None where nothing is near.

    A key of the same section, one of `names`, wins over one of another section.

    >>> nearest("concurency", "limits.", ["burst", "concurrency"])
    'limits.concurrency'
    """
    if close := difflib.get_close_matches(key, list(names), n=1, cutoff=0.6):
        return prefix + close[0]
    leaves = {path.rpartition(".")[2]: path for path in reversed(keys())}
    far = difflib.get_close_matches(key, list(leaves), n=1, cutoff=0.9)
    return leaves[far[0]] if far else None


def _parts(annotation: Any) -> tuple[Any, ...]:
    """Return a type and the types that it is made of."""
    return (annotation, *get_args(annotation))


SECRET_KEYS = tuple(key for key in keys() if {Secret, Hidden} & {*_parts(type_of(key))})
"""The keys whose value, or each of whose values, is a secret."""


def holds_secret(path: str) -> bool:
    """Say whether the key `path` is a secret, an entry of one, or a section that holds one."""
    path = f"{path}."
    return any(f"{key}.".startswith(path) or path.startswith(f"{key}.") for key in SECRET_KEYS)


def secrets_of(config: Config) -> list[str]:
    """Return the texts of all secrets that a configuration holds."""
    found: list[str] = []
    for key in SECRET_KEYS:
        value: Any = config
        for name in key.split("."):
            value = getattr(value, name)
        if isinstance(value, dict):
            found += [text.reveal() for name, text in value.items() if names_secret(name)]
        elif value:
            found.append(value.reveal())
    return found


def shown(path: str, value: Any, meant: str | None = None) -> str:
    """Return `value` as an error may show it: anything that could be a secret is `***`.

    `meant` is the known key nearest to an unknown `path`.
    """
    plain = value is None or isinstance(value, bool)
    named = holds_secret(path) or _SECRET_NAME.search(path) is not None
    if not plain and (named or (meant is not None and holds_secret(meant))):
        return "***"
    text = repr(value)
    if _SECRET_TEXT.search(text):
        return "***"
    return text if len(text) <= 80 else text[:77] + "…"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the file; scalars may also be `${NAME}` references."""
    schema = msgspec.json.schema(Config, schema_hook=_SCHEMAS.__getitem__)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "carsync configuration",
        **_allow_references(schema),
    }


def _allow_references(node: Any) -> Any:
    """Let every number and boolean of the schema also be a `${NAME}` string."""
    if isinstance(node, list):
        return [_allow_references(v) for v in node]
    if not isinstance(node, dict):
        return node
    walked = {k: _allow_references(v) for k, v in node.items()}
    if walked.get("type") in ("integer", "number", "boolean"):
        about = {k: walked.pop(k) for k in ("default", "title", "description") if k in walked}
        reference = {"type": "string", "pattern": r"\$\{[A-Za-z_]"}
        return {"anyOf": [walked, reference], **about}
    return walked
