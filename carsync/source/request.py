"""A request to the API, as paging and authentication make it and the client sends it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Parameter = str | int | float | bool


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A GET request: a path below `api.base_url`, its query parameters, its further headers."""

    path: str
    params: Mapping[str, Parameter] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
