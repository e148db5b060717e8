"""How numbers and lines become text for an operator, the same everywhere. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Literal, NewType
from uuid import uuid4

from carsync.errors import FailureKind

Tone = Literal["plain", "strong", "good", "warn", "bad"]

Displayed = NewType("Displayed", str)
"""A text that went through `display`, which a terminal may have."""

_SGR: dict[Tone, str] = {"plain": "0", "strong": "1", "good": "32", "warn": "33", "bad": "31"}
_OURS = f";{uuid4().int}m"
"""The end of a style on its way to `display_line`; no text from outside knows it."""
_STYLE = re.compile(rf"\x1b\[(\d+){_OURS}")
_OBEYED = re.compile(
    r"\x1b\[(?:0|1|3[1-3])m|([\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069])"
)
"""Our styles, and what terminals obey: controls (ECMA-48) and changes of direction (UAX #9)."""
_NOT_PLAIN = re.compile(r"[^\x20-\x7e]")

_ERROR_NAMES: dict[str, str] = {
    FailureKind.RATE_LIMITED: "429",
    FailureKind.SERVER: "5xx",
    FailureKind.NETWORK: "network",
    FailureKind.TIMEOUT: "timeout",
    FailureKind.BAD_PAGE: "bad page",
    FailureKind.CLIENT: "4xx",
    FailureKind.WORKER: "worker lost",
    FailureKind.AUTH: "401/403",
}

SPARKS = "▁▂▃▄▅▆▇█"
"""The signs of a drawn series, from its lowest value to its peak."""
_SIGNS = {"█": "#", "░": ".", "·": "|", "…": "...", "→": "->", "×": "x", "–": "-"}
_MARKS = {"✓": "+", "✗": "X", "≤": "<=", "≥": ">="}
_ASCII = str.maketrans(_SIGNS | _MARKS | dict(zip(SPARKS, "_..-=+*#", strict=True)))


def count(number: int) -> str:
    """Write a whole number with thousands marked.

    >>> count(200000)
    '200,000'
    """
    return f"{number:,}"


def plural(number: int, noun: str, one: str = "", many: str = "") -> str:
    """Write a count with its noun, and with the verb `one` or `many` where it needs one.

    >>> plural(1, "page"), plural(2000, "page"), plural(1, "car", "is", "are")
    ('1 page', '2,000 pages', '1 car is')
    """
    ending, verb = ("", one) if number == 1 else ("s", many)
    return f"{number:,} {noun}{ending} {verb}".rstrip()


def part(number: int, whole: int, noun: str) -> str:
    """Write how many of a whole.

    >>> part(1, 11, "page"), part(1, 1, "page")
    ('1 of 11 pages', '1 of 1 page')
    """
    return f"{number:,} of {plural(whole, noun)}"


def in_list(page: int, name: str | None) -> str:
    """Write which page is meant, of the list of that name where the feed has any.

    >>> in_list(1700, None), in_list(17, "make=BMW")
    ('1,700', '17 of make=BMW')
    """
    return f"{page:,} of {name}" if name else f"{page:,}"


def of_page(page: int | str, problem: str) -> str:
    """Write what is wrong with a page, which is named once; a text is what people call it.

    >>> of_page(2, "the API answered HTTP 500"), of_page(2, "page 2 of 24 is empty")
    ('page 2: the API answered HTTP 500', 'page 2 of 24 is empty')
    """
    named = f"page {page}" if isinstance(page, str) else f"page {page:,}"
    return problem if problem.startswith(f"{named} ") else f"{named}: {problem}"


def apart(measured: float, limit: float, decimals: int = 1) -> tuple[str, str]:
    """Write a figure and its limit with as many decimals as tell which one is larger.

    >>> apart(45.45, 10), apart(99.4999, 99.5), apart(99.5, 99.5)
    (('45.5', '10.0'), ('99.4999', '99.5'), ('99.5', '99.5'))
    """
    most = decimals + 9
    least = decimals
    while least < most and not math.isclose(round(limit, least), limit, rel_tol=1e-12):
        least += 1
    if math.isclose(measured, limit, rel_tol=1e-12):
        return f"{limit:,.{least}f}", f"{limit:,.{least}f}"
    places = decimals
    while places < most and not _is_same_side(measured, limit, places):
        places += 1
    return f"{measured:,.{places}f}", f"{limit:,.{least}f}"


def _is_same_side(measured: float, limit: float, places: int) -> bool:
    shown = round(measured, places)
    return shown > limit if measured > limit else shown < limit


def shares(measured: float, limit: float) -> tuple[str, str]:
    """Write a share and its limit in per cent, so that they differ where they do.

    >>> shares(0.994999, 0.995), shares(0.0501, 0.05)
    (('99.4999 %', '99.5 %'), ('5.01 %', '5.0 %'))
    """
    shown, most = apart(100 * measured, 100 * limit)
    return f"{shown} %", f"{most} %"


def rate(per_s: float) -> str:
    """Write a rate: one decimal below a hundred, none above.

    >>> rate(20.04), rate(2001.3)
    ('20.0', '2,001')
    """
    return f"{per_s:,.1f}" if per_s < 99.95 else f"{per_s:,.0f}"


def share(part: int, whole: int) -> str:
    """Write a share in per cent; only all of it is 100 %, for 99.97 % is not done.

    >>> share(812, 2000), share(1999, 2000), share(0, 0)
    ('40.6 %', '99.9 %', '0.0 %')
    """
    tenths = 1000 * part // whole if whole else 0
    return f"{tenths / 10:.1f} %"


def duration(seconds: float) -> str:
    """Write a duration in its two largest units.

    >>> duration(0.42), duration(59), duration(103), duration(5400), duration(187200)
    ('0.4 s', '59 s', '1 min 43 s', '1 h 30 min', '2 d 4 h')
    """
    if seconds < 9.95:
        return f"{max(seconds, 0.0):.1f} s" if seconds % 1 else f"{max(seconds, 0):.0f} s"
    whole = round(seconds)
    for unit_s, name, below_s, below in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= unit_s:
            rest = whole % unit_s // below_s
            return f"{whole // unit_s} {name}" + (f" {rest} {below}" if rest else "")
    return f"{whole} s"


def latency(seconds: float) -> str:
    """Write an answer time: milliseconds below ten seconds.

    >>> latency(0.5123), latency(0.0004), latency(12.34)
    ('512 ms', '0.4 ms', '12.3 s')
    """
    if seconds >= 9.9995:
        return f"{seconds:,.1f} s"
    milliseconds = seconds * 1000
    return f"{milliseconds:.1f} ms" if milliseconds < 9.95 else f"{milliseconds:,.0f} ms"


def size(size_bytes: float) -> str:
    """Write an amount of bytes in decimal units.

    >>> size(999), size(78_000_000), size(3.2e9)
    ('999 B', '78 MB', '3.2 GB')
    """
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size_bytes >= limit:
            value = size_bytes / limit
            return f"{value:,.1f} {unit}" if value < 9.95 else f"{value:,.0f} {unit}"
    return f"{size_bytes:.0f} B"


def moment(at: datetime) -> str:
    """Write a moment in UTC, to the second.

    >>> moment(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    '2026-01-02 03:04:05 UTC'
    """
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def error_name(kind: str) -> str:
    """Write a class of errors as operators know it; an unknown one stays as it is.

    >>> error_name("rate_limited"), error_name("odd")
    ('429', 'odd')
    """
    return _ERROR_NAMES.get(kind, kind)


def errors(by_kind: Mapping[str, int]) -> str:
    """Write failed attempts: their number, and by class, the most frequent first.

    >>> errors({"timeout": 1, "rate_limited": 2}), errors({})
    ('3 (429: 2, timeout: 1)', '0')
    """
    seen = sorted(((n, kind) for kind, n in by_kind.items() if n), key=lambda e: (-e[0], e[1]))
    if not seen:
        return "0"
    classes = ", ".join(f"{error_name(kind)}: {n:,}" for n, kind in seen)
    return f"{sum(n for n, _ in seen):,} ({classes})"


def paint(text: str, tone: Tone, color: bool) -> str:
    """Colour `text` for a terminal, or leave it as it is; `display_line` writes the colour.

    >>> paint("failed", "bad", False)
    'failed'
    """
    return f"\x1b[{_SGR[tone]}{_OURS}{text}\x1b[0{_OURS}" if color else text


def printable(text: str) -> str:
    r"""Return a text on one line, without anything that a terminal would obey.

    >>> printable("\x1b[2JKia\nRio")
    ' [2JKia Rio'
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


def display_line(line: str) -> str:
    r"""Return a line as it may be shown: styled by `paint` alone (ECMA-48, SGR), and one line.

    >>> display_line(paint("\x1b[2JKia", "good", True) + "\nRio \x1b[1m")
    '\x1b[32m [2JKia\x1b[0m Rio  [1m'
    """
    parts = _STYLE.split(line)  # every second one is a style
    shown = (f"\x1b[{p}m" if n % 2 else printable(p) for n, p in enumerate(parts))
    return "".join(shown).rstrip()


def display(lines: Iterable[str]) -> Displayed:
    """Return lines as one text that may be shown: the only way from a line to a terminal."""
    return Displayed("\n".join(map(display_line, lines)))


def harmless(text: str) -> str:
    r"""Return a text of any origin without what a terminal would obey, colours aside.

    >>> harmless("\x1b[2JKia\n\x1b[31mRio\x1b[0m")
    ' [2JKia\n\x1b[31mRio\x1b[0m'
    """
    return _OBEYED.sub(lambda found: " " if found[1] else found[0], text)


JSON_VERSION = 1
"""Objects that commands print have this as `json_version`; it grows if a field goes."""


def display_json(encoded: str, encoding: str | None) -> str:
    r"""Return JSON with escapes for what a terminal would obey or `encoding` cannot show.

    >>> display_json('{"make": "起亚\x9b2J\x7f"}', "utf-8")
    '{"make": "起亚\\u009b2J\\u007f"}'
    """
    is_wide = (encoding or "ascii").lower().startswith("utf")

    def escape(found: re.Match[str]) -> str:
        character = found[0]
        if character == "\n" or (is_wide and character.isprintable()):
            return character
        return "\\u007f" if character == "\x7f" else json.dumps(character)[1:-1]

    return _NOT_PLAIN.sub(escape, encoded)


def fit(text: str, encoding: str | None) -> str:
    """Replace what an output of `encoding` cannot show, so that printing never fails.

    >>> fit("██░ · 3 …", "ascii")
    '##. | 3 ...'
    """
    encoding = encoding or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_ASCII).encode(encoding, "replace").decode(encoding)
    return text
