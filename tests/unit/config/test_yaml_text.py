"""A configuration of a few lines cannot stand for millions of nodes."""

from __future__ import annotations

import time

import pytest
import yaml

from carsync.config.yaml_text import load
from tests.support.configs import refused
from tests.support.folders import ROOT

LINES = range(1, 30)
LISTS = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in LINES)
KEYS = "a0: &a0 {x: 1}\n" + "".join(
    f"a{n}: &a{n} {{k: *a{n - 1}, <<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in LINES
)


@pytest.mark.parametrize("text", [LISTS, KEYS, "a: &a [*a]", "a: &a {b: *a}"])
def test_aliases_of_aliases_are_refused_at_once(text: str) -> None:
    started = time.process_time()
    error = refused(text)
    assert time.process_time() - started < 2
    assert "is not valid YAML in line" in error.problem
    assert "aliases" in error.detail
    with pytest.raises(yaml.YAMLError):
        load(text)


def test_aliases_and_merged_keys_serve_a_configuration() -> None:
    assert load("a: &a {x: 1}\nb: {<<: *a, y: [*a, *a]}")["b"] == {"x": 1, "y": [{"x": 1}] * 2}
    example = (ROOT / "config" / "carsync.example.yaml").read_text(encoding="utf-8")
    assert load(example) == yaml.safe_load(example)
    assert load("") is None
