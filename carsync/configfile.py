"""Reading the configuration: YAML text and an environment in, one frozen `Config` out.

Precedence: option (`--set`), environment variable, file, default. Pure: the front
hands text and environment in. Every error names the key, the value (secrets aside)
and the nearest known key.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec
import yaml
from msgspec import Struct

from carsync.config import ColumnRule, Config, Secret
from carsync.errors import ConfigError

VARIABLES: dict[str, str] = {
    "API_BASE_URL": "api.base_url",
    "API_KEY": "api.auth.key",
    "CONCURRENCY": "limits.concurrency",
    "RPS": "limits.requests_per_second",
    "PAGE_SIZE": "api.pagination.page_size",
    "BATCH_SIZE": "database.batch_size",
    "PARALLEL_BATCHES": "database.writers",
    "DATABASE_URL": "database.dsn",
}
"""Environment variables that always work, and the key each one sets."""

_SECRET_KEYS = frozenset({"api.auth.key", "database.dsn", "api.proxy"})
_SECRET_NAME = re.compile(r"key|dsn|pass|secret|token|proxy")
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_TAGLESS = re.compile(r" - at `\$(?P<path>[^`]*)`$")


def parse(
    text: str,
    environ: Mapping[str, str],
    overrides: Iterable[str] = (),
    *,
    origin: str = "the configuration",
) -> Config:
    """Parse YAML `text`, lay `environ` and `overrides` (`KEY=VALUE`) over it, check it.

    `origin` is how errors call the file. Raises `ConfigError`.

    >>> parse("limits: {concurrency: 4}", {"RPS": "5"}).limits.requests_per_second
    5.0
    """
    tree = _load_yaml(text, environ, origin)
    for path, value in _environment_layer(environ).items():
        _put(tree, path, value)
    for override in overrides:
        path, value = _split_override(override)
        _put(tree, path, value)
    _refuse_unknown(tree, Config, "", origin)
    try:
        config = msgspec.convert(tree, Config, strict=False, dec_hook=_decode_secret)
    except msgspec.ValidationError as exc:
        raise _explain(exc, tree, origin) from None
    _check_relations(config)
    return config


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the file; scalars may also be `${NAME}` references."""
    schema = msgspec.json.schema(Config, schema_hook=_secret_schema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "carsync configuration",
        **_allow_references(schema),
    }


def keys() -> list[str]:
    """Return the dotted names of all keys, in the order of the sections."""
    return list(_walk_keys(Config, ""))


def _walk_keys(struct: type[Struct], prefix: str) -> Iterable[str]:
    for field in msgspec.structs.fields(struct):
        path = f"{prefix}{field.encode_name}"
        section = _section_of(field.type)
        if section is not None:
            yield from _walk_keys(section, f"{path}.")
        else:
            yield path


def _section_of(annotation: Any) -> type[Struct] | None:
    if isinstance(annotation, type) and issubclass(annotation, Struct):
        return annotation
    return None


def _load_yaml(text: str, environ: Mapping[str, str], origin: str) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(exc, "problem", None) or "cannot be read"
        raise ConfigError(
            f"{origin} is not valid YAML{where}",
            detail=str(problem),
            hint="check indentation and quotes around that place",
        ) from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(
            f"{origin} must be a mapping of sections",
            detail=f"got {type(tree).__name__}",
            hint=f"the sections are {', '.join(Config.__struct_encode_fields__)}",
        )
    substituted = _substitute(tree, environ, "", origin)
    assert isinstance(substituted, dict)
    return {name: section for name, section in substituted.items() if section is not None}


def _substitute(node: Any, environ: Mapping[str, str], path: str, origin: str) -> Any:
    """Replace `${NAME}` and `${NAME:-default}` in all strings; an empty result means unset."""
    if isinstance(node, dict):
        return {
            str(k): _substitute(v, environ, f"{path}.{k}".lstrip("."), origin)
            for k, v in node.items()
        }
    if isinstance(node, list):
        return [_substitute(v, environ, f"{path}[{i}]", origin) for i, v in enumerate(node)]
    if not isinstance(node, str) or "${" not in node:
        return node

    def replace(match: re.Match[str]) -> str:
        name, default = match.group(1), match.group(2)
        value = environ.get(name)
        if default is not None:
            return value or default
        if value is None:
            raise ConfigError(
                f"{path}: the variable {name} is not set",
                detail=f"{origin} says {match.group(0)}",
                hint=f"export {name}=…, or write ${{{name}:-default}}",
            )
        return value

    return _REFERENCE.sub(replace, node) or None


