"""`carsync init`: a configuration from a few questions, or from options."""

from __future__ import annotations

import json
import os
import shlex
import sys
from operator import attrgetter
from pathlib import Path
from typing import Any, get_args

import click
from msgspec.structs import replace

from carsync import formatting
from carsync.cli import console
from carsync.cli.init_file import Answers, Looked, write
from carsync.config.api_sections import AuthType, Pagination
from carsync.config.mapping_sections import MappingRules
from carsync.config.parser import parse
from carsync.config.presets.loader import load_preset, preset_names, resolve
from carsync.config.sections import Config
from carsync.doctor.feed_asker import FeedAsker
from carsync.doctor.record_facts import try_records
from carsync.errors import ApiError, ConfigError, PageError
from carsync.mapping.discovery import PageLayout, find_page, records_at
from carsync.mapping.guessing import guess_columns, list_unused
from carsync.mapping.mapper import Mapper
from carsync.mapping.record_match import ids_of
from carsync.redaction import redact
from carsync.source.single_page import ask_page

_FITS_SHARE = 0.5
_SHOWN_FIELDS = 12
_NO_PRESET = "none"
_USUAL = Answers(base_url="")
_AUTH_TYPES: tuple[AuthType, ...] = get_args(AuthType)
_WAYS = ", ".join(_AUTH_TYPES)
FIRST_COMMANDS = (
    ("carsync check --config {file}", "examines all that a run needs"),
    ("carsync preview --config {file} --limit 3", "shows the mapped rows"),
    ("carsync migrate --config {file}", "creates or adopts the table; writes no listing"),
    ("carsync sync --config {file} --dry-run", "shows what a run would change"),
    ("carsync sync --config {file}", "does the run"),
)
"""The way from a new file to the first run, as the README goes it too."""
_Records = list[dict[str, Any]]


def _usual(help_text: str, value: object) -> str:
    """Return the help of an option with its default, as click writes it."""
    return f"{help_text}  [default: {value}]"


@click.command()
@click.argument("file", type=click.Path(path_type=Path), default=Path("carsync.yaml"))
@click.option("--base-url", metavar="URL", help=_usual("URL of the feed.", "$API_BASE_URL"))
@click.option(
    "--path", metavar="PATH", help=_usual("Path of the pages, below the URL.", _USUAL.path)
)
@click.option(
    "--auth", type=click.Choice(_AUTH_TYPES), help=_usual("How the key is sent.", _USUAL.auth)
)
@click.option("--auth-name", metavar="NAME", help=_usual("Header of the key.", _USUAL.auth_name))
@click.option(
    "--table",
    metavar="[SCHEMA.]TABLE",
    help=_usual("The table.", f"{_USUAL.schema}.{_USUAL.table}"),
)
@click.option(
    "--source", metavar="NAME", help=_usual("Marks the rows of this feed.", _USUAL.source)
)
@click.option(
    "--preset",
    metavar="NAME",
    help=_usual("Mapping of a known feed, or none.", f"by the first page, else {_USUAL.preset}"),
)
@click.option("--records", metavar="PATH", help="Dotted path to the records in a page.")
@click.option(
    "--page-param",
    metavar="NAME",
    default=_USUAL.page_param,
    help="Query parameter: page number.",
)
@click.option(
    "--size-param", metavar="NAME", default=_USUAL.size_param, help="Query parameter: page size."
)
@click.option(
    "--page-size", type=click.IntRange(min=1), default=_USUAL.page_size, help="Records per page."
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0),
    help=_usual("Requests per second.", f"{_USUAL.requests_per_second:g}"),
)
@click.option("--md5", is_flag=True, help="The table has MD5 hashes from the old Node script.")
@click.option("--no-request", is_flag=True, help="Do not ask the API.")
@click.option("--yes", is_flag=True, help="Do not ask; use the defaults.")
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def init(file: Path, yes: bool, force: bool, no_request: bool, **options: Any) -> None:
    """Write a configuration to FILE (carsync.yaml), after a few questions on a terminal.

    Requests the first page of the feed, a car by its id and an id that cannot exist (at
    most four requests, with the key of $API_KEY), and guesses where records, totals and
    columns are. The file marks each guess. Never writes a secret, and uses no database.

    \b
    Examples:
      carsync init
      API_KEY=… carsync init --base-url https://api.example.com/v1 --path /listings --yes
      carsync init prod.yaml --base-url https://api.example.com/api --md5 --yes
    """
    if file.exists() and not force:
        raise ConfigError(f"{file} exists", hint="give another name, or --force to overwrite it")
    answers = _answers(options, ask=not yes and _may_ask())
    looked = Looked()
    if not no_request:
        answers, looked = _look(answers)
    elif answers.preset == "":
        answers = replace(answers, preset=_USUAL.preset)
    text = write(answers, looked)
    parse(text, {}, origin=str(file))  # what it refuses must not be written
    if redact(text, os.environ.get("API_KEY", "")) != text:
        raise ConfigError(
            "the file would contain the key",
            detail="the URL, or a field name in the feed's answer, contains the value of API_KEY",
            hint="remove the key from the URL; with --no-request the answer is not read",
        )
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise ConfigError(f"{file} cannot be written", detail=exc.strerror or "") from None
    _say_next(file, answers, looked)


