"""Ids as the table's column writes them: one car, one id, however the feed spells it. Pure.

carsync compares ids as texts. PostgreSQL reads `007` and ` 7` as the bigint 7, and an upper-case
UUID as the lower-case one: without one spelling a run would take a car that it saw for absent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from typing import Any, get_args

from msgspec.structs import replace

from carsync.config.mapping_sections import ColumnRule, IdType
from carsync.config.sections import Config
from carsync.mapping.converters import compile_reader, read_text, read_uuid
from carsync.mapping.fields import describe
from carsync.mapping.javascript import WHITESPACE
from carsync.mapping.numbers import INTEGER_RANGES
from carsync.mapping.rejected import Reader, RejectedValueError, quote

MAX_ID_CHARS = 512
"""Longer ids are rejected: a b-tree entry of PostgreSQL holds at most 2,704 bytes."""

ID_TYPES: tuple[str, ...] = get_args(IdType)

_INTEGER = re.compile(r"[+-]?[0-9]+")

SpellId = Callable[[str], str]


def compile_spelling(id_type: str) -> SpellId | None:
    """Return the function that writes an id as a column of `id_type` does; None: it stays.

    The function raises `RejectedValueError` for a text that such a column cannot hold.

    >>> spell = compile_spelling("bigint")
    >>> spell("007"), spell(" +7 "), spell("-0")
    ('7', '7', '0')
    >>> compile_spelling("uuid")("{2F1E9A7C-0000-4000-8000-00000000ABCD}")
    '2f1e9a7c-0000-4000-8000-00000000abcd'
    """
    if id_type == "uuid":
        return _spell_uuid
    if id_type in INTEGER_RANGES:
        return _integer_speller(id_type)
    return None


def spell_ids(ids: Iterable[str], id_type: str | None) -> dict[str, str]:
    """Return the ids by what the table's column makes of them; it cannot hold the others.

    >>> spell_ids(["007", "x"], "bigint")
    {'7': '007'}
    """
    spell = compile_spelling(id_type or "text")
    if spell is None:
        return {i: i for i in ids}
    spelt = {}
    for each in ids:
        with suppress(RejectedValueError):
            spelt[spell(each)] = each
    return spelt


def id_reader(rule: ColumnRule) -> Reader:
    """Return the reader of ids: texts or numbers, exactly; true and false are refused."""
    read = compile_reader(replace(rule, type="text"))

    def read_id(value: Any) -> str | None:
        if value.__class__ is bool:
            raise RejectedValueError(f"{describe(value)} is not an id")
        return checked_id(read(value))

    return read_id


def compile_join(
    template: Sequence[tuple[str, str | None]], fixed: Collection[str]
) -> Callable[[Sequence[Any]], str | None]:
    """Return the function that makes an id of the values of a template's parts.

    It raises `RejectedValueError` where a part is missing, and where one holds the text between
    it and the next: a-b and c would be the car of a and b-c. `fixed` are the names of parts that
    are the same in every record.

    >>> join = compile_join([("", ".dealer"), ("-", ".number")], ())
    >>> join([7, "A-1"])
    '7-A-1'
    """
    ends = separators(template, fixed)

    def join(values: Sequence[Any]) -> str | None:
        texts = []
        for n, ((literal, name), value) in enumerate(zip(template, values, strict=True)):
            text = "" if name is None else _read_part(value)
            if not text and name is not None:
                raise RejectedValueError(f"{name.lstrip('.')} is missing, and the id needs it")
            end = ends.get(n)
            if end is not None and (text + end).find(end) < len(text):
                raise RejectedValueError(
                    f"{(name or '').lstrip('.')} {quote(text)} holds {quote(end)}, which parts the "
                    "id: another car could have the same one"
                )
            texts.append(literal + text)
        return checked_id("".join(texts))

    return join


def separators(
    template: Sequence[tuple[str, str | None]], fixed: Collection[str]
) -> dict[int, str]:
    """Return the text behind each part of an id that must not hold it, by the part's place.

    >>> separators([("", "source"), ("-", ".dealer"), ("/", ".number")], {"source"})
    {1: '/'}
    """
    varying = [n for n, (_, name) in enumerate(template) if name and name not in fixed]
    return {n: template[n + 1][0] for n in varying[:-1]}


def _read_part(value: Any) -> str:
    """Read a part of an id; 0 is one."""
    if value.__class__ is bool:
        raise RejectedValueError(f"{describe(value)} is not part of an id")
    return read_text(value) or ""


def checked_id(text: str | None) -> str | None:
    """Return an id that is not too long for an index; raise `RejectedValueError` for another."""
    if text is not None and len(text) > MAX_ID_CHARS:
        raise RejectedValueError(f"the id is longer than {MAX_ID_CHARS} characters")
    return text


def fit_ids(config: Config, id_type: str | None) -> Config:
    """Return the configuration with ids that are written as the table's column has them."""
    rule = config.mapping.columns.get("id")
    if rule is None or id_type not in ID_TYPES or id_type == rule.type:
        return config
    columns = {**config.mapping.columns, "id": replace(rule, type=id_type)}
    return replace(config, mapping=replace(config.mapping, columns=columns))


def _integer_speller(id_type: str) -> SpellId:
    within = INTEGER_RANGES[id_type]
    is_sure = len(str(within.stop - 1)) - 1  # so many digits are always within the range

    def spell(text: str) -> str:
        if len(text) <= is_sure and text.isdigit() and text.isascii() and text[0] != "0":
            return text
        bare = text.strip(WHITESPACE)
        if not _INTEGER.fullmatch(bare):
            raise RejectedValueError(f"{quote(text)} is not an id of the type {id_type}")
        number = int(bare)
        if number not in within:
            raise RejectedValueError(f"the id {quote(text)} is beyond the range of {id_type}")
        return str(number)

    return spell


def _spell_uuid(text: str) -> str:
    read = read_uuid(text)
    if read is None:
        raise RejectedValueError(f"{quote(text)} is not an id of the type uuid")
    return read
