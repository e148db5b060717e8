"""What the headers of an answer tell of the API's rate limits. Pure.

Read are the IETF's draft in its three forms (draft-ietf-httpapi-ratelimit-headers: structured
since 08, a dictionary in 07, fields of their own before), `X-RateLimit-*` as most frameworks
send them, and `Quota-*`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from msgspec import Struct

from carsync.source.retry_after import epoch_s, parse_date, parse_iso_date

_LONGEST_S = 32 * 86400.0
"""A reset that lies further ahead is none that anybody means: a quota is a month's at most."""
_AGREES_S = 2.0
"""A Date header is cut to whole seconds, and takes a moment to come."""
_EPOCH_S = 1e9
"""From here on a number is no duration but a time: seconds, or milliseconds, since 1970."""

_FIELD = re.compile(
    r"(?P<family>(?:x-)?(?:rate-?limit|quota))-"
    r"(?P<what>limit|remaining|reset(?:-?(?:after|time))?)"
    r"(?:-(?P<per>second|minute|hour|day|month))?",
    re.IGNORECASE,
)
_NAMES = {"x": "X", "rate": "Rate", "limit": "Limit", "quota": "Quota"}
_WORDS = re.compile("|".join(_NAMES))
_PER_S = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0, "month": _LONGEST_S}
_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?")
_SECONDS = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?s(?:ec(?:onds?)?)?", re.IGNORECASE)
_MEMBER = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^",])+')
_MOST_MEMBERS = 16


class ToldLimit(Struct, frozen=True):
    """One limit as an answer tells it: so many requests `remaining` for `reset_s` seconds.

    `reset_s` is None where the answer does not tell it at all, `limit` where it does not tell how
    many requests there are in all.
    """

    name: str
    remaining: float
    reset_s: float | None = None
    limit: float | None = None


def read_limits(headers: Mapping[str, str], now_epoch_s: float) -> tuple[ToldLimit, ...]:
    """Return the limits that an answer tells, without those that cannot be meant.

    Among these are limits whose time is over already, or in a year.

    A time is taken by our clock, where `now_epoch_s` is the present, unless the server's own, its
    Date header, shows another one.

    >>> read_limits({"RateLimit": '"default";r=50;t=30'}, 0.0)
    (ToldLimit(name='RateLimit', remaining=50.0, reset_s=30.0, limit=None),)
    >>> read_limits({"X-RateLimit-Remaining": "4", "X-RateLimit-Reset": "1700000009"}, 1.7e9)
    (ToldLimit(name='X-RateLimit', remaining=4.0, reset_s=9.0, limit=None),)
    >>> read_limits({"X-RateLimit-Remaining": "-1", "Quota-Remaining": "many"}, 0.0)
    ()
    """
    fields: dict[tuple[str, str], dict[str, str]] = {}
    structured = policy = sent = ""
    for name, value in headers.items():
        match name.lower():
            case "ratelimit":
                structured = value
            case "ratelimit-policy":
                policy = value
            case "date":
                sent = value
            case _ if found := _FIELD.fullmatch(name):
                family = _WORDS.sub(lambda word: _NAMES[word[0]], found["family"].lower())
                key = family, (found["per"] or "").lower()
                fields.setdefault(key, {})[found["what"].lower()] = value
    if not structured and not fields:
        return ()
    date_s = parse_date(sent)
    agrees = date_s is None or date_s <= now_epoch_s <= date_s + _AGREES_S
    now_s = now_epoch_s if agrees or date_s is None else date_s
    found_limits = [*_structured(structured, policy), *_separate(fields, policy, now_s)]
    return tuple(limit for limit in found_limits if limit.limit is None or limit.limit > 0)


def spent_for_s(limits: tuple[ToldLimit, ...]) -> float | None:
    """Return for how long nothing is left; None where something is, or nobody tells."""
    spent = [told.reset_s for told in limits if told.remaining < 1 and told.reset_s]
    return max(spent, default=None)


