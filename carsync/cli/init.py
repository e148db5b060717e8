"""`carsync init`: a configuration from a few questions, or from options."""

from __future__ import annotations

import json
import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import msgspec

from carsync import formatting
from carsync.cli.init_file import Answers, Looked, write
from carsync.config.parser import parse
from carsync.config.presets.loader import load_preset, preset_names, resolve
from carsync.config.sections import Config, Pagination
from carsync.errors import ApiError, ConfigError, PageError
from carsync.mapping.discovery import PageLayout, find_page, records_at
from carsync.mapping.guessing import guess_columns, list_unused
from carsync.mapping.mapper import Mapper
from carsync.redaction import redact
from carsync.source.single_page import ask_page

_FITS_SHARE = 0.5
_SHOWN_FIELDS = 12
_NO_PRESET = "none"
_USUAL = (Pagination().records, Pagination().total_pages, Pagination().total_records)


@click.command()
@click.argument("file", type=click.Path(path_type=Path), default=Path("carsync.yaml"))
@click.option("--base-url", metavar="URL", help="Where the feed is.  [default: $API_BASE_URL]")
@click.option("--path", metavar="PATH", help="Its pages, below the URL.  [default: /cars]")
@click.option(
    "--auth",
    type=click.Choice(["header", "bearer", "none"]),
    help="How the key travels.  [default: header]",
)
@click.option("--auth-name", metavar="NAME", help="The key's header.  [default: X-API-Key]")
@click.option("--table", metavar="[SCHEMA.]TABLE", help="The table.  [default: public.cars]")
@click.option("--source", metavar="NAME", help="Marks this feed's rows.  [default: external]")
@click.option(
    "--preset",
    metavar="NAME",
    help="A known feed's mapping, or `none`.  [default: by the first page, else auctionsapi]",
)
@click.option("--records", metavar="PATH", help="Where the records are in a page, dotted.")
@click.option("--page-param", metavar="NAME", default="page", help="Query parameter: page number.")
@click.option(
    "--size-param", metavar="NAME", default="per_page", help="Query parameter: page size."
)
@click.option("--page-size", type=click.IntRange(min=1), default=100, help="Records a page.")
@click.option("--rate", type=click.FloatRange(min=0), help="Requests per second.  [default: 20]")
@click.option("--md5", is_flag=True, help="The table has MD5 hashes of the old Node script.")
@click.option("--no-request", is_flag=True, help="Do not look at the feed's first page.")
@click.option("--yes", is_flag=True, help="Ask nothing; take the defaults.")
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def init(file: Path, yes: bool, force: bool, no_request: bool, **options: Any) -> None:
    """Write a configuration to FILE (carsync.yaml), after a few questions on a terminal.

    Looks at the feed's first page (one request, with the key of $API_KEY) and guesses
    where records, totals and columns are; guesses are marked in the file. Never
    writes a secret. Touches no database.

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
        answers, looked = _look(answers, options)
    elif answers.preset == "":
        answers = replace(answers, preset="auctionsapi")
    text = write(answers, looked)
    parse(text, {}, origin=str(file))  # what it refuses must not be written
    if redact(text, os.environ.get("API_KEY", "")) != text:
        raise ConfigError(
            "the file would hold the key",
            detail="the URL, or the feed's answer in the name of a field, holds what API_KEY does",
            hint="leave it out of the URL; --no-request does not look at the answer",
        )
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise ConfigError(f"{file} cannot be written", detail=exc.strerror or "") from None
    _say_next(file, answers, looked)


def _may_ask() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


# ── questions ────────────────────────────────────────────────────────────────


def _answers(options: dict[str, Any], *, ask: bool) -> Answers:
    """Take the answers from options, environment and questions (`ask`); preset "": unknown."""

    def value(name: str, question: str, default: str) -> str:
        given = options[name]
        if given is None and ask:
            given = click.prompt(question, default=default, err=True)
        return str(given if given is not None else default)

    base_url = options["base_url"] or os.environ.get("API_BASE_URL")
    if not base_url and ask:
        base_url = click.prompt("URL of the API, without the path of the pages", err=True)
    if not base_url:
        raise ConfigError(
            "nobody said where the feed is",
            detail="there is no terminal to ask on, or --yes was given",
            hint="give --base-url https://…, or set API_BASE_URL",
        )
    preset = options["preset"] or ""
    if preset and preset != _NO_PRESET:
        load_preset(preset)  # names the known ones
    path = value("path", "Path of the pages", "/cars")
    auth = value("auth", "How does the key travel (header, bearer, none)", "header")
    if auth not in {"header", "bearer", "none"}:
        raise ConfigError(f"{auth!r} is no way for the key", hint="header, bearer or none")
    asks_name = auth == "header"
    name = value("auth_name", "Name of the header", "X-API-Key") if asks_name else "X-API-Key"
    md5 = options["md5"]
    if ask and not md5 and preset != _NO_PRESET:
        md5 = click.confirm("Does the table hold MD5 hashes of the old Node script?", err=True)
    schema, _, table = value("table", "Table", "public.cars").rpartition(".")
    return Answers(
        base_url=base_url.rstrip("/"),
        path=path if path.startswith("/") else f"/{path}",
        auth=auth,  # type: ignore[arg-type]
        auth_name=name,
        schema=schema or "public",
        table=table,
        source=value("source", "Name of this feed, in the column source_api", "external"),
        preset=None if preset == _NO_PRESET else preset,
        md5=md5,
        records=options["records"],
        page_param=options["page_param"],
        size_param=options["size_param"] or None,
        page_size=options["page_size"],
        requests_per_second=20 if options["rate"] is None else options["rate"],
    )


# ── the first page ───────────────────────────────────────────────────────────


def _look(answers: Answers, options: dict[str, Any]) -> tuple[Answers, Looked]:
    """Make one request and fit the answers to what it shows."""
    unknown = replace(answers, preset="auctionsapi") if answers.preset == "" else answers
    config = parse(write(unknown, Looked()), os.environ, origin="the new file")
    click.echo(f"looking at {answers.base_url}{answers.path} …", err=True)
    try:
        answer = ask_page(config.api)
    except PageError as exc:
        if exc.status is not None:
            raise ApiError(
                f"the first page was not given: {exc.problem}",
                detail=exc.detail,
                hint="nothing was written; see API_KEY, --path, --auth and --auth-name, or write "
                "the file without looking: --no-request",
            ) from None
        click.echo(f"the first page was not seen: {exc}", err=True)
        return unknown, Looked()
    if answers.preset != "" and answers.preset is not None:
        return answers, Looked()
    if answers.preset == "" and (fitting := _fitting_preset(config, answer.body)) is not None:
        click.echo(f"the preset {fitting} fits the first page", err=True)
        layout, _ = _layout(answer.body, answers.records)
        seen = (layout.records, layout.total_pages, layout.total_records) if layout else _USUAL
        return replace(answers, preset=fitting), Looked(None if seen == _USUAL else layout)
    layout, records = _layout(answer.body, answers.records)
    if layout is None:
        click.echo("no list of records was found in the answer", err=True)
        return unknown, Looked()
    secret = config.api.auth.key.reveal() if config.api.auth.key else ""
    guesses = [
        replace(guess, example=redact(guess.example, secret)) for guess in guess_columns(records)
    ]
    if not guesses or guesses[0].column != "id":
        click.echo("no field of the records looks like an id", err=True)
        guesses = []
    size = answers.page_size
    if layout.count < size and (layout.pages or 1) > 1:
        size = layout.count
    size_param = answers.size_param
    if layout.size_name is not None and layout.size == size != answers.page_size:
        size_param = layout.size_name  # the size it chose itself, under the name it gives it
    found = replace(answers, preset=None, page_size=size, size_param=size_param)
    return found, Looked(layout, guesses, list_unused(records, guesses))


def _fitting_preset(config: Config, body: bytes) -> str | None:
    """Return the preset that makes rows of most records of a page; None if no preset does."""
    for name in preset_names():
        mapping = resolve(msgspec.structs.replace(config.mapping, preset=name))
        try:
            content = Mapper.load(msgspec.structs.replace(config, mapping=mapping)).map_page(body)
        except PageError:
            continue
        if content.records and len(content.rows) > _FITS_SHARE * content.records:
            return name
    return None


def _layout(
    body: bytes, records_path: str | None
) -> tuple[PageLayout | None, list[dict[str, Any]]]:
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


# ── the last word ────────────────────────────────────────────────────────────


def _say_next(file: Path, answers: Answers, looked: Looked) -> None:
    """Say what was written and the next three commands."""
    name = shlex.quote(str(file))
    said = f"wrote {file}"
    if looked.guesses:
        columns = ", ".join(guess.column for guess in looked.guesses)
        said += f": {len(looked.guesses)} columns guessed from the first page ({columns})"
        lacking = {"make", "model"} - {guess.column for guess in looked.guesses}
        if lacking:
            said += f"; nothing found for {' and '.join(sorted(lacking))}"
    elif answers.preset is not None:
        said += f" with the preset {answers.preset}"
    else:
        said += ": fill in mapping.columns before you go on"
    click.echo(said)
    if looked.unused:
        click.echo(
            "without a column: "
            + formatting.printable(", ".join(looked.unused[:_SHOWN_FIELDS]))
            + (" …" if len(looked.unused) > _SHOWN_FIELDS else "")
        )
    missing = [
        f"{variable}=…"
        for variable, is_needed in (
            ("API_KEY", answers.auth != "none"),
            (
                "DATABASE_URL",
                not any(os.environ.get(n) for n in ("SUPABASE_DB_URL", "SUPABASE_URL")),
            ),
        )
        if is_needed and not os.environ.get(variable)
    ]
    click.echo("next:")
    if missing:
        click.echo(f"  export {' '.join(missing)}")
    click.echo(f"  carsync preview --config {name} --limit 3   # what the mapping makes of it")
    click.echo(f"  carsync check --config {name}               # all that a run needs")
    click.echo(f"  carsync sync --config {name}                # the run")
