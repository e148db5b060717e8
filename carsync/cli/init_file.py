"""The configuration file that `carsync init` writes: short, commented, without a secret."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Sequence

from msgspec import Struct

from carsync import formatting
from carsync.config.api_sections import Api, AuthType
from carsync.config.mapping_sections import MappingRules
from carsync.config.sections import Database, Limits, Sync
from carsync.doctor.record_facts import RecordFacts
from carsync.mapping.discovery import PageLayout
from carsync.mapping.guessing import Guess
from carsync.model import ProbeVerdict

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./{}-]*")
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
_NOT_HASHED = frozenset({"id", "images", "image_url"})
_WRAP = 92


class Answers(Struct, frozen=True, kw_only=True):
    """The answers that make the file; `preset` None: the file declares the columns itself."""

    base_url: str
    path: str = Api().path
    auth: AuthType = Api().auth.type
    auth_name: str = Api().auth.name
    schema: str = Database().schema
    table: str = Database().table
    source: str = Sync().source
    preset: str | None = MappingRules().preset
    md5: bool = False
    records: str | None = None
    page_param: str = Api().pagination.page_param
    size_param: str | None = Api().pagination.size_param
    page_size: int = Api().pagination.page_size
    requests_per_second: float = Limits().requests_per_second


class Looked(Struct, frozen=True):
    """What the API showed: the first page's layout, how it answers by id (None: not tried).

    If no preset fits: columns and other fields, too.
    """

    layout: PageLayout | None = None
    guesses: Sequence[Guess] = ()
    unused: Sequence[str] = ()
    record: RecordFacts | None = None


def write(answers: Answers, looked: Looked) -> str:
    """Return the file's text, which the parser accepts as it is."""
    return f"""\
# Written by `carsync init`. `carsync config example` explains every key.
# Secrets stay outside: ${{NAME}} is taken from the environment.

{_api(answers, looked)}

limits:
  requests_per_second: {answers.requests_per_second:g}  # what the API allows

database:
  dsn: ${{DATABASE_URL:-}}  # or set the variables SUPABASE_…
  schema: {_quoted(answers.schema)}
  table: {_quoted(answers.table)}  # created, or adopted as it is

{_mapping(answers, looked)}

sync:
  source: {_quoted(answers.source)}  # value of source_api; only rows with it are ever deactivated
"""


def _api(answers: Answers, looked: Looked) -> str:
    lines = ["api:", f"  base_url: {_quoted(answers.base_url)}", f"  path: {_quoted(answers.path)}"]
    lines += _record(answers, looked.record)
    if answers.auth == "none":
        lines.append("  auth: {type: none}")
    else:
        lines += ["  auth:", f"    type: {answers.auth}"]
        if answers.auth == "header":
            lines.append(f"    name: {_quoted(answers.auth_name)}")
        lines.append("    key: ${API_KEY:-}")
    return "\n".join([*lines, *_pagination(answers, looked.layout)])


def _record(answers: Answers, facts: RecordFacts | None) -> list[str]:
    """Return the lines about a car by its id: as the API answered, or as most APIs do."""
    usual = _quoted(f"{answers.path.rstrip('/')}/{{id}}")
    if facts is None:
        return [f"  record: {{path: {usual}}}  # path of one car; null: the API has none"]
    answer = facts.impossible
    if facts.readable_path is None or answer is None:
        said = formatting.printable(facts.listed.detail)
        return [
            f"  # Tried {_quoted(facts.path)} for a car of the first page: {said}.",
            "  record: null  # or {path: …}, where the API has one car by its id",
        ]
    if answer.verdict is ProbeVerdict.ALIVE:
        path = _quoted(facts.readable_path)
        return [f"  # {path} gives a record for an id that cannot exist, too.", "  record: null"]
    seen = f"  # A car of the first page was read there. An id that cannot exist: {answer.detail}"
    rule = f", {answer.rule}" if answer.rule else ""
    guess = "; guess: that means gone" if rule else ""
    return [f"{seen}{guess}.", f"  record: {{path: {_quoted(facts.readable_path)}{rule}}}"]


