"""A secret in a text that quotes it: whole, escaped or cut, it is not to be read."""

from __future__ import annotations

import json

import pytest

from carsync.config.parser import parse
from carsync.mapping.mapper import Mapper
from carsync.redaction import Secret, redact, redact_notes, redact_rejects
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
    (hidden,) = redact_rejects(rejects, Secret(KEY))
    assert "hush-7f3" not in hidden.reason + hidden.original
    assert hidden.original_kind == "altered"


def test_an_example_of_an_unreadable_value_holds_no_part_of_the_key() -> None:
    mapper = mapper_of(year={"path": "year", "type": "integer", "default": 0})
    body, _ = page_reply([{"id": 1, "year": f"you sent {KEY}"}]).encode()
    notes = mapper.map_page(body.partition(b"\r\n\r\n")[2]).notes
    assert KEY[:9] in notes.unread["year"].reason
    assert "hush-7f3" not in redact_notes(notes, Secret(KEY)).unread["year"].reason


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
