"""What `carsync init` asks the API: the first page, the page after it, one car by its id."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from msgspec.structs import replace

from carsync import formatting
from carsync.cli import console
from carsync.cli.guide.answers import Answers, Looked, secret_variables
from carsync.cli.guide.config_file import write
from carsync.cli.guide.mending import NotInAnswerError, mend
from carsync.config.api_sections import Pagination
from carsync.config.keys import secrets_of
from carsync.config.mapping_sections import MappingRules
from carsync.config.parser import parse
from carsync.config.presets.loader import preset_names, resolve
from carsync.config.sections import Config
from carsync.doctor.feed_asker import FeedAsker
from carsync.doctor.feed_facts import first_by_id
from carsync.doctor.paging_guesses import Told, guess_paging
from carsync.doctor.paging_trial import Found, ReadPage, find_paging, read_answer
from carsync.doctor.record_facts import guess_record_path, try_records
from carsync.errors import CarsyncError, ConfigError, PageError
from carsync.mapping.discovery import list_feeds
from carsync.mapping.fields import parse_path, walk
from carsync.mapping.guessing import Guess, example_of, guess_columns, list_unused
from carsync.mapping.mapper import Mapper
from carsync.mapping.record_match import ids_of
from carsync.mapping.record_path import BY_ID
from carsync.redaction import redact
from carsync.source.pagination.base import load_paginator
from carsync.source.pagination.placing import names_in
from carsync.source.request import Answer
from carsync.source.single_page import Pacer, ask_page

_FITS_SHARE = 0.5
SHOWN_FIELDS = 12
_USUAL_PRESET = Answers(base_url="").preset
_LIVE_PRESET = "auctionsapi"
_LIVE_RECORD = "/search-lot/{lot_number}/{domain_name}"
_LIVE_SIZE = 1000
_LIVE_PAGES = 20_000
_UNKNOWN_SIZE = frozenset({400, 422})
"""Statuses of a server that wants a page's number or size."""

Correct = Callable[[Answers, CarsyncError], Answers]
"""Returns other answers after a refusal; raises the error where there are none."""


def look(answers: Answers, correct: Correct) -> tuple[Answers, Looked]:
    """Ask the API, and fit the answers to what it shows.

    Raises what `correct` raises.
    """
    answers = replace(answers, told=_told_by_templates(answers))
    while True:
        try:
            config = _parse(answers, Looked())  # refuses a password in the URL
            console.say(f"looking at {answers.base_url}{answers.path} …", err=True)
            pacer = Pacer(config.limits)  # and no token: the last one may be another API's
            if answers.is_live:
                pacer.admit()  # the request that showed it
            answer = _first_answer(config, answers, pacer)
            page = read_answer(answer.body, answer.headers, answers.records)
            if page is None or list_feeds(answer.body):
                raise _no_list(answer, answers)
            if not config.api.auth.sends_key and not answers.knows_auth:
                answers = replace(answers, auth="none")
            answers = _choose_preset(answers, config, page, answer.body)
            if not answers.is_live and answers.preset == _LIVE_PRESET and _is_live(answers, page):
                answers = _as_live(answers)  # its totals must be asked for
                continue
            return answers, _fit(answers, page, answer.body, pacer)
        except (PageError, ConfigError) as exc:
            answers = mend(answers, exc) or correct(answers, exc)


def environment(answers: Answers) -> dict[str, str]:
    """Return the environment with the secrets that were given or typed in, by their variables."""
    return {**os.environ, **secret_variables(answers), **answers.secrets}


def _parse(answers: Answers, looked: Looked) -> Config:
    if answers.preset == "":
        answers = replace(answers, preset=_USUAL_PRESET)
    return parse(write(answers, looked), environment(answers), origin="the new file")


