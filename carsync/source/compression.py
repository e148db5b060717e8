"""Encodings of content: gzip is decompressed within a size, other charsets become UTF-8. Pure."""

from __future__ import annotations

import re
import zlib
from contextlib import suppress
from typing import Any

from carsync.errors import FailureKind, PageError

_zlib: Any = zlib
with suppress(ImportError):  # there is no wheel for every machine
    from isal import isal_zlib as _zlib  # the same in 40 % of the time

_GZIP_WBITS = 31  # zlib manual, inflateInit2: 16 + 15 reads a gzip header and trailer
_MAGIC = b"\x1f\x8b"  # RFC 1952, section 2.3.1
_DAMAGED = "the answer's gzip data are damaged"
_CHUNK_BYTES = 64 * 1024  # what follows a member is copied each time, so no more is handed over
_MAX_MEMBERS = 10_000
"""A stream may be written in blocks (bgzip's hold 64 KiB); more are taken for an attack."""

_CHARSET = re.compile(r"charset\s*=\s*[\"']?([^\s;\"']+)", re.IGNORECASE)


def gunzip(wire: bytes, max_bytes: int) -> bytes:
    """Return the content of the gzip stream `wire`, its members joined (RFC 1952, section 2.2).

    Raises `PageError`: `NETWORK` for a stream that is cut short, `BAD_PAGE` for one that is
    damaged or holds more than `max_bytes`.

    >>> import gzip
    >>> gunzip(gzip.compress(b"[1,") + gzip.compress(b"2]"), 100)
    b'[1,2]'
    """
    view, at, size = memoryview(wire), 0, 0
    parts: list[bytes] = []
    for _ in range(_MAX_MEMBERS):
        if not _MAGIC.startswith(bytes(view[at : at + len(_MAGIC)])):  # isal waits for more
            raise PageError(FailureKind.BAD_PAGE, _DAMAGED)
        stream = _zlib.decompressobj(_GZIP_WBITS)
        while not stream.eof:
            chunk = view[at : at + _CHUNK_BYTES]
            if not chunk:
                raise PageError(FailureKind.NETWORK, "the answer's gzip stream is cut short")
            try:
                parts.append(stream.decompress(chunk, max_bytes - size + 1))
            except _zlib.error:
                raise PageError(FailureKind.BAD_PAGE, _DAMAGED) from None
            size += len(parts[-1])
            if size > max_bytes:
                raise too_large(max_bytes)
            at += len(chunk) - len(stream.unused_data)
        if at == len(view):
            return b"".join(parts)
    raise PageError(FailureKind.BAD_PAGE, "the answer's gzip stream is in too many pieces")


def too_large(max_bytes: int) -> PageError:
    """Return the error for an answer of more than `max_bytes`."""
    problem = f"the answer is larger than api.max_body_bytes ({max_bytes:,} bytes)"
    return PageError(FailureKind.BAD_PAGE, problem)


def to_utf8(body: bytes, content_type: str) -> bytes:
    """Return a text body as UTF-8; its charset is that of its content type (RFC 8259: UTF-8).

    Raises `PageError` (`BAD_PAGE`) for a charset that Python does not know.

    >>> to_utf8('{"model": "Citroën"}'.encode("latin-1"), "application/json; charset=latin1")
    b'{"model": "Citro\\xc3\\xabn"}'
    """
    found = _CHARSET.search(content_type)
    charset = found[1].lower() if found else "utf-8"
    if charset in {"utf-8", "utf8", "us-ascii"}:
        return body
    try:
        return body.decode(charset, "replace").encode()
    except LookupError:
        problem = f"the answer has the charset {charset[:20]!r}"
        raise PageError(FailureKind.BAD_PAGE, problem) from None