def _pagination(answers: Answers, layout: PageLayout | None) -> list[str]:
    """Return the lines about pages: as the first page showed them, or the preset's."""
    lines = [
        "  pagination:",
        f"    page_param: {_quoted(answers.page_param)}",
        f"    size_param: {_quoted(answers.size_param)}",
        f"    page_size: {answers.page_size}",
    ]
    if answers.preset is None:
        lines.append("    first_page: 1  # 0 if the API counts its pages from 0")
    if layout is None:
        if answers.records is not None:
            lines.append(f"    records: {_quoted(answers.records)}")
        if answers.preset is None:
            lines += [
                "    total_pages: null     # dotted path to the number of the last page",
                "    total_records: null   # dotted path to the total number of records",
            ]
        return lines
    seen = f"guess: {formatting.plural(layout.count, 'object')} found here"
    lines.append(f"    records: {_quoted(layout.records)}  # {seen}")
    for key, path, number in (
        ("total_pages", layout.total_pages, layout.pages),
        ("total_records", layout.total_records, layout.total),
    ):
        is_seen = path is not None and number is not None
        seen = f"guess: the value was {number:,}" if is_seen else "not seen"
        lines.append(f"    {key}: {_quoted(path)}  # {seen}")
    return lines


def _mapping(answers: Answers, looked: Looked) -> str:
    if answers.preset is not None:
        algorithm = "\n  hash: {algorithm: md5}  # the table has MD5 hashes" if answers.md5 else ""
        return f"mapping:\n  preset: {_quoted(answers.preset)}{algorithm}"
    guesses = looked.guesses
    lines = ["mapping:", "  preset: null"]
    if guesses:
        lines.append("  # Guesses by name and value, each with an example. Check them with")
        lines.append("  # `carsync preview --config FILE --limit 3`; correct or remove wrong ones.")
        lines.append("  columns:")
        rules = [(f"    {guess.column}: {_rule(guess)}", guess.example) for guess in guesses]
        width = max(len(rule) for rule, _ in rules)
        lines += [f"{rule.ljust(width)}  # {example}".rstrip(" #") for rule, example in rules]
    else:
        lines += [
            "  # For each column of the table: the path of its value in a record. Add yours.",
            "  columns:",
            "    id: {path: id, required: true}",
            "    make: {path: make, strip: true, required: true}",
            "    model: {path: model, strip: true, required: true}",
        ]
    names = [guess.column for guess in guesses] or ["id", "make", "model"]
    fields = [name for name in names if name not in _NOT_HASHED] or ["id"]
    listed = textwrap.wrap(f"fields: [{', '.join(fields)}]", _WRAP, subsequent_indent="  ")
    lines += ["  hash:", f"    algorithm: {'md5' if answers.md5 else 'xxh3_128'}"]
    lines += [
        "    # A row is rewritten when one of these changed:",
        *(f"    {line}" for line in listed),
    ]
    return "\n".join(lines)


def _rule(guess: Guess) -> str:
    parts = [f"path: {_quoted(guess.path)}"]
    if guess.type == "text" and guess.column != "id":
        parts.append("strip: true")
    elif guess.type != "text":
        parts.append(f"type: {guess.type}")
    if guess.column == "id" or (guess.always and guess.column in {"make", "model"}):
        parts.append("required: true")
    return f"{{{', '.join(parts)}}}"


def _quoted(text: str | None) -> str:
    """Write a text as YAML: plain where nothing can be misread, else as a JSON string.

    >>> _quoted("meta.total"), _quoted("no"), _quoted(None), _quoted("https://x/{id}")
    ('meta.total', '"no"', 'null', '"https://x/{id}"')
    """
    if text is None:
        return "null"
    plain = _PLAIN.fullmatch(text) and not set("{}") & set(text)
    if plain and text.lower() not in _WORDS:
        return text
    return json.dumps(text, ensure_ascii=False)
