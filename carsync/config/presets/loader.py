"""Presets: found by name, read, and laid under the configuration's own mapping."""

from __future__ import annotations

import difflib
from importlib import resources

import msgspec
from msgspec.structs import replace

from carsync.config.mapping_sections import ColumnRule, HashAlgorithm, HashRules, MappingRules
from carsync.config.section_base import Section
from carsync.errors import ConfigError

_FILES = resources.files("carsync.config.presets")


class Preset(Section, frozen=True, rename={"hash_": "hash"}):
    """The content of a preset file."""

    columns: dict[str, ColumnRule]
    hash_: HashRules = HashRules()


def preset_names() -> list[str]:
    """Return the sorted names of the presets, the values of `mapping.preset`."""
    names = (file.name for file in _FILES.iterdir())
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def load_preset(name: str) -> Preset:
    """Read the preset `name`; raise `ConfigError`, which lists the presets, for an unknown name.

    Only known names are opened, so a name cannot lead out of this package.
    """
    known = preset_names()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        raise ConfigError(
            f"mapping.preset: there is no preset {name!r}",
            detail=f"known presets: {', '.join(known)}",
            hint=f"did you mean {close[0]}?" if close else "null: only mapping.columns is used",
        )
    return read_preset(name, _FILES.joinpath(f"{name}.yaml").read_text(encoding="utf-8"))


def read_preset(name: str, text: str) -> Preset:
    """Read the YAML `text` of the preset `name`; raise `ConfigError` where it is wrong."""
    try:
        return msgspec.yaml.decode(text, type=Preset)
    except msgspec.MsgspecError as exc:
        raise ConfigError(f"mapping.preset: {name} cannot be read", detail=str(exc)) from None


def resolve(mapping: MappingRules) -> MappingRules:
    """Return `mapping` with its preset's columns and hash rules laid under its own.

    The preset's hash fields are those of the old script's MD5; another algorithm hashes every
    column. A column set to null takes its hash field with it. Resolving again changes nothing.
    Raises `ConfigError` for an unknown preset.
    """
    if not mapping.preset:
        return mapping
    preset = load_preset(mapping.preset)
    columns = {**preset.columns, **mapping.columns}
    fields = mapping.hash_.fields
    algorithm = mapping.hash_.algorithm or preset.hash_.algorithm
    if fields is None and algorithm == "md5" and preset.hash_.fields is not None:
        fields = [name for name in preset.hash_.fields if columns.get(name) is not None]
    hash_rules = HashRules(algorithm=algorithm, fields=fields)
    return MappingRules(preset=mapping.preset, columns=columns, hash_=hash_rules)


def with_algorithm(mapping: MappingRules, algorithm: HashAlgorithm) -> MappingRules:
    """Return a resolved mapping as it would be with another hash algorithm.

    Hash fields that the preset chose for the algorithm are chosen anew; those that the
    configuration lists itself stay.
    """

    def chosen(hash_rules: HashRules) -> MappingRules:
        return resolve(replace(mapping, hash_=hash_rules))

    given = mapping.hash_
    by_preset = chosen(HashRules(algorithm=given.algorithm)).hash_.fields
    fields = None if given.fields == by_preset else given.fields
    return chosen(HashRules(algorithm=algorithm, fields=fields))
