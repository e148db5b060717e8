"""The simulated API's pages, compressed, each built once."""

from __future__ import annotations

from carsync.demo.feed import Feed, FeedSnapshot, compress, in_parallel

CACHE_BYTES = 512 * 1024 * 1024


class PageCache:
    """Keeps the pages that were asked for last; `with_meta`: they report totals."""

    def __init__(self, feed: Feed, *, with_meta: bool) -> None:
        self._feed = feed
        self._with_meta = with_meta
        self._bodies: dict[tuple[int | str, ...], bytes] = {}
        self._bytes = 0

    def warm(self, snapshot: FeedSnapshot, page_size: int) -> int:
        """Build all pages of a snapshot; return their number."""
        pages = range(1, self._feed.page_count(snapshot, page_size) + 1)
        bodies = in_parallel(lambda n: self._build(n, page_size, snapshot), pages)
        for page, body in zip(pages, bodies, strict=True):
            self._keep((snapshot.number, snapshot.edition, page_size, page), body)
        return len(pages)

    def page(
        self, page: int, page_size: int, listed: FeedSnapshot, values: tuple[str, ...]
    ) -> bytes:
        """Return the page gzipped, from the cache where it is; `values` are its list's."""
        key: tuple[int | str, ...] = (listed.number, listed.edition, page_size, page, *values)
        body = self._bodies.get(key)
        if body is None:
            body = self._build(page, page_size, listed)
            self._keep(key, body)
        return body

    def _build(self, page: int, page_size: int, listed: FeedSnapshot) -> bytes:
        body = self._feed.page_body(listed, page, page_size, with_meta=self._with_meta)
        return compress(body)

    def _keep(self, key: tuple[int | str, ...], body: bytes) -> None:
        """Put a page into the cache, dropping the oldest ones past `CACHE_BYTES`."""
        self._bodies[key] = body
        self._bytes += len(body)
        while self._bytes > CACHE_BYTES:
            self._bytes -= len(self._bodies.pop(next(iter(self._bodies))))
