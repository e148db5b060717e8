"""Which item of a list a path goes on with: `[0]`, `[-1]`, `[status.name=sale | 0]`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from carsync.mapping.javascript import js_number

_TOKEN = re.compile(r'\s*(?:"(?P<quoted>[^"]*)"|(?P<sign>!=|=|\||&)|(?P<plain>[^"=|&!]+|!))')
_POSITION = re.compile(r"-?[0-9]{1,9}")


class Condition(Struct, frozen=True):
    """Holds for an item whose field at `path` is `wanted`, or is not."""

    path: tuple[str, ...]
    wanted: str
    is_equal: bool

    def holds(self, value: Any) -> bool:
        """Say whether the condition holds for the value at its path; nothing there is null."""
        return (_as_text(value) == self.wanted) is self.is_equal


Way = int | tuple[Condition, ...]


class Choice(str):
    """A part of a path: the item that the first way finds which finds any.

    A way is a position, from the end where it is negative, or conditions: the first item for
    which all of them hold. As a text it is what stands in the brackets.
    """

    __slots__ = ("ways",)
    ways: tuple[Way, ...]

    @property
    def paths(self) -> set[tuple[str, ...]]:
        """The paths in an item that the conditions compare."""
        return {each.path for way in self.ways if not isinstance(way, int) for each in way}

    def is_sure(self, items: int) -> bool:
        """Say whether one item alone is chosen whatever it holds."""
        return items == 1 and self.ways[-1] in (0, -1)

    def choose(self, items: int, value_at: Callable[[int, tuple[str, ...]], Any]) -> int | None:
        """Return the position of the chosen item of so many; None where no way finds one.

        `value_at` returns what an item holds at a path.
        """
        for way in self.ways:
            if isinstance(way, int):
                if -items <= way < items:
                    return way
                continue
            for n in range(items):
                if all(each.holds(value_at(n, each.path)) for each in way):
                    return n
        return None


def parse_choice(text: str) -> str:
    """Read what stands in brackets; raise `ValueError` for anything else.

    A position is the part that a dotted path has for it. A text in quotes is the name of a field.

    >>> parse_choice("0"), parse_choice('"a.b"'), parse_choice("-1").ways
    ('0', 'a.b', (-1,))
    >>> parse_choice("status.name=sale & archived!=true | 0").ways[0][1]
    Condition(path=('archived',), wanted='true', is_equal=False)
    """
    tokens = _tokens(text)
    if len(tokens) == 1 and tokens[0][0] == "quoted":
        return tokens[0][1]
    ways = tuple(_parse_way(way) for way in _split(tokens, "|"))
    if len(ways) == 1 and isinstance(ways[0], int) and ways[0] >= 0:
        return str(ways[0])
    choice = Choice(f"[{text}]")
    choice.ways = ways
    return choice


_Token = tuple[str, str]


def _tokens(text: str) -> list[_Token]:
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"[{text}] has a quote without an end")
        kind = str(match.lastgroup)
        tokens.append((kind, match[kind].strip() if kind == "plain" else match[kind]))
        at = match.end()
    return tokens


def _split(tokens: list[_Token], sign: str) -> list[list[_Token]]:
    parts: list[list[_Token]] = [[]]
    for token in tokens:
        if token == ("sign", sign):
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _parse_way(tokens: list[_Token]) -> Way:
    if len(tokens) == 1 and _POSITION.fullmatch(tokens[0][1]):
        return int(tokens[0][1])
    return tuple(_parse_condition(part) for part in _split(tokens, "&"))


def _parse_condition(tokens: list[_Token]) -> Condition:
    kinds, texts = [kind for kind, _ in tokens], [text for _, text in tokens]
    is_known = kinds in (["plain", "sign", "plain"], ["plain", "sign", "quoted"])
    if is_known and texts[1] in {"=", "!="} and "" not in texts[0].split("."):
        return Condition(tuple(texts[0].split(".")), texts[2], texts[1] == "=")
    raise ValueError(f"[{''.join(texts)}] is neither a position nor field=value")


def _as_text(value: Any) -> str | None:
    """Return a single value as a text, and None for a list, an object and what is out of place."""
    kind = value.__class__
    if kind is str:
        return str(value)
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    return js_number(value) if kind in (int, float) and abs(value) < 1e300 else None
