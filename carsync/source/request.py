"""A request, as paging and authentication make it and the client sends it, and its answer."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

import msgspec
from msgspec import Struct
from msgspec.structs import replace

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

    def with_header(self, name: str, value: str) -> ApiRequest:
        """Return the request with one header more.

        >>> ApiRequest("/cars", headers={"A": "1"}).with_header("B", "2").headers
        {'A': '1', 'B': '2'}
        """
        return replace(self, headers={**self.headers, name: value})


class Answer(Struct, frozen=True):
    """A complete 200 answer: decoded `body`, its size on the wire and the time it took.

    `sent_s` is when the request was sent, on this process's monotonic clock; `date` the
    server's Date header as it came, empty where it sent none. `headers` are all of its headers.
    """

    body: bytes
    wire_bytes: int
    latency_s: float
    sent_s: float
    date: str = ""
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)


def query_pairs(address: str) -> list[tuple[str, str]]:
    """Return the parameters of an address, those without a value too; raise `ValueError`.

    >>> query_pairs("https://api.example.com/cars?make=Kia&page=")
    [('make', 'Kia'), ('page', '')]
    """
    return parse_qsl(urlsplit(address).query, keep_blank_values=True)
