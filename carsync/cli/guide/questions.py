"""The questions of `carsync init`: those at its start, and those after a refusal."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, get_args

import click
from msgspec.structs import replace

from carsync.cli import console
from carsync.cli.guide.answers import Answers, hide_keys, variables_of
from carsync.cli.guide.mending import NotInAnswerError, redirected, split_address
from carsync.config.api_sections import Auth, AuthType
from carsync.config.presets.loader import load_preset
from carsync.doctor.paging_guesses import Kind, Told
from carsync.errors import ApiError, CarsyncError, ConfigError, PageError

NO_PRESET = "none"
USUAL = Answers(base_url="")
AUTH_TYPES: tuple[AuthType, ...] = get_args(AuthType)
KINDS: tuple[Kind, ...] = get_args(Kind)
_WAYS = ", ".join(AUTH_TYPES)
_NAMED = {"header": "Name of the header", "query": "Name of the parameter"}


def take_answers(options: dict[str, Any], *, ask: bool) -> Answers:
    """Take the answers from options, environment and questions (`ask`); preset "": unknown."""

    def value(name: str, question: str, default: str) -> str:
        given = options[name]
        if given is None and ask:
            given = click.prompt(question, default=default, err=True)
        return str(given if given is not None else default)

    base_url, _, query = _base_url(options["base_url"], ask=ask).partition("?")
    preset = options["preset"] or ""
    if preset and preset != NO_PRESET:
        load_preset(preset)  # names the known ones
    if query and options["path"] is None:  # the whole address of the pages
        base_url, options["path"] = split_address(base_url, query)
    path = value("path", "Path of the pages", USUAL.path)
    auth = _auth_type(value("auth", f"How is the key sent ({_WAYS})", USUAL.auth))
    auth_name = Auth(type=auth).sent_name
    if auth in _NAMED:
        auth_name = value("auth_name", _NAMED[auth], auth_name)
    token_url = value("token_url", "URL that gives tokens", "") if auth == "oauth2" else None
    login_path = value("login_path", "Path of the login", "/login") if auth == "login" else None
    schema, _, table = value("table", "Table", f"{USUAL.schema}.{USUAL.table}").rpartition(".")
    source = value("source", "Name of this feed, in the column source_api", USUAL.source)
    rate = USUAL.requests_per_second if options["rate"] is None else options["rate"]
    answers = Answers(
        base_url=base_url.rstrip("/"),
        path=_rooted(path),
        knows_path=options["path"] is not None or path != USUAL.path,
        method=options["method"],
        form=options["form"],
        params=_pairs("--param", options["params"]),
        headers=_pairs("--header", options["headers"]),
        record_path=options["record_path"],
        auth=auth,
        auth_name=auth_name,
        auth_prefix=options["auth_prefix"] or "",
        token_url=token_url,
        login_path=login_path,
        knows_auth=(auth, auth_name) != (USUAL.auth, USUAL.auth_name)
        or options["auth"] is not None,
        schema=schema or USUAL.schema,
        table=table,
        source=source,
        preset=None if preset == NO_PRESET else preset,
        md5=options["md5"],
        records=options["records"],
        id_path=options["id_path"],
        told=Told(
            options["paging"],
            options["page_param"],
            options["size_param"],
            options["page_size"],
            options["first_page"],
        ),
        requests_per_second=rate,
    )
    return hide_keys(answers)


def refuse(answers: Answers, error: CarsyncError) -> Answers:
    """Raise the error of a request as this command's own: nobody can be asked."""
    if not isinstance(error, PageError):
        raise error
    unset = [name for name in variables_of(answers.auth) if not os.environ.get(name)]
    lacks = f"{unset[0]} is not set; " if unset and error.status in (401, 403) else ""
    raise ApiError(
        f"the API did not return the first page: {error.problem}",
        detail=error.detail,
        hint=f"nothing was written; {lacks}{_cure(error)}, or write the file without looking: "
        "--no-request",
    ) from None


def ask_again(answers: Answers, error: CarsyncError) -> Answers:
    """Show what went wrong, and ask for another answer; an empty one ends the command."""
    console.say(error.problem, err=True)
    console.say(*filter(None, (error.detail, error.hint)), err=True)
    changed = _ask_by_status(answers, error)
    if changed is None or changed == answers:
        return refuse(answers, error)
    return changed


