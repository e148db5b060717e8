"""Reading the configuration: YAML text and an environment in, one frozen `Config` out.

Precedence: option (`--set`), environment variable, file, default. Pure: text and
environment are arguments. Every error names the key, the value (secrets aside) and the
nearest known key.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import yaml
from msgspec import Struct

from carsync.config import yaml_text
from carsync.config.environment import environment_layer
from carsync.config.keys import (
    RENAMED,
    choices,
    fields,
    holds_secret,
    is_optional,
    nearest,
    section_of,
    shown,
    type_of,
)
from carsync.config.mapping_sections import ColumnRule
from carsync.config.presets.loader import resolve
from carsync.config.sections import Config
from carsync.config.validation import check_relations
from carsync.errors import ConfigError
from carsync.redaction import Secret

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_PLACE = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_KEY = re.compile(r"\b[a-z]+\.[a-z_.]+\b")
_EXPLAINED = "the file that `carsync config example` prints"
_UNSET = object()


def parse(
    text: str,
    environ: Mapping[str, str],
    overrides: Iterable[str] = (),
    *,
    origin: str = "the configuration",
) -> Config:
    """Parse YAML `text`, lay `environ` and `overrides` (`KEY=VALUE`) over it, check it.

    The mapping's preset is laid under its own rules. Errors call the file `origin`.
    Raises `ConfigError`.

    >>> parse("limits: {concurrency: 4}", {"RPS": "5"}).limits.requests_per_second
    5.0
    """
    tree = _ConfigTree(_load_yaml(text, environ, origin), origin)
    for name, path, value in environment_layer(environ):
        tree.put(path, value, f"the variable {name}")
    for override in overrides:
        path, value = _split_override(override)
        tree.put(path, value, "--set")
    config = tree.finish()
    try:
        config = msgspec.structs.replace(config, mapping=resolve(config.mapping))
        check_relations(config)
    except ConfigError as exc:
        raise tree.say_who_set(exc) from None
    return config


class _ConfigTree:
    """The file's tree on its way to a `Config`, and where the values laid over it come from."""

    def __init__(self, tree: dict[str, Any], origin: str) -> None:
        self._tree = tree
        self._origin = origin
        self._sources: dict[str, str] = {}

    def put(self, path: str, value: Any, source: str) -> None:
        """Set one key; errors say that its value comes from `source`."""
        *parents, leaf = path.split(".")
        node = self._tree
        for depth, name in enumerate(parents, start=1):
            parent = ".".join(parents[:depth])
            if node.get(name) is None:
                node[name] = {}
                self._sources[parent] = source
            node = node[name]
            if not isinstance(node, dict):
                raise ConfigError(
                    f"{parent} in {self._source(parent)}: must be a mapping of keys",
                    detail=f"its value is {shown(parent, node)}; {source} sets {path}",
                    hint=f"see the comments in {_EXPLAINED}",
                )
        node[leaf] = value
        self._sources[path] = source

    def finish(self) -> Config:
        """Check the whole and return it; raise `ConfigError` for the first fault."""
        self._check_keys(self._tree, Config, "")
        try:
            config = msgspec.convert(self._tree, Config, strict=False, dec_hook=_decode_secret)
        except msgspec.ValidationError as exc:
            raise self._explain(str(exc)) from None
        self._refuse_unusable(msgspec.to_builtins(config, enc_hook=str))
        return config

    def say_who_set(self, exc: ConfigError) -> ConfigError:
        """Return the error, with who set the key that it names, unless that is the file."""
        keys = (key for key in _KEY.findall(exc.problem) if self._source(key) != self._origin)
        if (key := next(keys, None)) is None:
            return exc
        problem = f"{exc.problem} (set by {self._source(key)})"
        return ConfigError(problem, detail=exc.detail, hint=exc.hint)

    def _source(self, path: str) -> str:
        """Say where the value of `path` comes from."""
        near = [source for key, source in self._sources.items() if f"{path}.".startswith(f"{key}.")]
        return near[-1] if near else self._origin

    def _check_keys(self, tree: Any, struct: type[Struct], prefix: str) -> None:
        """Refuse the first key that `struct` does not have; drop sections without any key."""
        if not isinstance(tree, dict):
            return
        known = fields(struct)
        for key, value in list(tree.items()):
            path = f"{prefix}{key}"
            if key not in known:
                meant = RENAMED.get(path) or nearest(str(key), prefix, known)
                raise ConfigError(
                    f"unknown key {path} in {self._source(path)}",
                    detail=f"its value is {shown(path, value, meant)}",
                    hint=f"did you mean {meant}?" if meant else f"known keys: {', '.join(known)}",
                )
            section = section_of(known[key])
            if section is not None and value is None and not is_optional(known[key]):
                del tree[key]  # all of its keys are commented out
            elif section is not None:
                self._check_keys(value, section, f"{path}.")
            elif path == "mapping.columns" and isinstance(value, dict):
                for name, rule in value.items():
                    self._check_keys(rule, ColumnRule, f"{path}.{name}.")

    def _explain(self, message: str) -> ConfigError:
        """Turn msgspec's message into one with the key's path, its value and a hint."""
        match = _PLACE.search(message)
        path = match["path"].lstrip(".") if match else ""
        what = message[: match.start()] if match else message
        if "[...]" in path:
            path = self._name_entry(path)
        value = _value_at(self._tree, path)
        hint = f"see `carsync config schema`, or the comment in {_EXPLAINED}"
        if "regex" in what:
            what = "must be a plain SQL identifier (letters, digits, _)"
        elif words := choices(path):
            hint = f"it is one of: {', '.join(words)}"
        elif isinstance(value, int | float) and "`str" in what:
            hint = "put it in quotes"
        return ConfigError(
            f"{path or 'a key'} in {self._source(path)}: {what[:1].lower()}{what[1:]}",
            detail=f"its value is {shown(path, value)}",
            hint=hint,
        )

    def _name_entry(self, path: str) -> str:
        """Put a name in place of the `[...]` by which msgspec means some entry of a mapping."""
        mapping, _, rest = path.partition("[...]")
        for name, value in _value_at(self._tree, mapping).items():
            try:
                msgspec.convert({name: value}, type_of(mapping), strict=False)
            except msgspec.ValidationError:
                return f"{mapping}.{name}{rest}"
        return mapping

    def _refuse_unusable(self, node: Any, path: str = "") -> None:
        """Refuse NUL, which no file name and no column holds, and a number that is not finite.

        YAML and `float()` read `.inf` and `nan`.
        """
        if isinstance(node, dict):
            for name, value in node.items():
                self._refuse_unusable(value, f"{path}.{name}".lstrip("."))
        elif isinstance(node, list):
            for i, value in enumerate(node):
                self._refuse_unusable(value, f"{path}[{i}]")
        elif isinstance(node, str) and "\0" in node:
            raise ConfigError(f"{path} in {self._source(path)}: must not contain a NUL character")
        elif isinstance(node, float) and not math.isfinite(node):
            raise ConfigError(
                f"{path} in {self._source(path)}: must be a finite number",
                detail=f"its value is {node}",
                hint=f"see the comment in {_EXPLAINED} for how to switch it off",
            )


