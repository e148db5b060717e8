"""A simulated feed as files, for a web server that is faster than the simulator."""

from __future__ import annotations

from pathlib import Path

from carsync.demo.feed import Feed, compress, in_parallel


def write_static(
    directory: Path, feed: Feed, number: int, page_size: int = 100, *, with_meta: bool = True
) -> int:
    """Write snapshot `number` as `1.json.gz` … `N.json.gz` into `directory`; return N.

    For a web server that serves the files with `Content-Encoding: gzip`. Pages
    left over from a longer snapshot are deleted. Raises `OSError`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    snapshot = feed.at(number)
    pages = feed.page_count(snapshot, page_size)

    def build(page: int) -> bytes:
        return compress(feed.page_body(snapshot, page, page_size, with_meta=with_meta))

    for page, body in enumerate(in_parallel(build, range(1, pages + 1)), start=1):
        (directory / f"{page}.json.gz").write_bytes(body)
    for path in directory.glob("*.json.gz"):
        stem = path.name.removesuffix(".json.gz")
        if stem.isdigit() and int(stem) > pages:
            path.unlink()
    return pages
