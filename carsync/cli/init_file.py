"""The configuration file that `carsync init` writes: short, commented, without a secret."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from carsync import formatting
from carsync.config.api_sections import Api, AuthType, Pagination
from carsync.config.mapping_sections import MappingRules
from carsync.config.sections import Database, Limits, Sync
from carsync.doctor.paging_guesses import Told
from carsync.doctor.paging_trial import Found
from carsync.doctor.record_facts import RecordFacts
from carsync.mapping.discovery import PageLayout
from carsync.mapping.guessing import Guess
from carsync.model import ProbeVerdict
from carsync.redaction import names_secret
from carsync.source.pagination.placing import names_in, put

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./{}-]*")
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
_NOT_HASHED = frozenset({"id", "images", "image_url"})
_WRAP = 92
_USUAL = Pagination()
_SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})
_KIND_KEYS: Mapping[str, tuple[str, ...]] = {
    "page": ("page_param", "first_page", "size_param", "page_size"),
    "offset": ("offset_param", "first", "size_param", "page_size"),
    "cursor": ("cursor_param", "next", "size_param", "page_size"),
    "next_link": ("next", "size_param", "page_size"),
    "link_header": ("size_param", "page_size"),
    "none": (),
}
"""Which keys of `api.pagination` a kind has, in the order in which they are written."""


class Answers(Struct, frozen=True, kw_only=True):
    """The answers that make the file; `preset` None: the file declares the columns itself.

    `params` and `headers` are sent with each request. `told` is what is known of the paging,
    `records` and `id_path` where the records, and their ids, are; None: not known.
    """

    base_url: str
    path: str = Api().path
    method: Literal["GET", "POST"] = "GET"
    form: bool = False
    params: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    record_path: str | None = None
    auth: AuthType = Api().auth.type
    auth_name: str = Api().auth.sent_name
    schema: str = Database().schema
    table: str = Database().table
    source: str = Sync().source
    preset: str | None = MappingRules().preset
    md5: bool = False
    records: str | None = None
    id_path: str | None = None
    told: Told = Told()
    requests_per_second: float = Limits().requests_per_second
    is_live: bool = False


class Looked(Struct, frozen=True):
    """What the API showed: the first page's layout, the paging, how it answers by id.

    None: not tried. If no preset fits: columns and other fields, too. `record_path` is where
    one car may be; None: nothing tells.
    """

    layout: PageLayout | None = None
    paging: Found | None = None
    guesses: Sequence[Guess] = ()
    unused: Sequence[str] = ()
    record_path: str | None = None
    record: RecordFacts | None = None


def write(answers: Answers, looked: Looked) -> str:
    """Return the file's text, which the parser accepts as it is."""
    return f"""\
# Written by `carsync init`. `carsync config example` explains every key.
# Secrets stay outside: ${{NAME}} is taken from the environment.

{_api(answers, looked)}

limits:
  requests_per_second: {answers.requests_per_second:g}  # {_pace(answers)}

database:
  dsn: ${{DATABASE_URL:-}}  # or set the variables SUPABASE_…
  schema: {quoted(answers.schema)}
  table: {quoted(answers.table)}  # created, or adopted as it is

{_mapping(answers, looked)}

{_sync(answers)}"""


def variable_of(name: str) -> str:
    """Return the environment variable that holds a secret header's or parameter's value.

    >>> variable_of("X-Api-Token")
    'X_API_TOKEN'
    """
    plain = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_").upper()
    return plain if plain and not plain[0].isdigit() else f"API_{plain}"


def is_secret(name: str) -> bool:
    """Say whether a header or parameter of this name holds a secret.

    >>> is_secret("Authorization"), is_secret("api_key"), is_secret("Accept")
    (True, True, False)
    """
    return name.lower() in _SECRET_HEADERS or names_secret(name)


def _pace(answers: Answers) -> str:
    if answers.is_live:
        return "over all endpoints together; the API answers 429 to more"
    return "what the API allows"


def _sync(answers: Answers) -> str:
    source = quoted(answers.source)
    lines = [
        "sync:",
        f"  source: {source}  # value of source_api; only rows with it are ever deactivated",
    ]
    if answers.is_live:
        lines += [
            "  deactivate:",
            "    max_probes: 3600  # at one request a second an hour; further absent cars wait",
            "",
            "acceptance:",
            "  max_minutes: 90  # about 1,000 pages at one a second, and the requests by id",
        ]
    return "\n".join(lines) + "\n"


