"""The configuration file that `carsync init` writes: short, commented, without a secret."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from carsync import formatting
from carsync.cli.guide.answers import SECRETS, Answers, Looked, is_secret, quoted, variable_of
from carsync.cli.guide.paging import write_pagination
from carsync.mapping.guessing import Guess
from carsync.model import ProbeVerdict
from carsync.source.pagination.placing import put

_NOT_HASHED = frozenset({"id", "images", "image_url"})
_WRAP = 92
_LIVE_GONE = '{".lots[archived!=true | 0].archived": true}'
"""The preset's live API answers 200 for a sold car: each of its lots is archived then."""
_LIVE_CHANGES = [
    "  window: {param: minutes, overlap: 75m, max: 72h}  # two hourly runs read each change",
    "  removals:  # read in every run, before the feed: a sold lot takes its car with it",
    "    path: /archived-lots",
    "    id: car_id",
    "    at: archived_at",
    "    match: {lot_number: lot}  # a car may have another lot, which is on sale",
    "    set:",
    "      status: {path: status.name}",
    "      is_archived: {constant: true, type: boolean}",
    "      final_bid: {path: final_bid, unwrap: value, type: numeric}",
]
_LIVE_DOMAIN = "lots[status.name=sale | status.name=upcoming | status.name!=sold | 0].domain.name"
_REFUSED = re.compile(r"gone_status: .*\b(400|422)\]")


def write(answers: Answers, looked: Looked) -> str:
    """Return the file's text, which the parser accepts as it is."""
    return f"""\
# Written by `carsync init`. `carsync config example` explains every key.
# Secrets stay outside: ${{NAME}} is taken from the environment.

{_api(answers, looked)}

{_limits(answers)}

database:
  dsn: ${{DATABASE_URL:-}}  # or set the variables SUPABASE_…
  schema: {quoted(answers.schema)}
  table: {quoted(answers.table)}  # created, or adopted as it is

{_mapping(answers, looked)}

{_sync(answers)}"""


def _limits(answers: Answers) -> str:
    rate = f"limits:\n  requests_per_second: {answers.requests_per_second:g}  # "
    if not answers.is_live:
        return rate + "what the API allows"
    remark = "over all endpoints together; the API answers 429 to more"
    return f"{rate}{remark}\n  burst: 1\n  concurrency: 4"


def _sync(answers: Answers) -> str:
    source = quoted(answers.source)
    lines = [
        "sync:",
        f"  source: {source}  # value of source_api; only rows with it are ever deactivated",
    ]
    if answers.is_live:
        lines += [
            "  deactivate:",
            "    max_probes: 2000  # requests by id; further absent cars wait for the next run",
            "",
            "acceptance:",
            "  max_minutes: 90  # about 935 pages at one a second, and the requests by id",
            "  min_pages_per_second: 0.4",
            "  min_rows_per_second: 200",
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
    if answers.is_live:
        lines += _LIVE_CHANGES
        lines.append("  timeout: {read_s: 60, total_s: 120}  # a page of 1,000 cars holds 4 MB")
    lines += _auth(answers, looked)
    return "\n".join([*lines, *write_pagination(answers, looked)])


def _auth(answers: Answers, looked: Looked) -> list[str]:
    """Return the lines about how the API is shown who asks."""
    if answers.auth == "none":
        is_seen = looked.layout is not None and not answers.knows_auth
        remark = "  # the API answered without a key" if is_seen else ""
        return [f"  auth: {{type: none}}{remark}"]
    lines = ["  auth:", f"    type: {answers.auth}"]
    if answers.auth in ("header", "query"):
        lines.append(f"    name: {quoted(answers.auth_name)}")
    if answers.auth_prefix:
        lines.append(f"    prefix: {quoted(answers.auth_prefix)}")
    if answers.auth == "oauth2":
        lines.append(f"    token_url: {quoted(answers.token_url)}")
    if answers.auth == "login":
        lines.append(f"    path: {quoted(answers.login_path)}")
    secrets = SECRETS[answers.auth]
    return lines + [f"    {name}: ${{API_{name.upper()}:-}}" for name in secrets]


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
    gone = f", gone_when: {_LIVE_GONE}" if answers.is_live else ""
    if facts is None:
        return [f"  record: {{path: {usual}{gone}}}  # path of one car; null: the API has none"]
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
    if _REFUSED.search(answer.rule):
        seen += "; it may mean gone, or a refused request"
        answer = replace(answer, rule="")
    rule = f", {answer.rule}" if answer.rule else ""
    guess = "; guess: that means gone" if rule else ""
    rule += gone
    return [f"{seen}{guess}.", f"  record: {{path: {quoted(facts.readable_path)}{rule}}}"]


def _mapping(answers: Answers, looked: Looked) -> str:
    if answers.preset is not None:
        algorithm = "\n  hash: {algorithm: md5}  # the table has MD5 hashes" if answers.md5 else ""
        lines = ["mapping:", f"  preset: {quoted(answers.preset)}{algorithm}"]
        if answers.is_live:
            lines += ["  columns:", "    # The auction, by which a lot is asked for."]
            lines.append(f"    domain_name: {{path: {quoted(_LIVE_DOMAIN)}}}")
        return "\n".join(lines)
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
