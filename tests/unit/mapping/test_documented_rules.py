"""docs/mapping.md: each example is a record, a rule and the value that the column gets."""

from __future__ import annotations

import json
import re

import pytest

from carsync.config.parser import parse
from tests.support.folders import ROOT
from tests.support.mappers import load_mapper, rows_of
from tests.support.records import page

TEXT = (ROOT / "docs" / "mapping.md").read_text(encoding="utf-8")
_EXAMPLE = re.compile(r"^\| `(\{.*\})` \| `(\{.*\})` \| `(.*)` \|$", re.MULTILINE)
EXAMPLES = [tuple(part.replace("\\|", "|") for part in found) for found in _EXAMPLE.findall(TEXT)]


@pytest.mark.parametrize(("record", "rule", "value"), EXAMPLES)
def test_an_example_holds(record: str, rule: str, value: str) -> None:
    columns = f"id: {{path: id, required: true}}, column: {rule}"
    mapping = parse(f"mapping: {{preset: null, columns: {{{columns}}}}}", {}).mapping
    mapper = load_mapper(mapping)
    content = mapper.map_page(page(f'{{"id":1,{record[1:]}'))
    assert content.rejects == ()
    assert rows_of(mapper, content)[0]["column"] == json.loads(value)


def test_every_example_is_found() -> None:
    assert len(EXAMPLES) >= 30
    assert len(EXAMPLES) == len(re.findall(r"^\| `\{\"", TEXT, re.MULTILINE))


def test_the_example_of_a_mapping_is_one() -> None:
    text = TEXT.partition("```yaml\n")[2].partition("```")[0]
    assert "raw" in parse(text, {}).mapping.columns