def _api(answers: Answers, looked: Looked) -> str:
    lines = ["api:", f"  base_url: {quoted(answers.base_url)}", f"  path: {quoted(answers.path)}"]
    if answers.method == "POST":
        lines.append("  method: POST")
        lines += ["  form: true"] if answers.form else []
    lines += _pairs("headers", answers.headers)
    if answers.method == "POST" and answers.params:
        body: dict[str, Any] = {}
        for place, value in answers.params.items():
            put(body, place, _number_or_text(value))
        lines.append(f"  body: {json.dumps(body, ensure_ascii=False)}")
    else:
        lines += _pairs("params", answers.params)
    lines += _record(answers, looked)
    if answers.auth == "none":
        lines.append("  auth: {type: none}")
    else:
        lines += ["  auth:", f"    type: {answers.auth}"]
        if answers.auth == "header":
            lines.append(f"    name: {quoted(answers.auth_name)}")
        lines.append("    key: ${API_KEY:-}")
    return "\n".join([*lines, *_pagination(answers, looked)])


def _pairs(key: str, pairs: Mapping[str, str]) -> list[str]:
    """Return the lines of a mapping; a secret's value is taken from the environment."""
    if not pairs:
        return []
    value = quoted if key == "headers" else _value  # a header is a text, even where it is a number
    values = {n: f"${{{variable_of(n)}}}" if is_secret(n) else value(v) for n, v in pairs.items()}
    return [f"  {key}:", *(f"    {quoted(name)}: {value}" for name, value in values.items())]


def _value(text: str) -> str:
    value = _number_or_text(text)
    return quoted(value) if isinstance(value, str) else json.dumps(value)


def _number_or_text(text: str) -> Any:
    """Return what a parameter's value means in JSON.

    >>> [_number_or_text(text) for text in ("50", "true", "007", "Kia")]
    [50, True, '007', 'Kia']
    """
    is_plain = re.fullmatch(r"true|false|0|[1-9][0-9]{0,15}", text)
    return json.loads(text) if is_plain else text


def _record(answers: Answers, looked: Looked) -> list[str]:
    """Return the lines about a car by its id: as the API answered, or as most APIs do."""
    facts = looked.record
    known = answers.record_path or looked.record_path
    usual = quoted(known or f"{answers.path.partition('?')[0].rstrip('/')}/{{id}}")
    if facts is None and known is None and looked.guesses and "href" in looked.guesses[0].path:
        return ["  record: null  # the id is a link; or {path: …}, where the API has one car"]
    if facts is None:
        return [f"  record: {{path: {usual}}}  # path of one car; null: the API has none"]
    answer = facts.impossible
    if facts.readable_path is None or answer is None:
        said = formatting.printable(facts.listed.detail)
        return [
            f"  # Tried {quoted(facts.path)} for a car of the first page: {said}.",
            "  record: null  # or {path: …}, where the API has one car by its id",
        ]
    if answer.verdict is ProbeVerdict.ALIVE:
        path = quoted(facts.readable_path)
        return [f"  # {path} gives a record for an id that cannot exist, too.", "  record: null"]
    seen = f"  # A car of the first page was read there. An id that cannot exist: {answer.detail}"
    rule = f", {answer.rule}" if answer.rule else ""
    guess = "; guess: that means gone" if rule else ""
    return [f"{seen}{guess}.", f"  record: {{path: {quoted(facts.readable_path)}{rule}}}"]


