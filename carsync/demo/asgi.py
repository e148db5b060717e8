"""Requests and answers of the simulated API, as ASGI has them."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from carsync.demo.asked import Said

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_GUNZIP = 31  # zlib's wbits for a gzip member


class SimulatedAnswer(Struct, frozen=True):
    """An HTTP answer; `gzipped`: the body is compressed; `cut`: the answer ends half-way."""

    status: int
    body: bytes
    gzipped: bool = False
    content_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    cut: bool = False


def answer_of(said: Said) -> SimulatedAnswer:
    """Return what is said as an answer."""
    answer = as_json(said.body, said.status) if said.has_body else SimulatedAnswer(said.status, b"")
    if said.retry_after_s is None:
        return answer
    return replace(answer, headers=((b"retry-after", b"%d" % said.retry_after_s),))


def as_json(data: Any, status: int = 200) -> SimulatedAnswer:
    """Return an answer that holds `data`."""
    return SimulatedAnswer(status, msgspec.json.encode(data))


def error(status: int, message: str) -> SimulatedAnswer:
    """Return an answer that refuses a request."""
    return as_json({"message": message}, status)


def header(scope: Message, name: bytes) -> bytes | None:
    """Return a header of a request; `name` is in lower case."""
    return next((value for key, value in scope["headers"] if key == name), None)


def params_in_body(scope: Message, body: bytes) -> dict[str, str]:
    """Return the parameters in a form, or in a JSON object, inner names behind a dot."""
    if not body:
        return {}
    if b"json" not in (header(scope, b"content-type") or b""):
        return {name: values[-1] for name, values in parse_qs(body.decode("latin-1")).items()}
    flat: dict[str, str] = {}
    for name, value in msgspec.json.decode(body, type=dict[str, Any]).items():
        inner = value if isinstance(value, dict) else {"": value}
        flat.update({f"{name}.{i}" if i else name: str(v) for i, v in inner.items()})
    return flat


async def read_body(receive: Receive) -> bytes:
    """Return the whole body of a request."""
    body = b""
    while True:
        message = await receive()
        part: bytes = message.get("body", b"")
        body += part
        if not message.get("more_body"):
            return body


def params_in_query(scope: Message) -> dict[str, str]:
    """Return the parameters in the address of a request."""
    pairs = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return {name: values[-1] for name, values in pairs.items()}


async def respond(send: Send, scope: Message, answer: SimulatedAnswer) -> None:
    """Send an answer, compressed only to those who take it so."""
    body, gzipped = answer.body, answer.gzipped
    if gzipped and b"gzip" not in (header(scope, b"accept-encoding") or b""):
        body, gzipped = zlib.decompress(body, _GUNZIP), False
    headers = [(b"content-type", answer.content_type), (b"content-length", b"%d" % len(body))]
    headers += [*answer.headers, *([(b"content-encoding", b"gzip")] if gzipped else [])]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if answer.cut:
        # Returning with the body unfinished makes the server close the connection.
        half = body[: len(body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        return
    await send({"type": "http.response.body", "body": body})
