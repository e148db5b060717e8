"""A request to the API, as paging and authentication make it and the client sends it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

Parameter = str | int | float | bool | None


class ApiRequest(Struct, frozen=True):
    """A request: a path below `api.base_url`, its query parameters, its further headers.

    A parameter of None is not sent. A `body` makes it a POST. `is_link`: the path is one that
    the API named; it begins at the origin and holds all parameters.
    """

    path: str
    params: Mapping[str, Parameter] = msgspec.field(default_factory=dict)
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    body: bytes | None = None
    is_link: bool = False
