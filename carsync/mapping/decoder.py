"""Page bytes → records, of which only the mapped paths are decoded.

A page is decoded in one go into structs made from the paths. That fails if one
record holds what no JSON or no double can (NaN, lone surrogates, 1e400, nesting
without end). The page is cut into its records then, and each is decoded alone, so
that only the poisoned ones are lost.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from carsync import formatting
from carsync.errors import FailureKind, PageError
from carsync.mapping.fields import SCALARS, RecordType, Unholdable, parse_path
from carsync.mapping.json_splitter import MalformedJsonError, Splitter

_REFUSALS = (msgspec.MsgspecError, UnicodeError, RecursionError)
MAX_SAMPLE = 100
MAX_FIELDS = 500
MAX_FIELD_CHARS = 60
_FIELD_DEPTH = 3
_MAX_INTEGER_DIGITS = 4000  # Python refuses to read more than 4300 digits
_BOM = b"\xef\xbb\xbf"


class DecodedPage(Struct, frozen=True):
    """The records of a page as the decoder's type, or plain JSON; `texts()` gives their texts.

    `values` stand at the decoder's `paths` beside the records; None where nothing does.
    """

    records: list[Any]
    values: tuple[Any, ...]
    texts: Callable[[], list[str]]


class PageDecoder:
    """Decodes pages of one feed: the list of records at `records`, and what stands at `paths`.

    All paths are dotted and begin at the top of an answer. A page of more than `most_records`
    is refused.
    """

    def __init__(
        self,
        records: str,
        paths: Sequence[str],
        record_type: RecordType,
        most_records: float = math.inf,
    ) -> None:
        self._most_records = most_records
        self._records = parse_path(records)
        self._paths = [parse_path(path) for path in paths]
        record = record_type.type
        listed = list[record] | dict[str, Any] | SCALARS  # type: ignore[valid-type]
        self._envelope = RecordType([self._records, *self._paths], {self._records: listed})
        self._texts = RecordType([self._records], {self._records: list[msgspec.Raw]})
        self._decode_page = msgspec.json.Decoder(self._envelope.type).decode
        self._beside = RecordType(self._paths)
        self._decode_beside = msgspec.json.Decoder(self._beside.type).decode
        self._decode_texts = msgspec.json.Decoder(self._texts.type).decode
        self._decode_record = msgspec.json.Decoder(record).decode

    def decode(self, body: bytes) -> DecodedPage:
        """Decode a page; raise `PageError` (`BAD_PAGE`), and nothing else, for anything else."""
        body = body.removeprefix(_BOM)  # RFC 8259, section 8.1: may be ignored
        try:
            envelope = self._decode_page(body)
        except _REFUSALS:
            return self._decode_tolerantly(body)
        found = self._envelope.gather([envelope])
        records = found[self._envelope.slot(self._records)][0]
        if records.__class__ is not list:
            place = ".".join(self._records) or "the top"
            raise _bad_page(body, f"there is no list at {place}")
        if len(records) > self._most_records:
            raise _bad_page(body, f"it holds {formatting.plural(len(records), 'record')}")
        return DecodedPage(records, self._values(found), lambda: self._read_texts(body))

    def peek(self, body: bytes) -> tuple[Any, ...] | None:
        """Return the values beside the records, which are skipped; None where that fails."""
        try:
            found = self._beside.gather([self._decode_beside(body.removeprefix(_BOM))])
        except _REFUSALS:
            return None
        return tuple(found[self._beside.slot(path)][0] for path in self._paths)

    def decode_record(self, body: bytes) -> DecodedPage:
        """Decode one record as a page of it alone; raise `PageError` where it is not JSON."""
        text = body.decode("utf-8", "surrogateescape").strip(" \t\n\r")
        try:
            record = self._load_record(text)
        except (ValueError, RecursionError) as exc:
            problem = "the text is not the JSON of a record"
            raise PageError(FailureKind.BAD_PAGE, problem, detail=str(exc)) from None
        return DecodedPage([record], (), lambda: [text])

    def _decode_tolerantly(self, body: bytes) -> DecodedPage:
        texts, rest = self._split(body)
        try:
            found = self._envelope.gather([_load(rest)])
            records = [self._load_record(text) for text in texts]
        except (ValueError, RecursionError) as exc:
            raise _bad_page(body, str(exc)) from None
        return DecodedPage(records, self._values(found), lambda: texts)

    def _read_texts(self, body: bytes) -> list[str]:
        try:
            found = self._texts.gather([self._decode_texts(body)])
        except _REFUSALS:  # nested so deeply that it could only just be decoded
            return self._split(body)[0]
        raws = found[self._texts.slot(self._records)][0]
        return [bytes(raw).decode("utf-8", "surrogateescape") for raw in raws]

    def _split(self, body: bytes) -> tuple[list[str], str]:
        # Bytes that are no UTF-8 become lone surrogates, which reject the text they stand in.
        text = body.decode("utf-8", "surrogateescape")
        try:
            return _splitter.split_array(text, self._records, self._most_records)
        except MalformedJsonError as exc:
            raise _bad_page(body, str(exc)) from None

    def _load_record(self, text: str) -> Any:
        try:
            return self._decode_record(text)
        except _REFUSALS:
            return load_deep(text)

    def _values(self, found: list[list[Any]]) -> tuple[Any, ...]:
        return tuple(found[self._envelope.slot(path)][0] for path in self._paths)


def common_fields(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the dotted paths of the fields that at least half of the records have.

    Of a list its first item is looked at. At most `MAX_SAMPLE` records are, and at most
    `MAX_FIELDS` fields are returned.

    >>> common_fields(['{"id": 1, "lots": [{"bid": 2}]}', '{"id": 1, "vin": "A", "odd": 1}', '7'])
    ('id',)
    """
    counts: Counter[str] = Counter()
    sample = texts[:MAX_SAMPLE]
    for text in sample:
        with contextlib.suppress(*_REFUSALS):
            counts.update(_fields_in(msgspec.json.decode(text), "", _FIELD_DEPTH))
    return tuple(sorted(n for n, count in counts.items() if 2 * count >= len(sample)))[:MAX_FIELDS]


