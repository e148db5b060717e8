"""Typed configuration: the sections below `api`, their keys and their defaults."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from carsync.config.section_base import Count, Natural, Positive, Section
from carsync.redaction import Secret, names_secret

AuthType = Literal["header", "bearer", "none"]


class Auth(Section, frozen=True):
    """How the key is sent: as the header `name`, as `Authorization: Bearer`, or not at all."""

    type: AuthType = "header"
    name: str = "X-API-Key"
    key: Secret | None = None


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


class Record(Section, frozen=True):
    """One record by its id, for `second_proof: by_id`; `path` holds `{id}`.

    A car is gone where the answer has one of `gone_status`, or where one entry of `gone_when`
    holds: a mapped column, or a field (`.` and its dotted path), has that value or one of them.
    """

    path: str = "/cars/{id}"
    gone_status: tuple[Annotated[int, Meta(ge=200, le=499)], ...] = (404, 410)
    gone_when: dict[str, Value | list[Value]] = {}


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
    auth: Auth = Auth()
    params: dict[str, Value] = {}
    lists: dict[str, list[Value | dict[str, Value]]] = {}
    timeout: Timeout = Timeout()
    max_body_bytes: Count = 64 * 1024 * 1024
    proxy: Secret | None = None
    ca_bundle: str | None = None
    pagination: Pagination = Pagination()

    def __post_init__(self) -> None:
        """Make a key that travels as a parameter known as a secret, in a child process too."""
        for name, value in self.params.items():
            if names_secret(name):
                Secret(str(value))
