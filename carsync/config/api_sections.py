"""Typed configuration: the sections below `api`, their keys and their defaults."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal
from urllib.parse import quote

from msgspec import Meta

from carsync.config.mapping_sections import ColumnRule
from carsync.config.section_base import (
    Count,
    Duration,
    Natural,
    Positive,
    Section,
    seconds,
)
from carsync.redaction import Hidden, Secret, names_secret

AuthType = Literal["header", "bearer", "basic", "query", "oauth2", "login", "none"]
Grant = Literal["client_credentials", "password", "refresh_token"]


class Auth(Section, frozen=True):
    """How carsync shows the API who asks; docs/keys.md says which keys belong to which type.

    Of `name` null is the usual name of the type; of `prefix` null is none for a key, and
    `Bearer ` for a token.
    """

    type: AuthType = "header"
    name: str | None = None
    key: Secret | None = None
    prefix: str | None = None
    username: Secret | None = None
    password: Secret | None = None
    token_url: str | None = None
    grant: Grant = "client_credentials"
    client_id: str | None = None
    client_secret: Secret | None = None
    client_auth: Literal["header", "body"] = "header"
    refresh_token: Secret | None = None
    scope: str | None = None
    path: str | None = None
    body: dict[str, Hidden] = {}
    token: str = "access_token"
    expires_in: str | None = None
    expires_at: str | None = None
    header: str = "Authorization"

    @property
    def sent_name(self) -> str:
        """The name of the header, or of the query parameter, in which the key travels."""
        usual = "api_key" if self.type == "query" else "X-API-Key"
        return usual if self.name is None else self.name

    @property
    def sends_key(self) -> bool:
        """Whether requests carry anything that tells who asks."""
        is_plain = self.type in {"header", "bearer", "query"}
        return self.type != "none" and not (is_plain and self.key is None)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """What an answer may quote of that which proves who asks."""
        known = (self.key, self.password, self.client_secret, self.refresh_token)
        return tuple(secret for secret in known if secret is not None)

    def prefixed(self, value: str, usual: str = "") -> str:
        """Return `value` behind the prefix; a word as the prefix is followed by a blank.

        >>> Auth(prefix="Token").prefixed("k-1"), Auth(prefix="key=").prefixed("k-1")
        ('Token k-1', 'key=k-1')
        """
        prefix = usual if self.prefix is None else self.prefix
        return f"{prefix}{' ' if prefix[-1:].isalnum() else ''}{value}"

    def missing(self) -> str:
        """Return the key without which this type cannot show who asks; empty: it has all.

        >>> Auth(type="basic").missing(), Auth(type="bearer").missing()
        ('username', '')
        """
        needed = ["username"] if self.type == "basic" else []
        if self.type == "login" and not self.body:
            needed = ["username", "password"]
        if self.type == "oauth2":
            needed = {
                "client_credentials": ["client_id", "client_secret"],
                "password": ["username", "password"],
                "refresh_token": ["refresh_token"],
            }[self.grant]
        return next((name for name in needed if not getattr(self, name)), "")


class Timeout(Section, frozen=True):
    """Deadlines in seconds. `total_s` is for one attempt, from first byte sent to last read."""

    connect_s: Positive = 10.0
    read_s: Positive = 30.0
    total_s: Positive = 60.0


Value = str | int | float | bool


class Pagination(Section, frozen=True):
    """Where pages, records and totals are. Paths are dotted; `""` is the answer itself.

    `header:NAME` is a header of the answer, `header:NAME.a.b` a value in the JSON that it holds.
    Of `next` null is the usual place of the kind: `meta.next_cursor`, `links.next`.
    """

    type: Literal["page", "offset", "cursor", "next_link", "link_header", "none"] = "page"
    page_param: str = "page"
    size_param: str | None = "per_page"
    page_size: Count = 100
    first_page: Natural = 1
    offset_param: str = "offset"
    first: Natural = 0
    cursor_param: str = "cursor"
    next: str | None = None
    rel: str = "next"
    records: str = "data"
    has_more: str | None = None
    total_pages: str | None = "meta.last_page"
    total_records: str | None = "meta.total"
    max_pages: Count = 5000
    stop_after_empty_pages: Count = 10
    end_status: tuple[Annotated[int, Meta(ge=200, le=499)], ...] = (404,)


PLACE = re.compile(r"\{([^{}]*)\}")
"""A place in a record's path: `{column}` of its row, or `{.field}` of the record itself."""