def _fields_in(value: Any, path: str, depth: int) -> Iterator[str]:
    if value.__class__ is list and path:
        value, path = (value[0] if value else None), f"{path}0."
    if value.__class__ is dict and depth:
        for name, member in value.items():
            if name.isprintable() and len(name) <= MAX_FIELD_CHARS:
                yield f"{path}{name}"
                yield from _fields_in(member, f"{path}{name}.", depth - 1)


def _bad_page(body: bytes, detail: str) -> PageError:
    # The body itself is not quoted: an error page may echo the request's key.
    if body.lstrip()[:1] == b"<":
        detail = "it looks like HTML or XML"
    elif not body.strip():
        detail = "it is empty"
    return PageError(
        FailureKind.BAD_PAGE,
        "the answer is not a page of the feed",
        detail=detail,
        hint="api.pagination.records must be the path of the list of records",
    )


def _read_integer(text: str) -> int | Unholdable:
    return int(text) if len(text) <= _MAX_INTEGER_DIGITS else Unholdable(f"{text[:20]}…")


def _read_float(text: str) -> float | Unholdable:
    number = float(text)
    return number if abs(number) != float("inf") else Unholdable(text[:20])


_tolerant = json.JSONDecoder(
    parse_int=_read_integer,
    parse_float=_read_float,
    parse_constant=Unholdable,
    strict=False,  # raw control characters in a text: PostgreSQL holds them, NUL aside
)
_load = _tolerant.decode
_splitter = Splitter(_tolerant)


def load_deep(text: str) -> Any:
    """Read a record; a member nested too deeply to be read becomes `Unholdable`."""
    try:
        return _load(text)
    except RecursionError:
        pass
    if not text.startswith("{"):
        return Unholdable("a list nested too deeply")
    record: dict[str, Any] = {}
    for key, member in _splitter.split_object(text):
        try:
            record[key] = _load(member)
        except RecursionError:
            record[key] = Unholdable("a value nested too deeply")
    return record
