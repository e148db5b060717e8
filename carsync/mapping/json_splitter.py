"""A page that no JSON reader takes as a whole → the texts of its records.

Follows the grammar of RFC 8259 and walks from value to value with the reader of the
standard library, which also takes NaN, lone surrogates and numbers beyond a double.
That reader gives up on nesting without end; brackets show the end of the value then.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

_BRACKET = re.compile(r'"(?:[^"\\]++|\\.)*+("?)|[\[\]{}]', re.DOTALL)
_BLANKS = re.compile(r"[ \t\n\r]*")
_CLOSING = {"{": "}", "[": "]"}


class MalformedJsonError(ValueError):
    """The text is not JSON, or there is no list where one was expected."""


class Splitter:
    """Splits texts whose values `decoder` reads."""

    def __init__(self, decoder: json.JSONDecoder) -> None:
        self._decoder = decoder

    def split_array(
        self, text: str, path: tuple[str, ...], most: float = math.inf
    ) -> tuple[list[str], str]:
        """Return the texts of the elements of the list at `path`, and `text` with it emptied.

        Raises `MalformedJsonError` where the text is no JSON up to the list's end,
        there is no list at `path`, or it has more than `most` elements.

        >>> Splitter(json.JSONDecoder()).split_array('{"data": [{"a": NaN}, 2]}', ("data",))
        (['{"a": NaN}', '2'], '{"data": []}')
        """
        start = _skip_blanks(text, 0)
        for part in path:
            start = self._find(text, start, part)
        if not text.startswith("[", start):
            raise MalformedJsonError(f"there is no list at {'.'.join(path) or 'the top'}")
        elements = []
        end = start + 1
        for _, begin, end in self._parts(text, start):
            elements.append(text[begin:end])
            if len(elements) > most:
                raise MalformedJsonError(f"it holds more records than {most:,}")
        end = text.index("]", end)
        return elements, f"{text[: start + 1]}{text[end:]}"

    def split_object(self, text: str) -> list[tuple[str, str]]:
        """Return the keys and value texts of the object that `text` is.

        >>> Splitter(json.JSONDecoder()).split_object('{"a": [1, 2], "b": null}')
        [('a', '[1, 2]'), ('b', 'null')]
        """
        start = _skip_blanks(text, 0)
        if not text.startswith("{", start):
            raise MalformedJsonError("there is no object")
        return [(key, text[begin:end]) for key, begin, end in self._parts(text, start)]

    def _find(self, text: str, start: int, part: str) -> int:
        """Return where the value at `part` starts; of several equal keys the last counts."""
        found = -1
        if text.startswith(("{", "["), start):
            for n, (key, begin, _) in enumerate(self._parts(text, start)):
                if part == (str(n) if text[start] == "[" else key):
                    found = begin
        if found < 0:
            raise MalformedJsonError(f"there is no {part}")
        return found

    def _parts(self, text: str, start: int) -> Iterator[tuple[str, int, int]]:
        """Give (key, begin, end) of each value in the list (key empty) or object at `start`."""
        opening = text[start]
        position = _skip_blanks(text, start + 1)
        if text.startswith(_CLOSING[opening], position):
            return
        while True:
            key = ""
            if opening == "{":
                key, position = self._read_key(text, position)
            end = self._end_of_value(text, position)
            yield key, position, end
            position = _skip_blanks(text, end)
            if text.startswith(_CLOSING[opening], position):
                return
            if not text.startswith(",", position):
                raise MalformedJsonError(
                    _where("a comma or a closing bracket is missing", position)
                )
            position = _skip_blanks(text, position + 1)

    def _end_of_value(self, text: str, start: int) -> int:
        try:
            end: int = self._decoder.raw_decode(text, start)[1]
        except RecursionError:
            return _end_of_brackets(text, start)
        except json.JSONDecodeError as exc:
            raise MalformedJsonError(_where(exc.msg, exc.pos)) from None
        return end

    def _read_key(self, text: str, start: int) -> tuple[str, int]:
        """Return the key at `start` and where its value starts."""
        if not text.startswith('"', start):
            raise MalformedJsonError(_where("a key is missing", start))
        end = self._end_of_value(text, start)
        colon = _skip_blanks(text, end)
        if not text.startswith(":", colon):
            raise MalformedJsonError(_where("a colon is missing", colon))
        key: str = self._decoder.decode(text[start:end])
        return key, _skip_blanks(text, colon + 1)


def _skip_blanks(text: str, start: int) -> int:
    match: Any = _BLANKS.match(text, start)  # always matches
    end: int = match.end()
    return end


def _end_of_brackets(text: str, start: int) -> int:
    """Return where the list or object at `start` ends, by its brackets alone."""
    closing: list[str] = []
    for token in _BRACKET.finditer(text, start):
        char = text[token.start()]
        if char in _CLOSING:
            closing.append(_CLOSING[char])
        elif char != '"':
            if char != closing.pop():
                raise MalformedJsonError(_where("brackets do not match", token.start()))
            if not closing:
                return token.end()
        elif not token.group(1):
            break
    raise MalformedJsonError("the text is cut short")


def _where(problem: str, position: int) -> str:
    return f"{problem} at character {position}"