def _ask_by_status(answers: Answers, error: CarsyncError) -> Answers | None:
    """Ask the question that the refusal suggests; None where the person wants to stop."""
    if not isinstance(error, PageError):
        return _ask_of_shape(answers, error)
    status = error.status or 0
    if status in (401, 403):
        auth = _auth_type(_ask(f"How is the key sent ({_WAYS})", answers.auth))
        name = answers.auth_name if auth == answers.auth else Auth(type=auth).sent_name
        if auth in _NAMED:
            name = _ask(_NAMED[auth], name)
        secrets = {**answers.secrets, **_ask_secrets(auth)}
        return replace(answers, auth=auth, auth_name=name, secrets=secrets, knows_auth=True)
    if status == 404 or 300 <= status < 400:
        moved = redirected(answers, error) or answers
        return _ask_path(answers, moved.path)
    if status == 406:
        header = _ask("Header Accept", answers.headers.get("Accept", "*/*"))
        return replace(answers, headers={**answers.headers, "Accept": header})
    if 400 <= status < 500:
        given = _ask("A parameter that it wants, NAME=VALUE (empty: stop)", "")
        pairs = _pairs("the parameter", [given] if given else [])
        return replace(answers, params={**answers.params, **pairs})
    url = _ask("URL of the API, without the path of the pages", answers.base_url)
    return replace(answers, base_url=url.rstrip("/"))


def _ask_secrets(auth: AuthType) -> dict[str, str]:
    """Ask for the secrets that no variable holds; they are used now, and never written."""
    unset = [name for name in variables_of(auth) if not os.environ.get(name)]
    asked = {
        name: click.prompt(f"{name} (not shown, not written)", "", True, err=True) for name in unset
    }
    return {name: secret for name, secret in asked.items() if secret}


def _ask_of_shape(answers: Answers, error: CarsyncError) -> Answers | None:
    """Ask about what was not found in the answer."""
    what = error.what if isinstance(error, NotInAnswerError) else "list"
    if what == "id":
        path = _ask("Path of the id in a record (empty: stop)", "")
        return replace(answers, id_path=path) if path else None
    if what == "paging":
        param = _ask("Parameter of the page, the offset or the cursor (empty: stop)", "")
        return replace(answers, told=replace(answers.told, param=param)) if param else None
    return _ask_path(answers, answers.path)


def _ask_path(answers: Answers, usual: str) -> Answers:
    """Ask where the pages are; an empty answer means `usual`."""
    return hide_keys(replace(answers, path=_rooted(_ask("Path of the pages", usual))))


def _rooted(path: str) -> str:
    return path if path.startswith("/") else f"/{path}"


def _ask(question: str, default: str) -> str:
    return str(click.prompt(question, default=default, err=True)).strip()


def _cure(error: PageError) -> str:
    """Name the options that may mend a refusal.

    >>> from carsync.errors import FailureKind
    >>> _cure(PageError(FailureKind.CLIENT, "no", status=400))
    'give what it wants: --param NAME=VALUE, --page-size'
    """
    cures = {
        301: "see --path",
        302: "see --path",
        307: "see --path",
        308: "see --path",
        400: "give what it wants: --param NAME=VALUE, --page-size",
        401: "see API_KEY, --auth and --auth-name",
        403: "see API_KEY, --auth and --auth-name",
        404: "see --base-url and --path",
        406: "give the header that it wants: --header Accept=…",
        422: "give what it wants: --param NAME=VALUE, --page-size",
    }
    return cures.get(error.status or 0, error.hint or "see --base-url and --path")


_PAIRS = {
    "--param": "make=Kia",
    "--header": "Accept=application/json",
    "the parameter": "make=Kia",
}


def _pairs(option: str, given: Iterable[str]) -> dict[str, str]:
    """Read `NAME=VALUE` texts; a header may have a colon instead."""
    pairs = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign and option == "--header":
            name, sign, value = text.partition(":")
        if not sign or not name.strip():
            raise ConfigError(  # the text may be a secret
                f"{option} must be NAME=VALUE", hint=f"for example {option} {_PAIRS[option]}"
            )
        pairs[name.strip()] = value.strip()
    return pairs


def _auth_type(answer: str) -> AuthType:
    for known in AUTH_TYPES:
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