class Record(Section, frozen=True):
    """One record by its id, for `second_proof: by_id`.

    `path` holds `{id}`, or other mapped columns: `/search-lot/{lot_number}/{domain_name}`. A field
    begins with a dot, `{.ref}`, and has to stand in the table too. Values are percent-encoded.
    A car is gone where the answer has one of `gone_status`, or where one entry of `gone_when`
    holds: a mapped column, or a field (`.` and its dotted path), has that value or one of them.
    """

    path: str = "/cars/{id}"
    gone_status: tuple[Annotated[int, Meta(ge=200, le=499)], ...] = (404, 410)
    gone_when: dict[str, Value | list[Value]] = {}

    @property
    def places(self) -> tuple[str, ...]:
        """The names in the path's braces, in their order."""
        return tuple(PLACE.findall(self.path))

    def fill(self, values: Sequence[str]) -> str:
        """Return the path of the record with these values, one for each of the places.

        >>> Record(path="/lot/{lot}/{domain}").fill(["a/b", "iaai"])
        '/lot/a%2Fb/iaai'
        """
        filled = iter(values)
        return PLACE.sub(lambda _: quote(next(filled), safe=""), self.path)


WINDOW_FORMATS = ("minutes", "seconds", "iso8601", "epoch_s", "epoch_ms")


class Window(Section, frozen=True):
    """The parameter by which the API lists only the cars that changed, for incremental runs.

    `param` goes where the parameters of `lists` go; null: the API has none. `format` says what it
    holds: `minutes` or `seconds` before now; or the time itself as `iso8601`, `epoch_s`,
    `epoch_ms`, or as for Python's `strftime`, in the IANA `zone`. A window reaches `overlap`
    further back than the last run's start, because records become visible late, and never further
    than `max` (null: any length).
    """

    param: str | None = None
    format: str = "minutes"
    zone: str = "UTC"
    overlap: Duration = "15m"
    max: Duration | None = "72h"

    @property
    def is_relative(self) -> bool:
        """Whether the parameter says how long ago, and not when."""
        return self.format in {"minutes", "seconds"}

    @property
    def overlap_s(self) -> float:
        """The overlap in seconds."""
        return seconds(self.overlap)

    @property
    def max_s(self) -> float:
        """The greatest length in seconds; infinite where there is none."""
        return math.inf if self.max is None else seconds(self.max)


class Removals(Section, frozen=True, rename={"set_": "set"}):
    """The feed of removals: each of its records, a tombstone, says that one car is gone.

    It lies at `path` (null: the API has none), and is paged, authorized and limited as the feed is;
    the parameter of `api.window` goes there too. `params` are its own, beside `api.params`.
    `id` is where a tombstone holds the car's id, written as `mapping.columns.id` makes it; `at`
    when it went. Both are a path, or a rule as in `mapping.columns`: `{path: at, format: epoch_s}`.
    `match` are columns in which the table must hold what the tombstone says, else it is of another
    lot of the car. `set` are columns that a tombstone writes, each with its rule; a value that is
    missing leaves its column as it is. A car that was listed after `at`, or is in this very run,
    stays.
    """

    path: str | None = None
    params: dict[str, Value] = {}
    id: str | ColumnRule = "id"
    at: str | ColumnRule = ""
    match: dict[str, str | ColumnRule] = {}
    set_: dict[str, ColumnRule] = {}


class Api(Section, frozen=True):
    """The feed. `record` says how to read one of its records; null: the API has no such request.

    With `method: POST` the values of paging go into `body`, each at its dotted place.
    The feed is read once for each combination of the values in `lists`, which go where those of
    paging go. A value may be several parameters at once: `{price_min: 0, price_max: 9999}`.
    """

    base_url: str | None = None
    path: str = "/cars"
    method: Literal["GET", "POST"] = "GET"
    body: dict[str, Any] = {}
    form: bool = False
    record: Record | None = Record()
    window: Window = Window()
    removals: Removals = Removals()
    auth: Auth = Auth()
    params: dict[str, Value] = {}
    lists: dict[str, list[Value | dict[str, Value]]] = {}
    headers: dict[str, Hidden] = {}
    timeout: Timeout = Timeout()
    max_body_bytes: Count = 64 * 1024 * 1024
    proxy: Secret | None = None
    ca_bundle: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    pagination: Pagination = Pagination()

    def __post_init__(self) -> None:
        """Make keys that travel elsewhere known by their names, in child processes too."""
        for value in self.secret_params.values():
            Secret(str(value))
        for name, hidden in (*self.headers.items(), *self.auth.body.items()):
            if names_secret(name):
                Secret(hidden.reveal())

    @property
    def secret_params(self) -> dict[str, Value]:
        """The parameters whose names say that they hold a key."""
        return {name: value for name, value in self.params.items() if names_secret(name)}
