"""What `carsync init` was told, and what the API showed: from them the file is written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Literal
from urllib.parse import parse_qsl, quote, urlencode

from msgspec import Struct
from msgspec.structs import replace

from carsync.config.api_sections import Api, AuthType
from carsync.config.mapping_sections import MappingRules
from carsync.config.sections import Database, Limits, Sync
from carsync.doctor.paging_guesses import Told
from carsync.doctor.paging_trial import Found
from carsync.doctor.record_facts import RecordFacts
from carsync.mapping.discovery import PageLayout
from carsync.mapping.guessing import Guess
from carsync.redaction import names_secret

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./{}-]*")
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
_SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})


class Answers(Struct, frozen=True, kw_only=True):
    """The answers that make the file; `preset` None: the file declares the columns itself.

    `params` and `headers` are sent with each request. `told` is what is known of the paging,
    `records` and `id_path` where the records, and their ids, are; None: not known.
    `secrets` were typed in, by their variables; the file names these alone.
    `knows_auth`: somebody told how the key is sent; `knows_path`: where the pages are.
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
    auth_prefix: str = ""
    secrets: Mapping[str, str] = {}
    token_url: str | None = None
    login_path: str | None = None
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
    knows_auth: bool = False
    knows_path: bool = True


SECRETS: Mapping[str, tuple[str, ...]] = {
    "header": ("key",),
    "bearer": ("key",),
    "query": ("key",),
    "basic": ("username", "password"),
    "oauth2": ("client_id", "client_secret"),
    "login": ("username", "password"),
    "none": (),
}
"""The secrets of each way to show who asks; `API_KEY` and its like hold them."""


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


def variable_of(name: str) -> str:
    """Return the environment variable that holds a secret header's or parameter's value.

    >>> variable_of("X-Api-Token")
    'X_API_TOKEN'
    """
    plain = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_").upper()
    return plain if plain and not plain[0].isdigit() else f"API_{plain}"


def variables_of(auth: str) -> list[str]:
    """Return the variables that hold the secrets of this way to show who asks.

    >>> variables_of("basic")
    ['API_USERNAME', 'API_PASSWORD']
    """
    return [f"API_{name.upper()}" for name in SECRETS[auth]]


def is_secret(name: str) -> bool:
    """Say whether a header or parameter of this name holds a secret.

    >>> is_secret("Authorization"), is_secret("api_key"), is_secret("Accept")
    (True, True, False)
    """
    return name.lower() in _SECRET_HEADERS or names_secret(name)


def secret_variables(answers: Answers) -> dict[str, str]:
    """Return the values of parameters and headers that are secrets, by their variables.

    >>> secret_variables(Answers(base_url="", headers={"Accept": "*/*", "X-Token": "k7Hq"}))
    {'X_TOKEN': 'k7Hq'}
    """
    given = {**answers.params, **answers.headers}
    return {variable_of(name): value for name, value in given.items() if is_secret(name)}


def hide_keys(answers: Answers) -> Answers:
    """Return the answers without the keys that stand in a path's query: the file names them alone.

    A lone key is how the API is shown who asks, where nothing else was told; else a parameter.

    >>> told = hide_keys(Answers(base_url="https://x.test", path="/cars?make=Kia&api_key=k7Hq"))
    >>> told.path, told.auth, told.auth_name, told.secrets
    ('/cars?make=Kia', 'query', 'api_key', {'API_KEY': 'k7Hq'})
    """
    path, found = _split_keys(answers.path)
    record_path, more = _split_keys(answers.record_path or "")
    keys = {**more, **found}
    answers = replace(answers, path=path, record_path=record_path or answers.record_path)
    if len(keys) != 1 or answers.knows_auth:
        return replace(answers, params={**keys, **answers.params})
    ((name, key),) = keys.items()
    secrets = {**answers.secrets, "API_KEY": key}
    return replace(answers, auth="query", auth_name=name, secrets=secrets, knows_auth=True)


def _split_keys(path: str) -> tuple[str, dict[str, str]]:
    """Split the secrets off a path's query; the place of a variable is none."""
    bare, _, query = path.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    keys = {name: value for name, value in pairs if is_secret(name) and "${" not in value}
    if not keys:
        return path, {}
    rest = urlencode([(n, v) for n, v in pairs if n not in keys], safe="{}$:", quote_via=quote)
    return bare + (f"?{rest}" if rest else ""), keys


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