def _first_answer(config: Config, answers: Answers, pacer: Pacer) -> Answer:
    """Ask for the feed by its path alone; with a page's number where the API insists on one."""
    if names_in(answers.params):
        return ask_page(config.api, pacer=pacer)
    bare = replace(config.api, pagination=Pagination(type="none", size_param=None))
    try:
        return ask_page(bare, pacer=pacer)
    except PageError as exc:
        if exc.status not in _UNKNOWN_SIZE or answers.told.kind not in (None, "page", "offset"):
            raise
        try:
            return ask_page(config.api, pacer=pacer)
        except PageError:
            raise exc from None


def _no_list(answer: Answer, answers: Answers) -> ConfigError:
    kind = answer.headers.get("Content-Type", "no type")
    if answers.records is not None:
        again = read_answer(answer.body, answer.headers)
        place = (again.layout.records or "the top") if again else ""
        return NotInAnswerError(
            "list",
            f"--records {answers.records}: there is no list of objects in the answer",
            hint=f"there is one at {place}" if place else "",
        )
    named = list_feeds(answer.body)
    if named:
        return NotInAnswerError(
            "list",
            "the answer is no page of records: it names what the API has",
            detail=", ".join(named[:SHOWN_FIELDS]),
            hint="give the path of the pages: --path; nothing was written",
        )
    return NotInAnswerError(
        "list",
        "no list of records was found in the answer",
        detail=f"it has {len(answer.body):,} bytes ({kind})",
        hint="give the path of the pages (--path) and what the API wants (--param, --header); "
        "nothing was written",
    )


def _choose_preset(answers: Answers, config: Config, page: ReadPage, body: bytes) -> Answers:
    """Return the answers with a preset that fits the first page, if none was chosen yet."""
    if answers.preset != "":
        return answers
    places = Pagination(records=page.layout.records)
    config = replace(config, api=replace(config.api, pagination=places))
    for name in preset_names():
        mapper = Mapper.load(replace(config, mapping=resolve(MappingRules(preset=name))))
        try:
            content = mapper.map_page(body)
        except PageError:
            continue
        if content.records and len(content.rows) > _FITS_SHARE * content.records:
            console.say(f"the preset {name} fits the first page", err=True)
            return replace(answers, preset=name)
    return replace(answers, preset=None)


def _is_live(answers: Answers, page: ReadPage) -> bool:
    """Say whether this is the live API of the preset: it names the next page in `links.next`."""
    host = urlsplit(answers.base_url).hostname or ""
    links = walk(page.answer, ("links",))
    return host.endswith("auctionsapi.com") or (isinstance(links, dict) and "next" in links)


def _as_live(answers: Answers) -> Answers:
    """Return what the live API of the preset wants, beside what was told."""
    console.say("this is the preset's live API: 1 request a second, pages of 1,000", err=True)
    usual = Answers(base_url="").requests_per_second
    rate = answers.requests_per_second
    return replace(
        answers,
        is_live=True,
        params={"simple_paginate": "0", **answers.params},
        record_path=answers.record_path or _LIVE_RECORD,
        requests_per_second=1.0 if rate == usual else rate,
    )


def _fit(answers: Answers, page: ReadPage, body: bytes, pacer: Pacer) -> Looked:
    """Find columns, paging and the way to one car, by the first page and a few requests more."""
    config = _parse(answers, Looked())
    secrets = [value for name, value in environment(answers).items() if name not in os.environ]
    secrets += secrets_of(config)
    looked = Looked(page.layout)
    if answers.preset is None:
        looked = _guess_columns(answers, looked, page, secrets)
    asker = FeedAsker(config, pacer)
    found = _find_paging(answers, config, page, asker)
    notes = tuple(_without(note, secrets) for note in found.notes)
    looked = replace(looked, paging=replace(found, notes=notes))
    return _try_record(answers, looked, page, body, asker)