def _may_ask() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _answers(options: dict[str, Any], *, ask: bool) -> Answers:
    """Take the answers from options, environment and questions (`ask`); preset "": unknown."""

    def value(name: str, question: str, default: str) -> str:
        given = options[name]
        if given is None and ask:
            given = click.prompt(question, default=default, err=True)
        return str(given if given is not None else default)

    base_url = _base_url(options["base_url"], ask=ask)
    preset = options["preset"] or ""
    if preset and preset != _NO_PRESET:
        load_preset(preset)  # names the known ones
    path = value("path", "Path of the pages", _USUAL.path)
    auth = _auth_type(value("auth", f"How is the key sent ({_WAYS})", _USUAL.auth))
    auth_name = _USUAL.auth_name
    if auth == "header":
        auth_name = value("auth_name", "Name of the header", auth_name)
    md5 = options["md5"]
    if ask and not md5 and preset != _NO_PRESET:
        md5 = click.confirm("Does the table have MD5 hashes of the old Node script?", err=True)
    schema, _, table = value("table", "Table", f"{_USUAL.schema}.{_USUAL.table}").rpartition(".")
    source = value("source", "Name of this feed, in the column source_api", _USUAL.source)
    rate = _USUAL.requests_per_second if options["rate"] is None else options["rate"]
    return Answers(
        base_url=base_url.rstrip("/"),
        path=path if path.startswith("/") else f"/{path}",
        auth=auth,
        auth_name=auth_name,
        schema=schema or _USUAL.schema,
        table=table,
        source=source,
        preset=None if preset == _NO_PRESET else preset,
        md5=md5,
        records=options["records"],
        page_param=options["page_param"],
        size_param=options["size_param"] or None,
        page_size=options["page_size"],
        requests_per_second=rate,
    )


def _auth_type(answer: str) -> AuthType:
    for known in _AUTH_TYPES:
        if known == answer:
            return known
    raise ConfigError(f"{answer!r} is not a way to send the key", hint=f"one of: {_WAYS}")


def _base_url(given: str | None, *, ask: bool) -> str:
    base_url = given or os.environ.get("API_BASE_URL")
    if not base_url and ask:
        base_url = click.prompt("URL of the API, without the path of the pages", err=True)
    if not base_url:
        raise ConfigError(
            "the URL of the feed is not known",
            detail="there is no terminal for a question, or --yes was given",
            hint="give --base-url https://…, or set API_BASE_URL",
        )
    return base_url


def _look(answers: Answers) -> tuple[Answers, Looked]:
    """Make one request and fit the answers to the first page."""
    unknown = replace(answers, preset=_USUAL.preset) if answers.preset == "" else answers
    config = parse(write(unknown, Looked()), os.environ, origin="the new file")
    console.say(f"looking at {answers.base_url}{answers.path} …", err=True)
    try:
        body = ask_page(config.api).body
    except PageError as exc:
        if exc.status is not None:
            raise ApiError(
                f"the API did not return the first page: {exc.problem}",
                detail=exc.detail,
                hint="nothing was written; see API_KEY, --path, --auth and --auth-name, or write "
                "the file without looking: --no-request",
            ) from None
        console.say(f"the first page could not be read: {exc}", err=True)
        return unknown, Looked()
    fitted, looked = _fit(answers, unknown, config, body)
    return fitted, _try_record(fitted, looked, body)


def _fit(answers: Answers, unknown: Answers, config: Config, body: bytes) -> tuple[Answers, Looked]:
    """Fit the answers to the first page; give those for a feed that is not `unknown` any more."""
    if answers.preset:
        return answers, Looked()
    layout, records = _layout(body, answers.records)
    if answers.preset == "" and (fitting := _fitting_preset(config, body)) is not None:
        console.say(f"the preset {fitting} fits the first page", err=True)
        return replace(answers, preset=fitting), Looked(layout if _is_unusual(layout) else None)
    if layout is None:
        console.say("no list of records was found in the answer", err=True)
        return unknown, Looked()
    secret = config.api.auth.key.reveal() if config.api.auth.key else ""
    return _fitted(answers, layout), _guesses(layout, records, secret)


