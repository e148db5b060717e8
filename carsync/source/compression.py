"""Content encodings: a gzip body is decompressed whole and within a size, or refused. Pure."""

from __future__ import annotations

import zlib

from carsync.errors import FailureKind, PageError

_GZIP_WBITS = 31  # zlib manual, inflateInit2: 16 + 15 reads a gzip header and trailer
_CHUNK_BYTES = 64 * 1024  # what follows a member is copied each time, so no more is handed over
_MAX_MEMBERS = 10_000
"""A stream may be written in blocks (bgzip's hold 64 KiB); more are taken for an attack."""


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
        stream = zlib.decompressobj(_GZIP_WBITS)
        while not stream.eof:
            chunk = view[at : at + _CHUNK_BYTES]
            if not chunk:
                raise PageError(FailureKind.NETWORK, "the answer's gzip stream is cut short")
            try:
                parts.append(stream.decompress(chunk, max_bytes - size + 1))
            except zlib.error:
                raise PageError(
                    FailureKind.BAD_PAGE, "the answer's gzip data are damaged"
                ) from None
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