def _find_paging(answers: Answers, config: Config, page: ReadPage, asker: FeedAsker) -> Found:
    """Find out how the feed is paged; raise `ConfigError` where records are out of reach."""
    told = answers.told
    if told.first is None and answers.preset is not None:
        told = replace(told, first=Pagination().first_page)  # a known feed
    size = _LIVE_SIZE if answers.is_live else None
    try:
        found = find_paging(page, config.api, told, asker.answer, size)
    except PageError as exc:
        console.say(f"the page after the first one was not read: {exc.problem}", err=True)
        found = Found(guess_paging(page.signs, told)[0].pagination, (f"not tried: {exc.problem}",))
    if found.rest and not found.is_proved and answers.told == Told():
        held, more = formatting.plural(page.layout.count, "record"), f"{found.rest:,}"
        raise NotInAnswerError(
            "paging",
            f"the answer holds {held}, and the feed {more} more: how to ask for them was not found",
            detail="; ".join(found.notes),
            hint="say how: --paging, --page-param and --size-param",
        )
    if not found.is_proved:
        console.say(f"the paging is not proved: {'; '.join(found.notes)}", err=True)
    if answers.is_live:
        found = replace(found, pagination=replace(found.pagination, max_pages=_LIVE_PAGES))
    return found


def _told_by_templates(answers: Answers) -> Told:
    """Return what is told of the paging; a template in a parameter tells its kind."""
    told = answers.told
    for kind in ("page", "offset", "cursor"):
        if told.kind is None and kind in names_in(answers.params):
            told = replace(told, kind=kind)
    return told


def _guess_columns(
    answers: Answers, looked: Looked, page: ReadPage, secrets: Sequence[str]
) -> Looked:
    """Guess the columns of the records; raise `ConfigError` where nothing identifies them."""
    found = guess_columns(page.records)
    if answers.id_path is not None:
        values = [walk(record, parse_path(answers.id_path)) for record in page.records]
        found = [guess for guess in found if guess.column != "id"]
        found.insert(0, Guess("id", answers.id_path, "text", True, example_of(values)))
    if not found or found[0].column != "id":
        names = list_unused(page.records, ())[:SHOWN_FIELDS]
        raise NotInAnswerError(
            "id",
            "no field of the records looks like an id: every record must have another value",
            detail=f"the records have {', '.join(names)}",
            hint="give its path: --id PATH",
        )
    guesses = [replace(guess, example=_without(guess.example, secrets)) for guess in found]
    unused = list_unused(page.records, [guess.path for guess in guesses])
    return replace(looked, guesses=guesses, unused=unused)


def _try_record(
    answers: Answers, looked: Looked, page: ReadPage, body: bytes, asker: FeedAsker
) -> Looked:
    """Note how the API answers by id, for a car of the first page and for no car at all."""
    config = _parse(answers, looked)
    record_id = _first_id(config, body)
    if record_id is None:
        return looked
    if answers.record_path is None:
        path = guess_record_path(
            page.answer, page.records[0], record_id, answers.base_url, answers.path
        )
        looked = replace(looked, record_path=path)
        config = _parse(answers, looked)
    if config.api.record is None or "/" in record_id:
        return looked
    mapper = Mapper.load(config, load_paginator(config.api).paths)
    found = first_by_id(mapper, mapper.map_page(body).rows)
    if found is None and mapper.places != BY_ID:
        console.say(f"no car has all values of {config.api.record.path}", err=True)
        return looked
    found = found or (record_id, ())
    try:
        facts = try_records(asker.with_config(config), config.api.record, *found)
    except PageError as exc:
        console.say(f"a car by its id was not read: {exc.problem}", err=True)
        return looked
    if facts.readable_path is None:
        console.say(f"no car is read at {facts.path}: {facts.listed.detail}", err=True)
    return replace(looked, record=facts)


def _first_id(config: Config, body: bytes) -> str | None:
    """Return the first id on a page; None where the mapping finds none."""
    try:
        ids = ids_of(Mapper.load(config, load_paginator(config.api).paths).map_page(body))
    except PageError:
        return None
    return next(filter(None, ids), None)


def _without(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        text = redact(text, secret)
    return text
