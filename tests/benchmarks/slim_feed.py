"""A feed of millions of slim cars that lies nowhere: a page is made of its number.

    python -m tests.benchmarks.slim_feed --cars 10000000 --page-size 1000 [--version 1]

A page is one text made before the first request, in which its number stands in place of a mark,
and which is compressed then: a few µs a car, so that a core is left for carsync. Version 0 is the
feed as it is first; in each other version another 1 % of the cars has another price.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import zlib
from functools import cache

import msgspec

MAKES = {"Kia": "Sorento", "Hyundai": "Tucson", "Genesis": "GV70", "BMW": "X3", "Audi": "Q5"}
COLORS = ("white", "black", "silver", "blue", "grey", "red")
CHANGED_PERCENT = 1
FIRST_PAGE_MARK = 100_000
"""The ids of page N begin with this much more than N, so that all are equally long."""
_MARK = "777777"
_LEVEL = 1
_GET = re.compile(rb"GET [^ ]*[?&]page=(\d+)[^ ]* HTTP/1\.1\r\n")


def car(place: int, page_size: int, version: int) -> dict[str, object]:
    """Give the record at a place of a page, with the mark where the page's number belongs."""
    make = list(MAKES)[place % len(MAKES)]
    number = f"{_MARK}{place:0{len(str(page_size)) - 1}d}"
    return {
        "id": int(number),
        "year": 2008 + place % 17,
        "vin": f"KMH{number:>014s}".replace(" ", "0"),
        "manufacturer": {"name": make},
        "model": {"name": MAKES[make]},
        "color": {"name": COLORS[place % len(COLORS)]},
        "fuel": {"name": "diesel" if place % 3 else "gasoline"},
        "lots": [
            {
                "lot": number,
                "status": {"name": "sale"},
                "buy_now": 4000 + 10 * place + version,
                "odometer": {"km": 1000 + 131 * place},
                "images": {"normal": [f"https://images.example.com/{number}/1.jpg"]},
            }
        ],
    }


class SlimFeed:
    """The pages of one version of the feed; `page_size` is a power of ten."""

    def __init__(self, cars: int, page_size: int, version: int) -> None:
        self.pages = -(-cars // page_size)
        self._cars, self._page_size, self._version = cars, page_size, version
        self._marked = cache(self._build)

    def body(self, page: int) -> bytes:
        """Return a page as JSON; behind the last one it holds no records."""
        meta = {"current_page": page, "last_page": self.pages, "total": self._cars}
        tail = b',"meta":' + msgspec.json.encode(meta) + b"}"
        if page > self.pages:
            return b'{"data":[]' + tail
        number = str(FIRST_PAGE_MARK + page).encode()
        count = min(self._page_size, self._cars - (page - 1) * self._page_size)
        return self._marked(page % 100, count).replace(_MARK.encode(), number) + tail

    def _build(self, hundredth: int, count: int) -> bytes:
        """Build a page's records; those that this version changes depend on its last digits."""
        versions = (
            self._version if (place + hundredth) % 100 < CHANGED_PERCENT else 0
            for place in range(count)
        )
        records = [car(place, self._page_size, each) for place, each in enumerate(versions)]
        return b'{"data":' + msgspec.json.encode(records)


def answer(body: bytes) -> bytes:
    """Return the whole HTTP answer that holds `body`, compressed."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, 31)
    packed = packer.compress(body) + packer.flush()
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
        f"Content-Length: {len(packed)}\r\n\r\n"
    )
    return head.encode() + packed


class Connection(asyncio.Protocol):
    """One kept-alive connection, whose requests hold no body."""

    def __init__(self, feed: SlimFeed) -> None:
        self._feed = feed
        self._heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each whole request."""
        self._heard += data
        while (end := self._heard.find(b"\r\n\r\n")) >= 0:
            request, self._heard = self._heard[: end + 4], self._heard[end + 4 :]
            found = _GET.match(request)
            if found is None:
                self._transport.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                continue
            self._transport.write(answer(self._feed.body(int(found[1]))))


async def serve(feed: SlimFeed, port: int) -> None:
    """Serve on a port (0: a free one) for ever, and say on which."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(feed), "127.0.0.1", port)
    port = server.sockets[0].getsockname()[1]
    print(f"http://127.0.0.1:{port}/api", flush=True)
    await server.serve_forever()


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cars", type=int, required=True)
    parser.add_argument("--page-size", type=int, default=1000, choices=(100, 1000))
    parser.add_argument("--version", type=int, default=0)
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    asyncio.run(serve(SlimFeed(given.cars, given.page_size, given.version), given.port))


if __name__ == "__main__":
    main()
