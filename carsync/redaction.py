"""Secrets: a string that does not show itself, and texts without a secret that they quoted."""

from __future__ import annotations

import json
import re
from collections import deque
from contextlib import suppress
from urllib.parse import quote, quote_plus, unquote

_known: dict[str, None] = {}
"""The secrets of this process, for `clean`."""
_latest: deque[str] = deque()
_MOST_LATEST = 8
_BY_CHANCE = re.compile(r".{0,3}|[0-9]{0,7}|true|false|null", re.DOTALL)
"""What stands in texts and records by chance, and would be told by `***` in its place."""
_PASSWORDS = (
    re.compile(r"://[^/?#:@]*:(.*)@"),
    re.compile(r"password\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'&\\]|\\.)+))"),
)
"""The password in a URL, and in a keyword string or query (libpq, section 34.1.1)."""
_PATH = re.compile(r"https?://[^/]*(/.{7,})")
"""Of a web hook's address: libraries quote it without the host, or with the port."""
_ESCAPE = re.compile(r"\\(.)")
_SECRET_NAME = re.compile(
    r"(?:^|[_.-]|api)key$|token|secret|passw|pwd|signature|cookie|^authorization$", re.IGNORECASE
)


class Secret(str):
    """A string that prints as `***`; `reveal()` gives the text. `clean` knows each of them."""

    __slots__ = ()

    def __new__(cls, text: str = "") -> Secret:
        """Make the secret known to `clean`, in a child process that receives it as well."""
        found = [each for pattern in _PASSWORDS for each in pattern.finditer(text)]
        parts = [each[each.lastindex or 0] for each in found] or [text]
        parts += _PATH.findall(text)
        plain = (part for raw in parts for part in (raw, unquote(raw), _ESCAPE.sub(r"\1", raw)))
        _known.update((part, None) for part in plain if not is_by_chance(part))
        return super().__new__(cls, text)

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def reveal(self) -> str:
        """Return the plain text."""
        return "".join(self)


class Hidden(Secret):
    """A string that prints as `***`, but that `clean` need not know: it may be any word."""

    __slots__ = ()

    def __new__(cls, text: str = "") -> Hidden:
        """Make the text, without telling it to `clean`."""
        return str.__new__(cls, text)


def keep_latest(token: Secret) -> None:
    """Let `clean` know this token and the few before it, and forget older ones.

    A long run has thousands, and no request carries an old one any more.
    """
    text = token.reveal()
    with suppress(ValueError):
        _latest.remove(text)
    _latest.append(text)
    if len(_latest) > _MOST_LATEST:
        _known.pop(_latest.popleft(), None)


def is_by_chance(secret: str) -> bool:
    """Say whether a secret is so short that texts and records hold it by chance.

    >>> is_by_chance("true"), is_by_chance("1234"), is_by_chance("k7Hq")
    (True, True, False)
    """
    return _BY_CHANCE.fullmatch(secret) is not None


def names_secret(name: str) -> bool:
    """Say whether a parameter, a header or a field of this name holds a secret.

    >>> names_secret("api_key"), names_secret("keyword")
    (True, False)
    """
    return _SECRET_NAME.search(name) is not None


_SHORTEST = 8
"""Fewer characters that begin like a secret are taken for chance."""


def redact(text: str, secret: str) -> str:
    """Return `text` with `***` for the secret and for any longer beginning of it.

    >>> redact("'you sent hush-7f3a-91bc...' is no number", "hush-7f3a-91bc-5e1d")
    "'you sent ***...' is no number"
    """
    if not secret:
        return text
    encoded = (quote(secret, safe=""), quote_plus(secret))
    forms = dict.fromkeys((secret, ascii(secret)[1:-1], json.dumps(secret)[1:-1], *encoded))
    for form in forms:  # whole ones first: a beginning of one form may be all of another
        if len(form) < _SHORTEST:  # within a longer word it is chance
            text = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", "***", text)
        else:
            text = text.replace(form, "***")
    for form in forms:
        start = form[:_SHORTEST]
        if len(start) == _SHORTEST and start in text and "://" not in start:
            text = _without_beginnings(text, form)
    return text


def clean(text: str) -> str:
    """Return `text` with `***` for every secret that this process knows.

    An error of a library may quote its input: a URL that it cannot split, a value that it
    cannot convert.
    """
    for secret in sorted(_known, key=len, reverse=True):
        text = redact(text, secret)
    return text


def _without_beginnings(text: str, secret: str) -> str:
    parts = text.split(secret[:_SHORTEST])
    kept = parts[:1]
    for part in parts[1:]:
        rest = secret[_SHORTEST:]
        same = 0
        while same < min(len(part), len(rest)) and part[same] == rest[same]:
            same += 1
        kept.append(part[same:])
    return "***".join(kept)
