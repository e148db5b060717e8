"""A row's business fields → `data_hash`, over the bytes that `JSON.stringify` would write.

Canonical JSON: keys sorted, compact, UTF-8 without needless escapes, a missing
value as null, numbers as JavaScript writes them. msgspec writes all of that but
the less common floats (1e21, 1e-6, 15000.0), which go in ready-made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from operator import itemgetter
from types import NoneType
from typing import Any

import msgspec
import xxhash

from carsync.config.mapping_sections import HashAlgorithm
from carsync.mapping.javascript import MAX_SAFE_INTEGER, are_safe_integers, js_number

HashValue = str | int | float | bool | None
Digest = Callable[[bytes], str]
Hasher = Callable[[Sequence[list[Any]]], list[str]]
_PLAIN = frozenset({str, bool, NoneType})
_DIGESTS: dict[HashAlgorithm, Digest] = {
    "xxh3_128": xxhash.xxh3_128_hexdigest,
    "md5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
}
"""Algorithm → function from bytes to the lower-case hexadecimal digest (32 characters)."""


def compile_canonical(
    fields: Sequence[str], *, plain: bool = False
) -> Callable[[Sequence[Any]], bytes]:
    """Return the function that writes the values of `fields` as one canonical JSON object.

    The function takes the values in the order of `fields`, each a str, int, float,
    bool or None. Integers beyond 2**53 are rounded to a double, as in JavaScript.
    `plain` leaves out the care for numbers: for columns without a number that
    msgspec writes otherwise.

    The function raises `OverflowError` for an integer that no double can hold and
    `UnicodeEncodeError` for a lone surrogate.

    >>> compile_canonical(["make", "bid"])(["Škoda", 12500.0]).decode()
    '{"bid":12500,"make":"Škoda"}'
    """
    order = sorted(range(len(fields)), key=lambda i: fields[i])
    attributes = [f"f{n}" for n in range(len(fields))]
    names = {attribute: fields[i] for attribute, i in zip(attributes, order, strict=True)}
    record = msgspec.defstruct("HashedFields", attributes, rename=names, gc=False)
    encode = msgspec.json.Encoder().encode
    pick = tuple if order == sorted(order) else itemgetter(*order)
    if plain:
        return lambda values: encode(record(*pick(values)))
    return lambda values: encode(record(*_ready_made(pick(values))))


def _ready_made(values: Sequence[Any]) -> Sequence[Any]:
    """Return `values` with the text of each number, if msgspec writes one of them otherwise."""
    for value in values:
        kind = value.__class__
        if kind is int:
            alike = -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER
        elif kind is float:
            alike = 1e-5 <= abs(value) < MAX_SAFE_INTEGER and not value.is_integer()
        else:
            continue
        if not alike:
            return [_as_written_by_js(each) for each in values]
    return values


def _as_written_by_js(value: HashValue) -> HashValue | msgspec.Raw:
    if value.__class__ is float or value.__class__ is int:
        text = js_number(value)
        # JSON.stringify writes null for what JSON cannot hold (ECMA-262, section 25.5.2.2).
        return msgspec.Raw(b"null" if text[-1] in "yN" else text.encode())
    return value


def compile_hasher(fields: Sequence[str], algorithm: HashAlgorithm) -> Hasher:
    """Return the function from columns of values to the `data_hash` of each row.

    The function takes one list a field, in the order of `fields`, all of one length. The
    order of `fields` does not change the hash. The function raises what the function of
    `compile_canonical` raises.

    >>> compile_hasher(["make"], "md5")([["BMW"]])
    ['430504184e117478856d8f29895893a9']
    """
    canonical = compile_canonical(fields)
    plain = compile_canonical(fields, plain=True)
    digest = _DIGESTS[algorithm]

    def hash_columns(columns: Sequence[list[Any]]) -> list[str]:
        write = plain if all(map(_is_plain, columns)) else canonical
        return [digest(write(values)) for values in zip(*columns, strict=True)]

    return hash_columns


def _is_plain(column: list[Any]) -> bool:
    """Say whether msgspec writes every value of the column as JavaScript does."""
    return _PLAIN.issuperset(map(type, column)) or are_safe_integers(column)


def scheme_of(fields: Sequence[str], algorithm: HashAlgorithm) -> str:
    """Name the rules by which a table's hashes were made; a new name means new hashes.

    >>> scheme_of(["model", "make"], "md5")
    'md5:v1:make,model'
    """
    return f"{algorithm}:v1:{','.join(sorted(fields))}"


def digest_of_ids(ids: Sequence[str | None]) -> int:
    """Return a digest of the ids that a page lists, in their order; 0 where a record has none."""
    known = [i for i in ids if i is not None]
    text = "\0".join(known).encode("utf-8", "surrogatepass")
    return xxhash.xxh3_64_intdigest(text) if len(known) == len(ids) else 0
