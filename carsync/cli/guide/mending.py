"""Refusals that mend without a question: a redirect, an address, a header, a way to show a key."""

from __future__ import annotations

import os
from typing import Literal
from urllib.parse import urlsplit

from msgspec.structs import replace

from carsync.cli import console
from carsync.cli.guide.answers import Answers, variables_of
from carsync.config.api_sections import AuthType
from carsync.errors import CarsyncError, ConfigError, PageError

_ACCEPT = "application/vnd.api+json, application/json;q=0.9, */*;q=0.5"
"""What a server accepts that refused `application/json`: JSON:API has a type of its own."""
_NO_SUCH_PATH = frozenset({400, 404, 405, 410, 422})


class NotInAnswerError(ConfigError):
    """Something that a configuration needs was not found in what the API answered."""

    def __init__(self, what: Literal["list", "id", "paging"], problem: str, **words: str) -> None:
        super().__init__(problem, **words)
        self.what = what


def mend(answers: Answers, error: CarsyncError) -> Answers | None:
    """Return answers that mend a refusal without a question; None where there are none."""
    whole = _as_whole(answers, error)
    if whole is not None:
        console.say(f"{answers.base_url}{answers.path}: {error.problem}", err=True)
        return whole
    if not isinstance(error, PageError):
        return None
    if error.status == 406 and "Accept" not in answers.headers:
        console.say(f"the API refuses the header Accept (HTTP 406): trying {_ACCEPT}", err=True)
        return replace(answers, headers={**answers.headers, "Accept": _ACCEPT})
    if error.status == 401 and not answers.knows_auth and (asked := _as_asked(answers, error)):
        said = f"the API wants {error.named} (WWW-Authenticate): trying {asked.auth}"
        console.say(said + f" {asked.auth_name}" * (asked.auth == "header"), err=True)
        return asked
    moved = redirected(answers, error)
    if moved is not None:
        console.say(f"the API redirects to {moved.base_url}{moved.path}: taken", err=True)
    return moved


def _as_asked(answers: Answers, error: PageError) -> Answers | None:
    """Return answers by which the API is shown who asks in the way that it names."""
    known: dict[str, AuthType] = {"bearer": "bearer", "basic": "basic"}
    auth = known.get(error.named.lower(), "header")
    if not error.named or not all(os.environ.get(variable) for variable in variables_of(auth)[:1]):
        return None
    if auth != "header":
        return replace(answers, auth=auth, knows_auth=True)
    named = {"auth_name": "Authorization", "auth_prefix": error.named}
    return replace(answers, auth=auth, knows_auth=True, **named)


def _as_whole(answers: Answers, error: CarsyncError) -> Answers | None:
    """Return the answers where the URL that was given may be the address of the pages itself."""
    is_wrong = not isinstance(error, PageError) or error.status in _NO_SUCH_PATH
    if answers.knows_path or not is_wrong or not urlsplit(answers.base_url).path.strip("/"):
        return None
    base_url, path = split_address(answers.base_url)
    return replace(answers, base_url=base_url, path=path, knows_path=True)


def split_address(address: str, query: str = "") -> tuple[str, str]:
    """Split the whole address of the pages into the API's URL and their path.

    >>> split_address("https://x.test/v2/cars", "make=Kia")
    ('https://x.test', '/v2/cars?make=Kia')
    """
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}", parts.path + (f"?{query}" if query else "")


def redirected(answers: Answers, error: PageError) -> Answers | None:
    """Return the answers for the address of a redirect; None where another host has it."""
    base, target = urlsplit(answers.base_url), urlsplit(error.named)
    is_ours = target.netloc in ("", base.netloc) and target.scheme in ("", base.scheme, "https")
    prefix = base.path.rstrip("/")
    if (
        not error.named
        or not 300 <= (error.status or 0) < 400
        or not is_ours
        or not target.path.startswith(f"{prefix}/")
    ):
        return None
    _, question, query = answers.path.partition("?")
    path = target.path.removeprefix(prefix) + question + query
    scheme = target.scheme or base.scheme
    moved = replace(answers, base_url=f"{scheme}://{base.netloc}{prefix}", path=path)
    return None if moved == answers else moved