def _environment_layer(environ: Mapping[str, str]) -> dict[str, str]:
    """Give key → value for the variables that always work, Supabase's included."""
    layer = {path: environ[name] for name, path in VARIABLES.items() if environ.get(name)}
    if "database.dsn" in layer:
        return layer
    if environ.get("SUPABASE_DB_URL"):
        layer["database.dsn"] = environ["SUPABASE_DB_URL"]
    elif environ.get("SUPABASE_URL") and environ.get("SUPABASE_DB_PASSWORD"):
        layer["database.dsn"] = _supabase_dsn(
            environ["SUPABASE_URL"], environ["SUPABASE_DB_PASSWORD"]
        )
    return layer


def _supabase_dsn(url: str, password: str) -> str:
    """Derive the direct connection string of a Supabase project from its URL.

    >>> _supabase_dsn("https://abcd.supabase.co", "p/w")
    'postgresql://postgres:p%2Fw@db.abcd.supabase.co:5432/postgres?sslmode=require'
    """
    host = urlsplit(url).hostname or ""
    reference, _, domain = host.partition(".")
    if not reference or domain not in {"supabase.co", "supabase.in", "supabase.net"}:
        raise ConfigError(
            "SUPABASE_URL is not a Supabase project URL",
            detail=f"got host {host!r}",
            hint="it looks like https://PROJECT.supabase.co; for anything else set DATABASE_URL",
        )
    secret = quote(password, safe="")
    return f"postgresql://postgres:{secret}@db.{reference}.{domain}:5432/postgres?sslmode=require"


def supabase_hint(environ: Mapping[str, str]) -> str:
    """Say what is missing where only part of Supabase's variables is set; empty otherwise."""
    if environ.get("SUPABASE_SERVICE_ROLE_KEY"):
        return (
            "SUPABASE_SERVICE_ROLE_KEY opens Supabase's REST gateway, which carsync does not use; "
            "copy the connection string from Supabase: project → Connect → Session pooler, "
            "and set it as SUPABASE_DB_URL"
        )
    if environ.get("SUPABASE_URL"):
        return "SUPABASE_URL alone is not enough: set SUPABASE_DB_PASSWORD too, or SUPABASE_DB_URL"
    return ""


def _split_override(override: str) -> tuple[str, Any]:
    path, sep, value = override.partition("=")
    path = path.strip()
    if not sep or not path:
        raise ConfigError(
            f"--set {path or override!r} is not KEY=VALUE",
            hint="for example --set limits.requests_per_second=5",
        )
    if path in _SECRET_KEYS:
        raise ConfigError(
            f"--set {path} would show a secret to everyone who may run ps",
            hint="use the environment variable or the file",
        )
    try:
        return path, yaml.safe_load(value)
    except yaml.YAMLError:
        return path, value


def _put(tree: dict[str, Any], path: str, value: Any) -> None:
    *parents, leaf = path.split(".")
    node = tree
    for name in parents:
        child = node.get(name)
        if not isinstance(child, dict):
            child = {}
            node[name] = child
        node = child
    node[leaf] = value


def _refuse_unknown(tree: Any, struct: type[Struct], prefix: str, origin: str) -> None:
    """Raise `ConfigError` for the first key that `struct` does not have, naming the nearest one."""
    if not isinstance(tree, dict):
        return
    fields = {f.encode_name: f.type for f in msgspec.structs.fields(struct)}
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if key not in fields:
            raise ConfigError(
                f"unknown key {path} in {origin}",
                detail=f"its value is {_show(path, value)}",
                hint=_nearest(str(key), prefix, fields),
            )
        section = _section_of(fields[key])
        if section is not None:
            _refuse_unknown(value, section, f"{path}.", origin)
        elif key == "columns" and isinstance(value, dict):
            for name, rule in value.items():
                _refuse_unknown(rule, ColumnRule, f"{path}.{name}.", origin)


