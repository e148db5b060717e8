"""`carsync init`: a configuration from a few questions, or from options."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from carsync import formatting
from carsync.cli import console
from carsync.cli.guide.answers import (
    Answers,
    Looked,
    is_secret,
    secret_variables,
    variable_of,
    variables_of,
)
from carsync.cli.guide.config_file import write
from carsync.cli.guide.look import SHOWN_FIELDS, environment, look
from carsync.cli.guide.questions import AUTH_TYPES, KINDS, USUAL, ask_again, refuse, take_answers
from carsync.config.parser import parse
from carsync.errors import ConfigError
from carsync.redaction import redact

FIRST_COMMANDS = (
    ("carsync check --config {file}", "examines all that a run needs"),
    ("carsync preview --config {file} --limit 3", "shows the mapped rows"),
    ("carsync migrate --config {file}", "creates or adopts the table; writes no listing"),
    ("carsync sync --config {file} --dry-run", "shows what a run would change"),
    ("carsync sync --config {file}", "does the run"),
)
"""The way from a new file to the first run, as the README goes it too."""


def _usual(help_text: str, value: object) -> str:
    """Return the help of an option with its default, as click writes it."""
    return f"{help_text}  [default: {value}]"


@click.command()
@click.argument("file", type=click.Path(path_type=Path), default=Path("carsync.yaml"))
@click.option("--base-url", metavar="URL", help=_usual("URL of the feed.", "$API_BASE_URL"))
@click.option(
    "--path", metavar="PATH", help=_usual("Path of the pages, below the URL.", USUAL.path)
)
@click.option("--method", type=click.Choice(["GET", "POST"]), default="GET", help="GET or POST.")
@click.option("--form", is_flag=True, help="With --method POST: the body is a form, not JSON.")
@click.option(
    "--param",
    "params",
    metavar="NAME=VALUE",
    multiple=True,
    help="A parameter of each request; of a POST, a place in its body.",
)
@click.option(
    "--header", "headers", metavar="NAME=VALUE", multiple=True, help="A header of each request."
)
@click.option(
    "--auth", type=click.Choice(AUTH_TYPES), help=_usual("How the key is sent.", USUAL.auth)
)
@click.option(
    "--auth-name", metavar="NAME", help=_usual("Header, or parameter, of the key.", USUAL.auth_name)
)
@click.option("--auth-prefix", metavar="TEXT", help="What goes before the key, e.g. Token.")
@click.option("--token-url", metavar="URL", help="With --auth oauth2: gives the tokens.")
@click.option("--login-path", metavar="PATH", help="With --auth login: gives the token.")
@click.option(
    "--table",
    metavar="[SCHEMA.]TABLE",
    help=_usual("The table.", f"{USUAL.schema}.{USUAL.table}"),
)
@click.option("--source", metavar="NAME", help=_usual("Marks the rows of this feed.", USUAL.source))
@click.option(
    "--preset",
    metavar="NAME",
    help=_usual("Mapping of a known feed, or none.", f"by the first page, else {USUAL.preset}"),
)
@click.option("--records", metavar="PATH", help="Dotted path to the records in a page.")
@click.option("--id", "id_path", metavar="PATH", help="Dotted path to a record's id.")
@click.option("--record-path", metavar="PATH", help="Path of one car, e.g. /cars/{id}.")
@click.option("--paging", type=click.Choice(KINDS), help="How the feed is cut into pages.")
@click.option(
    "--page-param", metavar="NAME", help="Parameter of the page, the offset or the cursor."
)
@click.option("--first-page", type=click.IntRange(min=0), help="Number of the first page.")
@click.option(
    "--size-param", metavar="NAME", help="Parameter of the page size; empty: there is none."
)
@click.option("--page-size", type=click.IntRange(min=1), help="Records per page.")
@click.option(
    "--rate",
    type=click.FloatRange(min=0),
    help=_usual("Requests per second.", f"{USUAL.requests_per_second:g}"),
)
@click.option("--md5", is_flag=True, help="The table has MD5 hashes from the old Node script.")
@click.option("--no-request", is_flag=True, help="Do not ask the API.")
@click.option("--yes", is_flag=True, help="Do not ask; what is not found is an error.")
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def init(file: Path, yes: bool, force: bool, no_request: bool, **options: Any) -> None:
    """Write a configuration to FILE (carsync.yaml), after a few questions on a terminal.

    Requests the first page of the feed, the page after it, a car by its id and an id that
    cannot exist (with the key of $API_KEY). Finds out how the feed is paged, where records and
    totals are, and guesses the columns. The file says what was seen. Where the API refuses,
    shows what it said and asks again. Never writes a secret, and uses no database.

    \b
    Examples:
      carsync init
      API_KEY=… carsync init --base-url https://api.example.com/v1 --path /listings --yes
      carsync init --base-url https://api.example.com --param make=Kia --header Accept=text/json
      carsync init prod.yaml --base-url https://api.example.com/api --md5 --yes
    """
    if file.exists() and not force:
        raise ConfigError(f"{file} exists", hint="give another name, or --force to overwrite it")
    if file.is_dir() or not file.absolute().parent.is_dir():  # before the questions
        raise ConfigError(f"{file} cannot be written", detail="no such folder, or it is one")
    ask = not yes and _may_ask()
    answers, looked = take_answers(options, ask=ask), Looked()
    if not no_request:
        answers, looked = look(answers, ask_again if ask else refuse)
    elif answers.preset == "":
        answers = replace(answers, preset=USUAL.preset)
    text = write(answers, looked)
    parse(text, environment(answers), origin=str(file))  # what it refuses must not be written
    _refuse_secrets(text, answers)
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise ConfigError(f"{file} cannot be written", detail=exc.strerror or "") from None
    _say_next(file, answers, looked)


def _refuse_secrets(text: str, answers: Answers) -> None:
    """Raise `ConfigError` where the file would hold the key, or a secret given as an option."""
    secrets = secret_variables(answers)
    secrets |= {name: os.environ.get(name, "") for name in variables_of(answers.auth)}
    secrets |= answers.secrets
    for name, secret in secrets.items():
        if redact(text, secret) != text:
            raise ConfigError(
                "the file would contain the key",
                detail="the URL, or a field name in the feed's answer, contains the value of "
                f"{name}",
                hint="remove the key from the URL; with --no-request the answer is not read",
            )


def _may_ask() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


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
        more = " …" if len(looked.unused) > SHOWN_FIELDS else ""
        fields = ", ".join(looked.unused[:SHOWN_FIELDS])
        console.say(f"without a column: {fields}{more}")
    missing = [f"{name}=…" for name in variables_of(answers.auth) if not os.environ.get(name)]
    given = filter(is_secret, (*answers.params, *answers.headers))
    missing += [f"{variable_of(name)}=…" for name in given]
    if not any(map(os.environ.get, ("DATABASE_URL", "SUPABASE_DB_URL", "SUPABASE_URL"))):
        missing.append("DATABASE_URL=…")
    console.say("next:")
    if missing:
        console.say(f"  export {' '.join(missing)}")
    commands = [(command.format(file=name), what) for command, what in FIRST_COMMANDS]
    width = max(len(command) for command, _ in commands)
    console.say(*(f"  {command:{width}}   # {what}" for command, what in commands))
