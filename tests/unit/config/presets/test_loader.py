"""Presets: only known ones, and laid under the configuration's own mapping."""

from __future__ import annotations

import pytest

from carsync.config.mapping_sections import ColumnRule, HashRules, MappingRules
from carsync.config.parser import parse
from carsync.config.presets.loader import (
    load_preset,
    preset_names,
    read_preset,
    resolve,
    with_algorithm,
)
from carsync.errors import ConfigError
from carsync.mapping.rules import check_rules


@pytest.mark.parametrize("text", ["columns: [", "columns: {a: {paht: x}}", "7", ""])
def test_a_wrong_preset_text_is_a_configuration_error(text: str) -> None:
    with pytest.raises(ConfigError, match=r"mapping\.preset: broken cannot be read"):
        read_preset("broken", text)


@pytest.mark.parametrize("name", ["auctionapi", "../config", ""])
def test_an_unknown_preset_is_refused_naming_the_known_ones(name: str) -> None:
    assert preset_names() == ["auctionsapi"]
    with pytest.raises(ConfigError, match=r"mapping\.preset") as caught:
        load_preset(name)
    assert "auctionsapi" in caught.value.detail


def test_the_configuration_s_own_rules_win_and_a_null_takes_its_hash_field_along() -> None:
    paint = ColumnRule(path="paint")
    md5 = HashRules(algorithm="md5")
    mapping = resolve(MappingRules(columns={"color": paint, "vin": None}, hash_=md5))
    preset = load_preset("auctionsapi")
    assert mapping.columns == {**preset.columns, "color": paint, "vin": None}
    assert preset.hash_.fields is not None
    assert mapping.hash_.fields == [name for name in preset.hash_.fields if name != "vin"]
    assert resolve(mapping) == mapping


def test_every_column_is_hashed_unless_the_hashes_are_the_old_script_s() -> None:
    mapping = resolve(MappingRules())
    assert mapping.hash_ == HashRules(algorithm="xxh3_128", fields=None)
    assert set(check_rules(mapping).hash_fields) == mapping.columns.keys() - {"id"}


def test_another_algorithm_hashes_what_the_preset_says_for_it() -> None:
    md5, every = HashRules(algorithm="md5"), HashRules(algorithm="xxh3_128")
    for mapping in (resolve(MappingRules(hash_=rules)) for rules in (md5, every)):
        assert with_algorithm(mapping, "md5").hash_ == HashRules(
            algorithm="md5", fields=load_preset("auctionsapi").hash_.fields
        )
        assert with_algorithm(mapping, "xxh3_128").hash_ == HashRules(algorithm="xxh3_128")
    own = resolve(MappingRules(hash_=HashRules(fields=["make"])))
    assert with_algorithm(own, "md5").hash_ == HashRules(algorithm="md5", fields=["make"])


def test_own_hash_rules_replace_the_preset_s() -> None:
    mapping = resolve(MappingRules(hash_=HashRules(algorithm="md5", fields=["make"])))
    assert (mapping.hash_.algorithm, mapping.hash_.fields) == ("md5", ["make"])


def test_without_a_preset_the_mapping_is_all_there_is() -> None:
    mapping = MappingRules(preset=None, columns={"id": ColumnRule(path="id", required=True)})
    assert resolve(mapping) is mapping


def test_reading_the_configuration_resolves_the_preset() -> None:
    columns = parse("", {}).mapping.columns
    assert columns["make"] == load_preset("auctionsapi").columns["make"]
    with pytest.raises(ConfigError, match=r"there is no preset 'auctionapi'"):
        parse("mapping: {preset: auctionapi}", {})