def _pagination(answers: Answers, looked: Looked) -> list[str]:
    """Return the lines about pages: as the answers showed them, or as somebody told."""
    found = looked.paging
    if found is None:
        return ["  pagination:", *_told_pagination(answers)]
    keys, layout = found.pagination, looked.layout
    lines = ["  pagination:", *(f"    # {formatting.printable(note)}" for note in found.notes)]
    lines.append(f"    type: {keys.type}")
    placed = {f"{name}_param" for name in names_in(answers.params)}
    for name in _KIND_KEYS[keys.type]:
        value = getattr(keys, name)
        if name in placed:
            continue
        if name == "first_page" and value == _USUAL.first_page and found.is_proved:
            continue
        if value != getattr(_USUAL, name) or name not in ("first", "next"):
            written = value if isinstance(value, int) else quoted(value)
            lines.append(f"    {name}: {written}{_remark(name, value, answers)}")
    count = layout.count if layout else 0
    seen = f"{formatting.plural(count, 'object')} found here"
    lines.append(f"    records: {quoted(keys.records)}  # {seen}")
    if keys.has_more is not None:
        lines.append(f"    has_more: {quoted(keys.has_more)}  # nothing, false or null: the end")
    pages, total = (layout.pages, layout.total) if layout else (None, None)
    if keys.type in ("page", "offset"):
        lines.append(_total("total_pages", keys.total_pages, pages))
    lines.append(_total("total_records", keys.total_records, total))
    if keys.max_pages != _USUAL.max_pages:
        lines.append(f"    max_pages: {keys.max_pages}  # about 935 pages are read today")
    if keys.end_status != _USUAL.end_status:
        statuses = ", ".join(map(str, keys.end_status))
        lines.append(f"    end_status: [{statuses}]  # behind the last page")
    return lines


def _remark(name: str, value: object, answers: Answers) -> str:
    if name == "first_page" and value == 0:
        return "  # the API counts its pages from 0"
    if name == "size_param" and value is None:
        return "  # the API chooses the size, as far as was seen"
    if name == "page_size" and answers.is_live:
        return "  # the largest that the API serves"
    return ""


def _total(key: str, place: str | None, number: int | None) -> str:
    is_seen = place is not None and number is not None
    seen = f"the value was {number:,}" if is_seen else "not seen"
    return f"    {key}: {quoted(place)}  # {seen}"


def _told_pagination(answers: Answers) -> list[str]:
    """Return the lines about pages where nobody asked the API."""
    told = answers.told
    kind = told.kind or "page"
    size_param = _USUAL.size_param if told.size_param is None else told.size_param or None
    lines = [] if kind == "page" else [f"    type: {kind}"]
    names = {"page": "page_param", "offset": "offset_param", "cursor": "cursor_param"}
    if kind in names:
        lines.append(f"    {names[kind]}: {quoted(told.param or getattr(_USUAL, names[kind]))}")
    lines.append(f"    size_param: {quoted(size_param)}")
    lines.append(f"    page_size: {told.size or _USUAL.page_size}")
    if kind in ("page", "offset") and (answers.preset is None or told.first is not None):
        key, usual = ("first_page", 1) if kind == "page" else ("first", 0)
        first = usual if told.first is None else told.first
        remark = "  # 0 if the API counts its pages from 0" if kind == "page" else ""
        lines.append(f"    {key}: {first}{remark}")
    if answers.records is not None:
        lines.append(f"    records: {quoted(answers.records)}")
    if answers.preset is None:
        lines += [
            "    total_pages: null     # dotted path to the number of the last page",
            "    total_records: null   # dotted path to the total number of records",
        ]
    return lines


def _mapping(answers: Answers, looked: Looked) -> str:
    if answers.preset is not None:
        algorithm = "\n  hash: {algorithm: md5}  # the table has MD5 hashes" if answers.md5 else ""
        return f"mapping:\n  preset: {quoted(answers.preset)}{algorithm}"
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
            f"    id: {{path: {quoted(answers.id_path or 'id')}, required: true}}",
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
    parts = [f"path: {quoted(guess.path)}"]
    if guess.type == "text" and guess.column != "id":
        parts.append("strip: true")
    elif guess.type != "text":
        parts.append(f"type: {guess.type}")
    if guess.column == "id" or (guess.always and guess.column in {"make", "model"}):
        parts.append("required: true")
    return f"{{{', '.join(parts)}}}"


def quoted(text: str | None) -> str:
    """Write a text as YAML: plain where nothing can be misread, else as a JSON string.

    >>> quoted("meta.total"), quoted("no"), quoted(None), quoted("https://x/{id}")
    ('meta.total', '"no"', 'null', '"https://x/{id}"')
    """
    if text is None:
        return "null"
    plain = _PLAIN.fullmatch(text) and not set("{}") & set(text)
    if plain and text.lower() not in _WORDS:
        return text
    return json.dumps(text, ensure_ascii=False)