def _value_at(tree: Any, path: str) -> Any:
    """Return the value at a dotted path (`a.b[1]`), None where there is none."""
    for name in re.findall(r"[^.\[\]]+", path):
        if isinstance(tree, list):
            tree = tree[int(name)]
        else:
            tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


def _load_yaml(text: str, environ: Mapping[str, str], origin: str) -> dict[str, Any]:
    try:
        tree = yaml_text.load(text)
        if tree is None:
            return {}
        if isinstance(tree, dict):
            return dict(_substitute(tree, environ, "", origin))
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(exc, "problem", None) or getattr(exc, "reason", None)
        raise ConfigError(
            f"{origin} is not valid YAML{where}",
            detail=str(problem or "cannot be read"),
            hint="check indentation and quotes around that place",
        ) from None
    except RecursionError:
        raise ConfigError(f"{origin} is nested too deeply, or an alias contains itself") from None
    raise ConfigError(
        f"{origin} must be a mapping of sections",
        detail=f"got {type(tree).__name__}",
        hint=f"the sections are {', '.join(Config.__struct_encode_fields__)}",
    )


def _substitute(node: Any, environ: Mapping[str, str], path: str, origin: str) -> Any:
    """Replace `${NAME}` and `${NAME:-default}` in all strings; an empty result unsets the key."""
    if isinstance(node, dict):
        # As JSON writes them: YAML reads `true:`, and `no:` too, as truth values.
        names = [(json.dumps(k) if isinstance(k, bool) else str(k), v) for k, v in node.items()]
        places = [(name, f"{path}.{name}".lstrip("."), v) for name, v in names]
        filled = {k: _substitute(v, environ, place, origin) for k, place, v in places}
        return {k: v for k, v in filled.items() if v is not _UNSET}
    if isinstance(node, list):
        items = [_substitute(v, environ, f"{path}[{i}]", origin) for i, v in enumerate(node)]
        return [item for item in items if item is not _UNSET]
    if not isinstance(node, str) or "${" not in node:
        return node

    def replace(match: re.Match[str]) -> str:
        name, default = match.groups()
        value = environ.get(name)
        if value is None and default is None:
            raise ConfigError(
                f"{path}: the variable {name} is not set",
                detail=f"{origin} says ${{{name}}}",
                hint=f"export {name}=…, or write ${{{name}:-default}}",
            )
        return value or default or ""

    return _REFERENCE.sub(replace, node) or _UNSET


def _split_override(override: str) -> tuple[str, Any]:
    path, sep, value = override.partition("=")
    path = path.strip()
    if not sep or not path:
        raise ConfigError(
            f"--set {path or override!r} is not KEY=VALUE",
            hint="for example --set limits.requests_per_second=5",
        )
    if holds_secret(path):
        raise ConfigError(
            f"--set {path} would show a secret to every user who can run ps",
            hint="use the environment variable or the file",
        )
    try:
        return path, yaml_text.load(value)
    except yaml.YAMLError:
        return path, value


def _decode_secret(annotation: type, value: Any) -> Any:
    if issubclass(annotation, Secret) and isinstance(value, str):
        return annotation(value)
    raise TypeError(f"Expected `str`, got `{type(value).__name__}`")