def _structured(value: str, policy: str) -> Iterator[ToldLimit]:
    """Read the field `RateLimit`: `"default";r=50;t=30`, or `limit=100, remaining=50, reset=30`."""
    policies = dict(_policies(policy))
    members = [_parameters(member) for member in _members(value)]
    if any("remaining" in told for _, told in members):
        told = {name: text for _, each in members for name, text in each.items()}
        limit = _number(told.get("limit"))
        if reset_s := _seconds(told.get("reset")):
            yield from _limit("RateLimit", told.get("remaining"), reset_s, limit)
        return
    for name, told in members:
        limit, window_s = policies.get(name, (None, None))
        reset_s = _seconds(told.get("t"))
        if reset_s is None and "t" in told:
            continue
        shown = f'RateLimit "{name}"' if len(members) > 1 else "RateLimit"
        yield from _limit(shown, told.get("r"), window_s if reset_s is None else reset_s, limit)


def _separate(
    fields: Mapping[tuple[str, str], Mapping[str, str]], policy: str, now_s: float
) -> Iterator[ToldLimit]:
    """Read limits whose parts stand in fields of their own."""
    for (family, per), told in fields.items():
        limits = [each for _, each in _policies(told.get("limit", ""))]
        limit = limits[0][0] if limits else None
        policies = [each for _, each in _policies(policy)]
        windows_s = [window_s for count, window_s in (*limits, *policies) if count == limit]
        windows_s.append(_PER_S.get(per))
        shared = fields.get((family, ""), {})  # Kong: limits by minute and hour, and one reset
        places = [(each, f"reset{end}") for each in (told, shared) for end in _ENDS]
        words = [each[name] for each, name in places if name in each]
        resets_s = [_reset(text, now_s) for text in words] or windows_s
        reset_s = next((reset for reset in resets_s if reset is not None), None)
        if words and reset_s is None:
            continue
        name = f"{family}-{per}" if per else family
        yield from _limit(name, told.get("remaining"), reset_s, limit)


_ENDS = ("-after", "after", "", "-time", "time")


def _limit(
    name: str, remaining: str | None, reset_s: float | None, limit: float | None
) -> Iterator[ToldLimit]:
    left = _number(remaining)
    if left is not None:
        limit = None if limit is not None and 0 < limit < left else limit
        yield ToldLimit(name, left, reset_s, limit)


def _policies(value: str) -> Iterator[tuple[str, tuple[float | None, float | None]]]:
    """Read `"default";q=100;w=60`, or `100;w=60`: name → limit and window in seconds."""
    for name, told in map(_parameters, _members(value)):
        limit = _number(told.get("q")) if "q" in told else _number(name)
        yield name, (limit, _seconds(told.get("w")))


def _members(value: str) -> list[str]:
    """Split a list at its commas, those in quotes aside."""
    return [text.strip() for text in _MEMBER.findall(value)][:_MOST_MEMBERS]


def _parameters(member: str) -> tuple[str, dict[str, str]]:
    """Split `"name";r=50` into its name and its parameters; `remaining=50` has no name."""
    quoted = re.match(r'"((?:[^"\\]|\\.)*)"', member)
    name = quoted[1] if quoted else ""
    parts = member[quoted.end() if quoted else 0 :].split(";")
    if not quoted and "=" not in parts[0]:
        name = parts[0].strip()
    pairs = (part.partition("=") for part in parts)
    return name, {key.strip().lower(): text.strip().strip('"') for key, _, text in pairs if key}


def _number(text: str | None) -> float | None:
    return float(text.strip()) if text and _NUMBER.fullmatch(text.strip()) else None


def _seconds(text: str | None) -> float | None:
    """Read a duration; None where none is meant."""
    seconds = _number(text)
    return seconds if seconds is not None and 0 < seconds <= _LONGEST_S else None


def _reset(text: str | None, now_s: float) -> float | None:
    """Read when a limit begins anew: a duration, or a time as a number or a date."""
    if text is None:
        return None
    words = _SECONDS.fullmatch(text.strip())
    number = _number(words[1] if words else text)
    if number is None:
        at_s = parse_date(text)
        number = parse_iso_date(text.strip()) if at_s is None else at_s
        number = None if number is None else number - now_s
    elif number >= _EPOCH_S:
        number = epoch_s(number) - now_s
    return number if number is not None and 0 < number <= _LONGEST_S else None
