"""An API that answers each request after a while, whatever their number: no core is its limit.

    python -m tests.benchmarks.latent_api --pages 4000 --page-size 10 --latency-ms 300

The pages are made and compressed before the first request. `GET /stats` tells how many requests
came, when the first and the last did, and how many were out at once, weighed by time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import time
import zlib

import msgspec

MAKES = {"Kia": "Sorento", "Hyundai": "Tucson", "Genesis": "GV70", "BMW": "X3"}
_GET = re.compile(rb"GET /api/[^ ]*[?&]page=(\d+)")


def car(number: int) -> dict[str, object]:
    """Return a slim record."""
    make = list(MAKES)[number % len(MAKES)]
    return {
        "id": 7_000_000 + number,
        "year": 2008 + number % 17,
        "vin": f"KMH{number:014d}",
        "manufacturer": {"name": make},
        "model": {"name": MAKES[make]},
        "lots": [{"lot": str(number), "status": {"name": "sale"}, "buy_now": 4000 + number}],
    }


def answers(pages: int, page_size: int) -> list[bytes]:
    """Return the whole answer for each page, and for one behind the last."""
    made = []
    for page in range(1, pages + 2):
        first = (page - 1) * page_size
        size = page_size if page <= pages else 0
        meta = {"current_page": page, "last_page": pages, "total": pages * page_size}
        records = [car(number) for number in range(first, first + size)]
        made.append(_answer(msgspec.json.encode({"data": records, "meta": meta})))
    return made


def _answer(body: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    packed = packer.compress(body) + packer.flush()
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
        f"Content-Length: {len(packed)}\r\n\r\n"
    )
    return head.encode() + packed


class Stats:
    """What came so far; `out_s` is the sum over all requests of the time they were out."""

    def __init__(self) -> None:
        self.requests = self.out = 0
        self.first_s = self.last_s = self.changed_s = self.out_s = 0.0

    def change(self, by: int) -> None:
        """Note a request (1) or an answer (-1)."""
        now_s = time.monotonic()
        self.out_s += self.out * (now_s - self.changed_s)
        self.changed_s = now_s
        self.out += by
        if by > 0:
            self.requests += 1
            self.first_s, self.last_s = self.first_s or now_s, now_s

    def answer(self) -> bytes:
        """Return the figures as an answer."""
        self.change(0)
        body = json.dumps(vars(self)).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class Connection(asyncio.Protocol):
    """One kept-alive connection, with one request at a time and no body."""

    def __init__(self, pages: list[bytes], latency_s: float, stats: Stats) -> None:
        self._pages = pages
        self._latency_s = latency_s
        self._stats = stats

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer a request after the latency."""
        found = _GET.match(data)
        if found is None:
            self._transport.write(self._stats.answer())
            return
        self._stats.change(1)
        page = min(int(found[1]), len(self._pages))
        loop = asyncio.get_running_loop()
        loop.call_later(self._latency_s, self._send, self._pages[page - 1])

    def _send(self, answer: bytes) -> None:
        self._stats.change(-1)
        self._transport.write(answer)


async def serve(pages: list[bytes], latency_s: float) -> None:
    """Serve on a free port for ever, and say on which."""
    stats = Stats()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(pages, latency_s, stats), "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=4000)
    parser.add_argument("--page-size", type=int, default=10)
    parser.add_argument("--latency-ms", type=float, default=300)
    given = parser.parse_args()
    asyncio.run(serve(answers(given.pages, given.page_size), given.latency_ms / 1000))


if __name__ == "__main__":
    main()
