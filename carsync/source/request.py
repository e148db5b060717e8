"""A request to the API, as paging and authentication make it and the client sends it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

Parameter = str | int | float | bool


class ApiRequest(Struct, frozen=True):
    """A GET request: a path below `api.base_url`, its query parameters, its further headers."""

    path: str
    params: Mapping[str, Parameter] = msgspec.field(default_factory=dict)
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