def _nearest(key: str, prefix: str, fields: Iterable[str]) -> str:
    names = list(fields)
    close = difflib.get_close_matches(key, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {prefix}{close[0]}?"
    elsewhere = [k for k in keys() if k.rsplit(".", 1)[-1] == key]
    if elsewhere:
        return f"did you mean {elsewhere[0]}?"
    far = difflib.get_close_matches(key, [k.rsplit(".", 1)[-1] for k in keys()], n=1, cutoff=0.75)
    if far:
        found = next(k for k in keys() if k.rsplit(".", 1)[-1] == far[0])
        return f"did you mean {found}?"
    return f"known keys here: {', '.join(names)}"


def _show(path: str, value: Any) -> str:
    if path in _SECRET_KEYS or _SECRET_NAME.search(path):
        return "***"
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"


def _explain(exc: msgspec.ValidationError, tree: Any, origin: str) -> ConfigError:
    """Turn msgspec's message into one with the key's path, its value and a hint."""
    message = str(exc)
    match = _TAGLESS.search(message)
    path = match.group("path").lstrip(".") if match else ""
    what = message[: match.start()] if match else message
    value: Any = tree
    for part in path.split(".") if path else []:
        value = value.get(part) if isinstance(value, dict) else None
    if "pattern" in what:
        what = "must be a plain SQL identifier (letters, digits, _)"
    hint = "see `carsync config schema`, or the comment in config/carsync.example.yaml"
    if isinstance(value, int | float) and "`str`" in what:
        hint = f'put it in quotes: "{value}"' if path not in _SECRET_KEYS else "put it in quotes"
    return ConfigError(
        f"{path or 'a key'} in {origin}: {what[:1].lower()}{what[1:]}",
        detail=f"its value is {_show(path, value)}",
        hint=hint,
    )


def _decode_secret(annotation: type, value: Any) -> Any:
    if annotation is Secret and isinstance(value, str):
        return Secret(value)
    raise TypeError(f"Expected `str`, got `{type(value).__name__}`")


def _secret_schema(annotation: type) -> dict[str, Any]:
    if annotation is Secret:
        return {"type": "string"}
    raise NotImplementedError


def _allow_references(node: Any) -> Any:
    """Let every number and boolean of the schema also be a `${NAME}` string."""
    if isinstance(node, list):
        return [_allow_references(v) for v in node]
    if not isinstance(node, dict):
        return node
    walked = {k: _allow_references(v) for k, v in node.items()}
    kind = walked.get("type")
    if isinstance(kind, str) and kind in {"integer", "number", "boolean"}:
        about = {k: walked.pop(k) for k in ("default", "title", "description") if k in walked}
        reference = {"type": "string", "pattern": r"\$\{[A-Za-z_]"}
        return {"anyOf": [walked, reference], **about}
    return walked


def _check_relations(config: Config) -> None:
    """Check what no single key can tell."""
    base_url = config.api.base_url
    if base_url is not None:
        parts = urlsplit(base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigError(
                "api.base_url is not an http(s) URL",
                detail=f"got {parts._replace(netloc=parts.hostname or '').geturl()!r}",
                hint="it looks like https://api.example.com/v1",
            )
        if parts.username or parts.password:
            raise ConfigError(
                "api.base_url must not hold a user name or password",
                hint="use api.auth, which keeps the key out of logs",
            )
    record_path = config.api.record_path
    if record_path is not None and "{id}" not in record_path:
        raise ConfigError(
            "api.record_path must hold {id}", detail=f"got {record_path!r}", hint="e.g. /cars/{id}"
        )
    auth = config.api.auth
    if auth.key is not None and not _HEADER_VALUE.fullmatch(auth.key.reveal()):
        raise ConfigError(
            "api.auth.key holds characters that no HTTP header can carry",
            hint="look for a line break or a blank at its end",
        )
    processes = config.limits.fetcher_processes
    if processes is not None and processes > config.limits.concurrency:
        raise ConfigError(
            "limits.fetcher_processes is greater than limits.concurrency",
            detail=f"{processes} > {config.limits.concurrency}",
            hint="each process runs at least one request at a time",
        )
