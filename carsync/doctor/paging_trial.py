"""Proves how a feed is paged: the page after the first one must hold other records.

At most `MOST_TRIALS` requests. The same requests try whether the API knows a larger page size.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any
from urllib.parse import parse_qsl, urlencode

from msgspec import Struct
from msgspec.structs import replace

from carsync import formatting
from carsync.config.api_sections import Api, Pagination
from carsync.doctor.paging_guesses import PagingGuess, Told, guess_paging
from carsync.doctor.paging_signs import Signs, read_signs
from carsync.errors import FailureKind, PageError
from carsync.mapping.discovery import PageLayout, find_page, records_at
from carsync.mapping.fields import parse_path
from carsync.mapping.fields import walk as value_at
from carsync.mapping.guessing import guess_columns
from carsync.source.pagination.base import load_paginator
from carsync.source.request import Answer

MOST_TRIALS = 2
_USUAL_SIZE = 100
_REFUSALS = frozenset({FailureKind.CLIENT, FailureKind.BAD_PAGE, FailureKind.AUTH})
_NUMBERS = re.compile(r"\d{1,6}")
Ask = Callable[[Api, int, str | None], Answer]
"""Asks for a page, by its ordinal and its token; raises `PageError`."""


class ReadPage(Struct, frozen=True):
    """A page that was read without knowing the feed: its signs, its records and their ids."""

    answer: Any
    headers: Mapping[str, str]
    signs: Signs
    records: Sequence[dict[str, Any]]

    @property
    def layout(self) -> PageLayout:
        """Where the records and the totals are."""
        return self.signs.layout

    def ids(self, path: str | None) -> set[str]:
        """Return what tells the records apart: the value at `path`, or all of them (None)."""
        steps = parse_path(path) if path is not None else ()
        values = [value_at(record, steps) for record in self.records]
        return {json.dumps(value, sort_keys=True, default=str) for value in values}


class Found(Struct, frozen=True):
    """How a feed is paged: what the file gets, and the `notes` that say why and what was tried.

    `is_proved`: a second page held other records. `rest` is how many records of a reported
    total are out of reach; 0 where none is.
    """

    pagination: Pagination
    notes: tuple[str, ...] = ()
    is_proved: bool = False
    rest: int = 0


class _Verdict(Enum):
    OTHER = "other records"
    SAME = "the records of the first page again"
    EMPTY = "no record"
    REFUSED = "refused"


class _Trial(Struct, frozen=True):
    guess: PagingGuess
    asked: Pagination
    verdict: _Verdict
    page: ReadPage | None = None
    words: str = ""

    @property
    def note(self) -> str:
        """Say what was asked and what came."""
        told = self.words or self.verdict.value
        return f"tried {describe_request(self.asked)}: {told}"


def read_answer(
    body: bytes, headers: Mapping[str, str], records: str | None = None
) -> ReadPage | None:
    """Read an answer of an unknown feed; None where it holds no list of objects.

    `records` is the path of the list where somebody told it.
    """
    try:
        answer = json.loads(body)
        layout = find_page(answer, headers, records)
    except (ValueError, RecursionError):
        return None
    if layout is None:
        return None
    signs = read_signs(answer, headers, layout)
    return ReadPage(answer, headers, signs, records_at(answer, layout.records))


def find_paging(first: ReadPage, api: Api, told: Told, ask: Ask, most_size: int | None) -> Found:
    """Find out how the feed is paged, by its `first` page and up to `MOST_TRIALS` requests.

    `most_size` is the largest page size that is worth trying; None: the usual one. Raises
    `PageError` where the API cannot be asked.
    """
    guesses = guess_paging(first.signs, told)
    if told.kind == "none":
        return Found(guesses[0].pagination, ("as you said",))
    top = guesses[0]
    examiner = _Examiner(first, api, ask, told.size or most_size or _USUAL_SIZE)
    if top.is_shown and (_is_all(first) or _names_no_next(first, top.pagination, api)):
        found = examiner.confirm([guess for guess in guesses if guess.is_shown])
    else:
        found = examiner.search(guesses)
    if found is None:
        return _not_found(first, guesses, examiner.trials, told)
    return found


def describe_request(pagination: Pagination) -> str:
    """Return, for people, the parameters of the page after the first one.

    >>> describe_request(Pagination(page_size=20))
    'page=2&per_page=20'
    """
    size = f"{pagination.size_param}={pagination.page_size}" if pagination.size_param else ""
    place = {
        "page": f"{pagination.page_param}={pagination.first_page + 1}",
        "offset": f"{pagination.offset_param}={pagination.first + pagination.page_size}",
        "cursor": f"{pagination.cursor_param}=…",
    }.get(pagination.type, "the link")
    return "&".join(filter(None, (place, size)))


class _Examiner:
    """Tries guesses one after the other, within the number of requests that is left."""

    def __init__(self, first: ReadPage, api: Api, ask: Ask, wanted: int) -> None:
        self._first = first
        self._api = api
        self._ask = ask
        self._wanted = wanted
        self._left = MOST_TRIALS
        found = guess_columns(first.records)
        self._id_path = found[0].path if found and found[0].column == "id" else None
        self.trials: list[_Trial] = []

    def search(self, guesses: list[PagingGuess]) -> Found | None:
        """Return the first guess that proves right; None where none does."""
        waiting = list(guesses)
        wanted: int | None = self._wanted
        while waiting and self._left:
            guess = waiting[0]
            asked = self._sized(guess, wanted)
            trial = self._try(guess, asked)
            if trial.verdict is _Verdict.OTHER:
                return self._settle(trial)
            is_raised = asked.page_size > guess.pagination.page_size
            if trial.verdict is _Verdict.EMPTY and not is_raised and _is_all(self._first):
                return Found(asked, (trial.note,))
            is_short = trial.verdict is _Verdict.EMPTY and self._first.layout.total is None
            if is_raised and (is_short or trial.verdict is _Verdict.REFUSED):
                wanted = _largest_named(trial.words, asked.page_size, guess.pagination.page_size)
            else:
                waiting.pop(0)
        return None

    def confirm(self, guesses: list[PagingGuess]) -> Found | None:
        """Return the first guess by which the first page, which is all, comes again."""
        for guess in guesses[:MOST_TRIALS]:
            trial = self._try(guess, self._sized(guess, None), ahead=0)
            if trial.verdict is _Verdict.SAME:
                return Found(trial.asked, (guess.why, "the feed has one page now"))
        return None

    def _sized(self, guess: PagingGuess, wanted: int | None) -> Pagination:
        """Return what to ask for: pages as large as `wanted` where that may show something new."""
        pagination, total = guess.pagination, self._first.layout.total
        is_small = total is not None and wanted is not None and total <= wanted
        can_raise = wanted is not None and wanted > pagination.page_size and not is_small
        is_limit = (pagination.size_param or "").startswith("$")  # OData: of the whole answer
        if is_limit and pagination.type not in ("page", "offset"):
            return replace(pagination, size_param=None)
        if can_raise and pagination.size_param is not None:
            return replace(pagination, page_size=wanted)
        return pagination if guess.size_is_seen else replace(pagination, size_param=None)

    def _try(self, guess: PagingGuess, asked: Pagination, ahead: int = 1) -> _Trial:
        """Ask for the page that lies `ahead` of the first one, by this guess."""
        self._left -= 1
        api = replace(self._api, pagination=asked)
        paginator = load_paginator(api)
        try:
            token = _next_token(self._first, api) if ahead else None
            if token is not None and "link" in asked.type:
                token = _with_size(token, asked)
            answer = self._ask(api, paginator.first + ahead, token)
        except PageError as exc:
            is_end = exc.status in asked.end_status and not guess.is_shown
            if exc.kind not in _REFUSALS:
                raise
            verdict = _Verdict.EMPTY if is_end else _Verdict.REFUSED
            words = "; ".join(filter(None, (exc.problem, exc.detail)))
            trial = _Trial(guess, asked, verdict, None, words)
        else:
            page = read_answer(answer.body, answer.headers, asked.records)
            trial = _Trial(guess, asked, self._compare(page), page)
        self.trials.append(trial)
        return trial

    def _compare(self, page: ReadPage | None) -> _Verdict:
        if page is None or not page.records:
            return _Verdict.EMPTY
        known, listed = self._first.ids(self._id_path), page.ids(self._id_path)
        return _Verdict.SAME if 2 * len(known & listed) > len(known) else _Verdict.OTHER

    def _settle(self, trial: _Trial) -> Found:
        """Return what a second page with other records has shown."""
        pagination = self._settle_size(trial)
        notes = [trial.guess.why, trial.note]
        is_first_known = trial.guess.first_is_seen or pagination.type != "page"
        if not is_first_known:  # whatever is left: a feed without its first page is wrong
            plain = replace(pagination, first_page=0, page_size=trial.guess.pagination.page_size)
            if pagination.page_size != plain.page_size:
                plain = replace(plain, size_param=None)
            at_one = self._try(trial.guess, plain)
            if at_one.verdict is _Verdict.OTHER:
                pagination = replace(pagination, first_page=0)
                notes.append(f"{pagination.page_param}=1 holds other records: pages count from 0")
            else:
                notes.append(f"{pagination.page_param}=1 is the first page")
        return Found(pagination, tuple(notes), is_proved=True)

    def _settle_size(self, trial: _Trial) -> Pagination:
        """Return the paging with the size that the second page shows."""
        assert trial.page is not None
        asked, served, total = (
            trial.asked,
            trial.guess.pagination.page_size,
            self._first.layout.total,
        )
        count = trial.page.layout.count
        if asked.page_size <= served:
            return asked
        if count == served or (count < served and not trial.guess.size_is_seen):
            return replace(asked, size_param=None, page_size=served)
        if count < served:
            return replace(asked, page_size=served)
        before = asked.page_size if asked.type in ("page", "offset") else served
        is_last = total is not None and before + count >= total
        is_last |= total is None and _is_end(trial.page)
        return asked if count >= asked.page_size or is_last else replace(asked, page_size=count)


def _next_token(page: ReadPage, api: Api) -> str | None:
    """Return the token of the page after this one; raise `PageError` where it is refused."""
    paginator = load_paginator(api)
    values = [value_at(page.answer, parse_path(path)) for path in paginator.paths]
    return paginator.read(values, page.headers).next_token


def _names_no_next(page: ReadPage, pagination: Pagination, api: Api) -> bool:
    """Say whether a feed of links or cursors names no page after this one."""
    api = replace(api, pagination=pagination)
    try:
        return not load_paginator(api).parallel and _next_token(page, api) is None
    except PageError:
        return False


def _with_size(token: str, asked: Pagination) -> str:
    """Return the link to a page with the size that is asked for."""
    if asked.size_param is None:
        return token
    path, _, query = token.partition("?")
    pairs = [(n, v) for n, v in parse_qsl(query, keep_blank_values=True) if n != asked.size_param]
    return f"{path}?{urlencode([*pairs, (asked.size_param, str(asked.page_size))])}"


def _is_end(page: ReadPage) -> bool:
    """Say whether an answer says that no page follows."""
    signs = page.signs
    if signs.more is not None:
        return not signs.more[1]
    return bool(signs.ends) and not signs.next and not signs.tokens


def _is_all(page: ReadPage) -> bool:
    """Say whether the first page is said to hold all that there is."""
    layout = page.layout
    if layout.total is not None:
        return layout.total <= layout.count
    return layout.pages == 1 or _is_end(page)


def _largest_named(words: str, asked: int, served: int) -> int | None:
    """Return the largest page size below the one `asked` that a refusal names, or None.

    >>> _largest_named("page size must be 10, 25 or 50", 100, 10)
    50
    """
    named = [int(number) for number in _NUMBERS.findall(words)]
    return max((n for n in named if served < n < asked), default=None)


def _not_found(
    first: ReadPage, guesses: list[PagingGuess], trials: list[_Trial], told: Told
) -> Found:
    """Return what is left where no second page was read: one answer, or what somebody told."""
    notes = tuple(trial.note for trial in trials)
    layout = first.layout
    rest = max(0, (layout.total or 0) - layout.count)
    is_guess = told == Told() and (not guesses[0].is_shown or _is_all(first))
    if is_guess and not rest:
        pagination = replace(
            guesses[0].pagination,
            type="none",
            size_param=None,
            page_size=layout.count,
            has_more=None,
            total_pages=None,
        )
        said = f"one answer holds all: {formatting.plural(layout.count, 'record')}"
        return Found(pagination, (said, *notes), rest=rest)
    return Found(guesses[0].pagination, (guesses[0].why, *notes), rest=rest)
