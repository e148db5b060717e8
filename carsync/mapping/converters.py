"""JSON value → column value, one reader a column type, texts and numbers as JavaScript has them.

A reader returns None for a missing value and raises for one no column can hold.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any, assert_never

import msgspec

from carsync.config.mapping_sections import ColumnRule
from carsync.mapping.decoder import load_deep
from carsync.mapping.fields import Misplaced, Unholdable, describe
from carsync.mapping.javascript import WHITESPACE, js_number
from carsync.mapping.numbers import number_reader
from carsync.mapping.rejected import Reader, RejectedValueError, check_text, unreadable
from carsync.mapping.times import UNREADABLE, compile_parse

_WORDS = {"true": True, "false": False, "1": True, "0": False}
_UUID = re.compile(r"[0-9a-f]{4}(?:-?[0-9a-f]{4}){7}")
"""What PostgreSQL reads as a UUID (manual, 8.12), without braces and in lower case."""
_ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def read_text(value: Any) -> str | None:
    """Read a text; numbers and booleans as `String(value)` writes them, integers exactly.

    >>> read_text("BMW"), read_text(12345678), read_text(7.0), read_text("")
    ('BMW', '12345678', '7', None)
    """
    kind = value.__class__
    if kind is str:
        if "\0" in value or not value.isascii():
            check_text(value)
        return value or None
    if value is None:
        return None
    if kind is int:
        return str(value)
    if kind is float:
        return js_number(value)
    if kind is bool:
        return "true" if value else "false"
    raise unreadable(value, "a text")


def read_part(value: Any) -> str:
    """Read a value for its place in a template: empty for what JavaScript takes for false.

    That is 0, -0, NaN, false, null and the empty text (ECMA-262, section 7.1.2).

    >>> read_part(2019), read_part(0.0), read_part(False), read_part("0")
    ('2019', '', '', '0')
    """
    if value.__class__ is Unholdable and value.token == "NaN":
        return ""
    is_number = value.__class__ in (int, float, bool)
    return "" if is_number and not value else read_text(value) or ""


def read_stripped_text(value: Any) -> str | None:
    """Read a text without the blanks at its ends that `String.prototype.trim` removes."""
    text = read_text(value)
    return None if text is None else text.strip(WHITESPACE) or None


def read_boolean(value: Any) -> bool | None:
    """Read true, false, 1, 0 and these as text."""
    if value is None or value is True or value is False:
        return value
    kind = value.__class__
    if kind is str:
        check_text(value)
        word = value.strip(WHITESPACE).lower()
        if not word or word in _WORDS:
            return _WORDS.get(word)
    elif (kind is int or kind is float) and value in (0, 1):
        return bool(value)
    raise unreadable(value, "a boolean")


def timestamp_reader(rule: ColumnRule) -> Reader:
    """Return the reader of a timestamptz column, which writes times as ISO 8601 in UTC.

    >>> read = timestamp_reader(ColumnRule(type="timestamptz"))
    >>> read("2024-05-01T12:00:00+09:00"), read("2024-05-01")
    ('2024-05-01T03:00:00+00:00', '2024-05-01T00:00:00+00:00')
    """
    parse = compile_parse(rule)
    wanted = "an ISO 8601 time" if rule.format is None else f"a time as {rule.format}"

    def read_timestamp(value: Any) -> str | None:
        if value is None:
            return None
        if value.__class__ is str:
            check_text(value)
        try:
            moment = parse(value)
            return None if moment is None else moment.astimezone(UTC).isoformat()
        except UNREADABLE:
            raise unreadable(value, wanted) from None

    return read_timestamp


def read_record(text: str) -> str:
    """Return a record's own JSON text without its blanks, for a jsonb column: each number exactly.

    >>> read_record('{"id": 7, "price": 8500.10}')
    '{"id":7,"price":8500.10}'
    """
    try:
        exact = msgspec.json.format(text, indent=-1)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return str(read_json(load_deep(text)))
    _check_json(exact)
    return exact


def read_json(value: Any) -> str | None:
    """Write a JSON value as compact JSON text for a jsonb column.

    Blanks and escapes of the feed's own text make no difference.
    """
    if value is None:
        return None
    if isinstance(value, Misplaced | Unholdable):
        raise unreadable(value, "JSON")
    try:
        text = _encode_json(value)
    except UnicodeEncodeError:
        raise RejectedValueError(
            "the JSON contains a lone surrogate or bytes that are not UTF-8"
        ) from None
    except RecursionError:
        raise RejectedValueError("the JSON is nested too deeply") from None
    _check_json(text)
    return text


def _check_json(text: str) -> None:
    if "\\u0000" in text and _ESCAPED_NUL.search(text):
        raise RejectedValueError("the JSON contains a text with NUL")


def _refuse(value: Any) -> Any:
    raise RejectedValueError(f"no column can hold {describe(value)}")


_json_encoder = msgspec.json.Encoder(enc_hook=_refuse)


def _encode_json(value: Any) -> str:
    try:
        return _json_encoder.encode(value).decode()
    except OverflowError:  # an integer of more than 64 bits
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_refuse)
        text.encode()
        return text


def read_date(value: Any) -> str | None:
    """Read an ISO 8601 date, or the date of an ISO 8601 time as it is written there.

    >>> read_date("2024-05-01"), read_date("2024-05-01T23:30:00-08:00")
    ('2024-05-01', '2024-05-01')
    """
    if value is None:
        return None
    if value.__class__ is not str:
        raise unreadable(value, "an ISO 8601 date")
    check_text(value)
    text = value.strip(WHITESPACE)
    try:
        return datetime.fromisoformat(text).date().isoformat() if text else None
    except ValueError:
        raise unreadable(value, "an ISO 8601 date") from None


def read_uuid(value: Any) -> str | None:
    """Read a UUID in any spelling that PostgreSQL reads, and write it as PostgreSQL does.

    >>> read_uuid("{2F1E9A7C00004000800000000000ABCD}")
    '2f1e9a7c-0000-4000-8000-00000000abcd'
    """
    text = read_stripped_text(value)
    if text is None:
        return None
    bare = text[1:-1] if text[0] + text[-1] == "{}" else text
    bare = bare.lower()
    if not _UUID.fullmatch(bare):
        raise unreadable(value, "a UUID")
    digits = bare.replace("-", "")
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def read_texts(value: Any) -> str | None:
    """Read a list of texts as the literal of a PostgreSQL array; null stays null within it.

    >>> read_texts(["a.jpg", 7, None])
    '{"a.jpg","7",NULL}'
    """
    if value is None:
        return None
    if value.__class__ is not list:
        raise unreadable(value, "a list of texts")
    texts = ["NULL" if each is None else _quote_element(read_text(each) or "") for each in value]
    return f"{{{','.join(texts)}}}"


def _quote_element(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def equality_reader(wanted: Any) -> Reader:
    """Return the reader that says whether a value equals `wanted`; a missing one does not."""

    def read_equality(value: Any) -> bool:
        if value.__class__ is str:
            check_text(value)
        elif value is not None and value.__class__ not in (int, float, bool):
            raise unreadable(value, "a single value")
        same_kind = (value.__class__ is bool) == (wanted.__class__ is bool)
        return bool(same_kind and value == wanted)

    return read_equality


def compile_reader(rule: ColumnRule) -> Reader:
    """Return the reader for a column's type; default and template are applied later."""
    if rule.equals is not None:
        return equality_reader(rule.equals)
    match rule.type:
        case "text":
            return read_stripped_text if rule.strip else read_text
        case "smallint" | "integer" | "bigint" | "numeric" | "double precision":
            return number_reader(rule)
        case "boolean":
            return read_boolean
        case "timestamptz":
            return timestamp_reader(rule)
        case "date":
            return read_date
        case "uuid":
            return read_uuid
        case "text[]":
            return read_texts
        case "jsonb":
            return read_record if rule.path == "" else read_json
        case _:
            assert_never(rule.type)
