"""A secret in a text that quotes it: whole, escaped or cut, it is not to be read."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from carsync.config.parser import parse
from carsync.errors import ConfigError
from carsync.mapping.mapper import Mapper
from carsync.model import PageNotes, Reject, Unread
from carsync.redaction import Hidden, Secret, clean, keep_latest, redact
from tests.support.configs import HUSH
from tests.support.fake_api import page_reply
from tests.support.mappers import mapper_of

KEY = 'hush-7f3a"91bc-5e1d-0c44-8a2b-1f6e-77d0-4b9c-e3a5-2d80-6c1f'


@pytest.mark.parametrize("text", [KEY, KEY[:-1], KEY[:8], f"a {KEY[:30]}… b", f"{KEY}{KEY[:12]}"])
def test_no_long_beginning_of_a_secret_stays(text: str) -> None:
    assert KEY[:8] not in redact(text, KEY)
    assert redact("hush-7f", KEY) == "hush-7f"
    assert redact(text, "") == text


def test_a_reason_that_cuts_what_it_quotes_holds_no_part_of_the_key() -> None:
    config = parse(
        "mapping: {preset: null, columns: {id: {path: id, required: true},"
        " year: {path: year, type: integer}},"
        " hash: {fields: [year]}}",
        {},
    )
    mapper = Mapper.load(config)
    body, _ = page_reply([{"id": 1, "year": f"you sent {KEY}"}]).encode()
    rejects = mapper.map_page(body.partition(b"\r\n\r\n")[2]).rejects
    assert KEY[:9] in rejects[0].reason
    hidden = rejects[0].without(Secret(KEY))
    assert "hush-7f3" not in hidden.reason + hidden.original
    assert hidden.original_kind == "altered"
    assert hidden.record_id == "1"


def test_an_id_that_holds_the_key_is_none() -> None:
    reject = Reject(0, f"a{KEY}", None, "", "{}")
    assert reject.without(Secret(KEY)).record_id is None
    assert reject.without(Secret("another one")) == reject.without(None) == reject


def test_an_example_of_an_unreadable_value_holds_no_part_of_the_key() -> None:
    mapper = mapper_of(year={"path": "year", "type": "integer", "default": 0})
    body, _ = page_reply([{"id": 1, "year": f"you sent {KEY}"}]).encode()
    notes = mapper.map_page(body.partition(b"\r\n\r\n")[2]).notes
    assert KEY[:9] in notes.unread["year"].reason
    assert "hush-7f3" not in notes.without(Secret(KEY)).unread["year"].reason


def test_every_form_of_a_key_goes_whole_before_beginnings_are_looked_for() -> None:
    """The key holds a quote: its form in JSON begins like the key itself."""
    assert redact(f"it is {KEY}.", KEY) == "it is ***."
    assert redact(f"it is {json.dumps(KEY)}.", KEY) == 'it is "***".'


def test_a_secret_shows_itself_to_nobody_who_does_not_ask() -> None:
    secret = Secret(HUSH)
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret:>30}", "%s" % secret):  # noqa: UP031
        assert "***" in shown
        assert HUSH not in shown
    assert secret.reveal() == HUSH
    assert type(secret.reveal()) is str


@pytest.mark.parametrize(
    ("secret", "hidden"),
    [
        ("geheim-key", "geheim-key"),
        ("postgresql://u:geheim：x@db/shop", "geheim：x"),
        ("postgresql://u:gehe%20im@db/shop", "gehe im"),
        ("postgresql://u:ge@he:im/@db/shop", "ge@he:im/"),
        ("host=db password=geheim dbname=shop", "geheim"),
        ("postgresql://db/shop?user=u&password=geheim&sslmode=require", "geheim"),
        ("https://hooks.example.com/T0/geheim", "https://hooks.example.com/T0/geheim"),
        ("https://hooks.example.com/T0/geheim", "/T0/geheim"),
        ("https://u:pw@hooks.example.com/T0/geheim", "/T0/geheim"),
        (r"host=db password = 'ge heim\'s' dbname=shop", "ge heim's"),
        (r"host=db password=ge\ heim dbname=shop", "ge heim"),
        ("ge/heim+ü k", "ge%2Fheim%2B%C3%BC%20k"),
        ("ge/heim+ü k", "ge%2Fheim%2B%C3%BC+k"),
    ],
)
def test_every_secret_that_was_ever_read_is_known(secret: str, hidden: str) -> None:
    pickle.loads(pickle.dumps(Secret(secret)))
    said = f"ValueError: {hidden!r} is no good; see https://hooks.example.org, {hidden}!"
    assert hidden not in clean(said)
    assert "see https://hooks.example.org, ***!" in clean(said)
    assert hidden not in str(ConfigError(said, detail=said, hint=said))


@pytest.mark.parametrize("secret", ["a1", "1234", "true", "null"])
def test_short_secrets_stand_in_texts_by_chance(secret: str) -> None:
    Secret(secret)
    assert clean(f"page {secret}") == f"page {secret}"
    reject = Reject(0, secret, None, secret, f'{{"id": {secret}}}')
    assert reject.without(Secret(secret)) == reject
    notes = PageNotes({"year": Unread(1, secret, secret)})
    assert notes.without(Secret(secret)) == notes


_PROGRAM = """
import sys, logging, threading
from urllib.parse import urlsplit
from carsync import logging_setup, stdio
from carsync.model import PageNotes, Reject, Unread
from carsync.redaction import Secret
stdio.secure()
logging_setup.set_up(sys.argv[1], logging.DEBUG)
dsn = Secret("postgresql://u:geheim\uff1ax@db/shop")
logging.warning("told: %s", dsn.reveal(), extra={"field": dsn.reveal()})
thread = threading.Thread(target=lambda: urlsplit(dsn.reveal()))
thread.start(); thread.join()
urlsplit(dsn.reveal())
"""


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_secret_leaves_a_process_by_its_log_or_by_a_traceback(log_format: str) -> None:
    with pytest.raises(ValueError, match="geheim"):
        urlsplit("postgresql://u:geheim\uff1ax@db/shop")
    run = subprocess.run(
        [sys.executable, "-c", _PROGRAM, log_format], capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert run.stderr.count("ValueError: netloc 'u:***@db'") >= 2
    assert "geheim" not in run.stderr + run.stdout


_SPOKEN = """
import sys, logging
from carsync import logging_setup, stdio
from carsync.redaction import Secret
stdio.secure()
logging_setup.set_up("json", logging.DEBUG)
logging_setup.bind(target="public.cars")
key = Secret(sys.argv[1])
logging.error("quoted: %s", key.reveal(), extra={"event": "error", "detail": key.reveal()})
"""


@pytest.mark.parametrize(
    "secret", ["level", "timestamp", "error", "event", "public", '": "', '", "', "quoted: k"]
)
def test_a_word_of_the_log_as_a_secret_leaves_its_json_readable(secret: str) -> None:
    command = [sys.executable, "-c", _SPOKEN, secret]
    line = json.loads(subprocess.run(command, capture_output=True, check=True).stderr)
    assert (line["level"], line["event"], line["target"]) == ("error", "error", "public.cars")
    assert line["detail"] == "***"
    assert secret not in line["message"].removeprefix("quoted: ")


def test_a_hidden_word_does_not_show_itself_and_is_no_secret_of_texts() -> None:
    hidden = Hidden("application/vnd.api+json")
    assert (str(hidden), repr(hidden), f"{hidden}") == ("***", "Secret('***')", "***")
    assert hidden.reveal() == "application/vnd.api+json"
    assert clean("it is no application/vnd.api+json") == "it is no application/vnd.api+json"
    assert type(pickle.loads(pickle.dumps(hidden))) is Hidden


def test_of_many_tokens_the_latest_stay_known() -> None:
    tokens = [f"{n:02}-token-of-hour" for n in range(20)]
    for token in tokens:
        for _ in range(2):
            keep_latest(Secret(token))
    assert clean(tokens[0]) == tokens[0]
    assert {clean(token) for token in tokens[-8:]} == {"***"}
