"""The page of `--json`: every field is explained, and a name means one thing in all commands."""

from __future__ import annotations

from collections import defaultdict

import click
import msgspec
import pytest
from msgspec import Struct
from msgspec import inspect as types

from carsync.cli.reference.jsonpage import ANSWERS, OTHERS, explain, json_page, kind, records
from carsync.cli.reference.jsonwords import WORDS
from tests.support.command_line import commands

WORD = ("text", "`")


def fields(record: type[Struct]) -> list[types.Field]:
    (info,) = types.multi_type_info([record])
    assert isinstance(info, types.StructType)
    return list(info.fields)


def plain(value: str) -> str:
    """A kind of value, whether or not it may be null, and whatever words a text is one of."""
    parts = [part for part in value.split(" or ") if part != "null"]
    return " or ".join(dict.fromkeys("text" if part.startswith(WORD) else part for part in parts))


@pytest.mark.parametrize("record", records(), ids=lambda record: str(record.__name__))
def test_every_field_of_a_record_is_explained(record: type[Struct]) -> None:
    assert [f.encode_name for f in fields(record) if not explain(record, f.encode_name)] == []
    assert record.__doc__


def test_the_glossary_explains_nothing_that_is_not_there() -> None:
    used = set()
    for record in records():
        for name in (field.encode_name for field in fields(record)):
            keys = [*(f"{each.__name__}.{name}" for each in record.__mro__), name]
            used |= {next(key for key in keys if key in WORDS)}
    assert set(WORDS) == used


def test_a_name_means_one_thing_in_all_commands() -> None:
    kinds: dict[str, set[str]] = defaultdict(set)
    for record in records():
        for field in fields(record):
            own = any(f"{each.__name__}.{field.encode_name}" in WORDS for each in record.__mro__)
            if not own:
                kinds[field.encode_name].add(plain(kind(field.type)))
    several = {name: found for name, found in kinds.items() if len(found) > 1}
    # A run that is read from its record has the counts of the carsync that did it.
    assert several == {"counts": {"[MergeCounts](#mergecounts)", "integer, by name"}}


def test_an_old_name_leads_to_a_name_of_today() -> None:
    today = {name for name, words in WORDS.items() if not words.startswith("old ")}
    for name, words in WORDS.items():
        if words.startswith("old "):
            assert words.split("`")[1] in today, name


def test_every_command_with_json_has_its_place_on_the_page() -> None:
    told = {name.partition(" --")[0] for name in (*ANSWERS, *OTHERS)}
    with_json = {f"carsync {name}" for name, command in commands() if takes_json(command)}
    assert with_json == told - {"a command that failed"}
    page = json_page()
    assert all(f"\n## {name}\n" in page for name in (*ANSWERS, *OTHERS))


def takes_json(command: click.Command) -> bool:
    return any("--json" in param.opts for param in command.params)


def test_the_page_names_kinds_as_a_reader_of_json_would() -> None:
    class Part(msgspec.Struct):
        """A part."""

    found = {
        "list of text": list[str],
        "integer or null": int | None,
        "list of [Part](#part)": tuple[Part, ...],
        "number, by name": dict[str, float],
        "pair": tuple[str, int],
    }
    assert [kind(types.type_info(each)) for each in found.values()] == list(found)
