"""`api.pagination.type: next_link`: an answer holds the address of the next page.

The key goes to the configured origin alone: a link that leads elsewhere is refused, and its
path and query are all that is kept of any other.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import SplitResult, quote, unquote_plus, urljoin, urlsplit

from carsync.errors import FailureKind, PageError
from carsync.source.pagination.chain import ChainPaginator
from carsync.source.request import ApiRequest, query_pairs

_SAFE = "%/?:@!$&'()*+,;=~[]"
_SHOWN_CHARS = 120
_PORTS = {"http": 80, "https": 443}


class NextLinkPaginator(ChainPaginator):
    """A page's token is its address without the origin, and without the API's key."""

    @property
    def next_place(self) -> str:
        """Where an answer holds the link to the next page."""
        return self._pagination.next or "links.next"

    def request(self, page: int, token: str | None) -> ApiRequest:
        """Return the request of the page at this link.

        Some servers forget all parameters in their links: these get them again.
        """
        self._refuse_unnamed(page, token)
        keys = self._pagination
        first = self._ask(size=(keys.size_param, keys.page_size))
        if token is None:
            return first
        sent = {**self._api.params, **first.params}
        named = dict(query_pairs(token))
        params = self._api.secret_params if named.keys() & sent.keys() else sent
        return ApiRequest(token, params, first.headers, first.body, is_link=True)

    def read_token(self, value: Any) -> str | None:
        """Return the link's path and query; it may be relative, or an object with its `href`.

        Raises `PageError` where it leaves the configured origin.
        """
        if isinstance(value, dict):
            value = value.get("href")
        if not isinstance(value, str) or not value.strip():
            return None
        base = urlsplit(self._api.base_url or "")
        feed = f"{(self._api.base_url or '').rstrip('/')}/{self._api.path.removeprefix('/')}"
        try:
            link = urlsplit(urljoin(feed if self._api.path else feed[:-1], value.strip()))
            origin = _origin(link)
            is_ours = origin in _allowed(_origin(base)) and "@" not in link.netloc
        except ValueError:
            is_ours, origin = False, ("", "", None)
        if not is_ours or not value.isprintable() or "\\" in value:
            where = f"{origin[0]}://{origin[1]}:{origin[2]}"[:_SHOWN_CHARS]
            raise PageError(
                FailureKind.CLIENT,
                "the link to the next page leads to another origin than api.base_url",
                detail=where if where.isprintable() else "",
                hint="carsync sends the key to the origin of api.base_url alone (scheme, host and "
                "port): correct api.base_url, or use another api.pagination.type",
            )
        query = self._without_key(link.query)
        return quote((link.path or "/") + (f"?{query}" if query else ""), safe=_SAFE)

    def _without_key(self, query: str) -> str:
        """Return the query without parameters that hold a key, as some APIs echo it.

        What is sent with each request is added to it again.
        """
        api = self._api
        secrets = {str(value) for value in api.secret_params.values()}
        names = set(api.secret_params)
        if api.auth.key:
            secrets.add(api.auth.key.reveal())
        if api.auth.type == "query":
            names.add(api.auth.sent_name)
        pairs = (pair.partition("=") for pair in query.split("&"))
        return "&".join(
            f"{name}{sign}{value}"
            for name, sign, value in pairs
            if unquote_plus(name) not in names and unquote_plus(value) not in secrets
        )


def _allowed(ours: tuple[str, str | None, int | None]) -> set[tuple[str, str | None, int | None]]:
    """Return the origins that a link may name; what is requested stays on ours.

    Behind a proxy that ends TLS, many frameworks write http:// into their links.
    """
    scheme, host, port = ours
    return {ours, ("http", host, 80)} if (scheme, port) == ("https", 443) else {ours}


def _origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    """Return scheme, host and port.

    >>> _origin(urlsplit("HTTPS://Api.example.com/x")) == _origin(
    ...     urlsplit("https://api.example.com:443")
    ... )
    True
    """
    return url.scheme, url.hostname, url.port or _PORTS.get(url.scheme)