def _try_record(answers: Answers, looked: Looked, body: bytes) -> Looked:
    """Note how the API answers by id, for a car of the first page and for no car at all."""
    config = parse(write(answers, looked), os.environ, origin="the new file")
    assert config.api.record is not None
    record_id = _first_id(config, body)
    if record_id is None:
        return looked
    try:
        facts = try_records(FeedAsker(config), config.api.record, record_id)
    except PageError as exc:
        console.say(f"a car by its id was not read: {exc.problem}", err=True)
        return looked
    if facts.readable_path is None:
        console.say(f"no car is read at {facts.path}: {facts.listed.detail}", err=True)
    return replace(looked, record=facts)


def _first_id(config: Config, body: bytes) -> str | None:
    """Return the first id on a page; None where the mapping finds none."""
    try:
        ids = ids_of(Mapper.load(config).map_page(body))
    except PageError:
        return None
    return next(filter(None, ids), None)


def _is_unusual(layout: PageLayout | None) -> bool:
    """Say whether the records and totals of a page are elsewhere than usual."""
    places = attrgetter("records", "total_pages", "total_records")
    return layout is not None and places(layout) != places(Pagination())


def _fitted(answers: Answers, layout: PageLayout) -> Answers:
    """Return the answers for a feed without a preset, with the page size that the feed gives."""
    size = answers.page_size if (layout.pages or 1) <= 1 else min(layout.count, answers.page_size)
    size_param = answers.size_param
    if layout.size_name is not None and layout.size == size != answers.page_size:
        size_param = layout.size_name  # the size it chose itself, under the name it gives it
    return replace(answers, preset=None, page_size=size, size_param=size_param)


def _guesses(layout: PageLayout, records: _Records, secret: str) -> Looked:
    """Guess the columns of the records; the examples do not show the `secret`."""
    found = guess_columns(records)
    guesses = [replace(guess, example=redact(guess.example, secret)) for guess in found]
    if not guesses or guesses[0].column != "id":
        console.say("no field of the records looks like an id", err=True)
        guesses = []
    return Looked(layout, guesses, list_unused(records, [guess.path for guess in guesses]))


def _fitting_preset(config: Config, body: bytes) -> str | None:
    """Return the preset that makes rows of most records of a page; None if no preset does."""
    for name in preset_names():
        mapping = resolve(MappingRules(preset=name))
        try:
            content = Mapper.load(replace(config, mapping=mapping)).map_page(body)
        except PageError:
            continue
        if content.records and len(content.rows) > _FITS_SHARE * content.records:
            return name
    return None


def _layout(body: bytes, records_path: str | None) -> tuple[PageLayout | None, _Records]:
    """Find records and totals in an answer; at `records_path` where that is given."""
    try:
        answer = json.loads(body)
        layout = find_page(answer)
        if layout is not None and records_path is not None:
            records = records_at(answer, records_path)
            return replace(layout, records=records_path, count=len(records)), records
    except (ValueError, RecursionError):
        return None, []
    except (KeyError, TypeError, IndexError):
        raise ConfigError(
            f"--records {records_path}: there is no list of objects in the answer",
            hint=f"there is one at {layout.records or 'the top'}" if layout else "",
        ) from None
    return layout, records_at(answer, layout.records) if layout else []


def _say_next(file: Path, answers: Answers, looked: Looked) -> None:
    """Say what was written and the next commands."""
    name = shlex.quote(str(file))
    said = f"wrote {file}"
    if looked.guesses:
        columns = [guess.column for guess in looked.guesses]
        said += f": {formatting.plural(len(columns), 'column')} guessed from the first page "
        said += f"({', '.join(columns)})"
        if lacking := {"make", "model"}.difference(columns):
            said += f"; nothing found for {' and '.join(sorted(lacking))}"
    elif answers.preset is not None:
        said += f" with the preset {answers.preset}"
    else:
        said += ": fill in mapping.columns before you continue"
    console.say(said)
    if looked.unused:
        more = " …" if len(looked.unused) > _SHOWN_FIELDS else ""
        fields = ", ".join(looked.unused[:_SHOWN_FIELDS])
        console.say(f"without a column: {fields}{more}")
    missing = [] if answers.auth == "none" or os.environ.get("API_KEY") else ["API_KEY=…"]
    if not any(map(os.environ.get, ("DATABASE_URL", "SUPABASE_DB_URL", "SUPABASE_URL"))):
        missing.append("DATABASE_URL=…")
    console.say("next:")
    if missing:
        console.say(f"  export {' '.join(missing)}")
    commands = [(command.format(file=name), what) for command, what in FIRST_COMMANDS]
    width = max(len(command) for command, _ in commands)
    console.say(*(f"  {command:{width}}   # {what}" for command, what in commands))
